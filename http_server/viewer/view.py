"""The viewer's page about one place of a document, as values that the template only has to write down."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

from http_server.viewer.language import MESSAGES
from http_server.viewer.page_picture import PlacedLine, marked_boxes, text_layer
from http_server.viewer.place import Place, page_at, page_place, part_place
from http_server.viewer.running_text import Paragraph, Piece, paragraphs, part_of, parts
from http_server.viewer.target import Target
from pincite.document import Box, Page
from pincite.document_codec import StoredDocument
from pincite.errors import UnknownPage
from pincite.sections import section_titles

DRAWABLE = "application/pdf"
SCALES = (1.0, 1.5, 2.0, 3.0)
DEFAULT_SCALE = 2.0
LANGUAGE_NAMES = {"en": "EN", "zh": "中文"}
TABULAR = frozenset({"text/csv", "text/tab-separated-values", "application/json"})
SOURCE_CODE = "text/plain;"
NO_TEXT = "page_without_text"


@dataclass(frozen=True, slots=True)
class Picture:
    """A page's picture and its layers; `width`, `height` in points, `marks` from the palest to the strongest."""

    width: float
    height: float
    source: str
    sources: str
    marks: tuple[tuple[str, tuple[Box, ...]], ...]
    lines: tuple[PlacedLine, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A word about where the passage is; `query` links there."""

    text: str
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Legend:
    """What the marks mean (`kinds`: CSS class and name) and where else the passage is."""

    kinds: tuple[tuple[str, str], ...]
    notes: tuple[Note, ...]

    def __bool__(self) -> bool:
        return bool(self.kinds or self.notes)


@dataclass(frozen=True, slots=True)
class View:
    """Everything the template shows; `picture` or else `paragraphs` is the content."""

    title: str
    section: tuple[str, ...]
    place: Place
    notices: tuple[str, ...]
    picture: Picture | None
    paragraphs: tuple[Paragraph, ...]
    monospace: bool
    legend: Legend
    first_mark: str | None

    @property
    def first_piece(self) -> Piece | None:
        """The piece that carries the first mark, by identity."""
        pieces = [piece for paragraph in self.paragraphs for piece in paragraph.pieces]
        return next((piece for piece in pieces if self.first_mark in piece.kind.split()), None)


def build_view(stored: StoredDocument, document_id: str, target: Target, language: str) -> View:
    """Return what to show of `stored` for `target`.

    Raises:
        UnknownPage: the document has no such page or part.
    """
    say = MESSAGES[language]
    if stored.page_count:
        page = page_at(stored, target.start) if target.page is None else stored.page(target.page)
        return _page_view(stored, document_id, page, replace(target, page=page.number, part=None), say)
    return _part_view(stored, replace(target, page=None), say)


def _page_view(stored: StoredDocument, document_id: str, page: Page, target: Target, say: Mapping[str, str]) -> View:
    text, span = stored.text, (page.start, page.end)
    picture = _picture(page, text, document_id, target) if stored.media_type == DRAWABLE else None
    shown = () if picture else tuple(paragraphs(text, span, stored.blocks, stored.sections, target))
    kinds = [kind for kind, found in picture.marks if found] if picture else _kinds(shown)
    notices = [
        warning.message for warning in stored.warnings if warning.page == page.number and warning.code != NO_TEXT
    ]
    if picture and not picture.lines:
        notices.insert(0, say["no_text"])
    return View(
        title=stored.title,
        section=_section(stored, target.evidence if page.start <= target.evidence < page.end else page.start),
        place=page_place(target, page.number, stored.page_count, page.label, say),
        notices=tuple(notices),
        picture=picture,
        paragraphs=shown,
        monospace=False,
        legend=Legend(_named(kinds, say), _passage_pages(stored, page, target, say)),
        first_mark=_first_mark(kinds),
    )


def _part_view(stored: StoredDocument, target: Target, say: Mapping[str, str]) -> View:
    spans = parts(len(stored.text), stored.blocks)
    number = part_of(spans, target.start) if target.part is None else target.part
    if not 1 <= number <= len(spans):
        raise UnknownPage(f"the document has no part {number}; it has {len(spans)}")
    span = spans[number - 1]
    target = replace(target, part=number)
    passage_here = target.has_passage and target.start < span[1] and target.end > span[0]
    shown = tuple(paragraphs(stored.text, span, stored.blocks, stored.sections, target))
    kinds = _kinds(shown)
    notes = []
    if target.has_passage and not passage_here:
        notes.append(Note(say["back"], target.query(part=part_of(spans, target.start))))
    elif passage_here and target.end > span[1]:
        notes.append(Note(say["continues_part"], target.query(part=number + 1)))
    return View(
        title=stored.title,
        section=_section(stored, target.evidence if passage_here else span[0]),
        place=part_place(target, number, len(spans), say),
        notices=tuple(warning.message for warning in stored.warnings),
        picture=None,
        paragraphs=shown,
        monospace=stored.media_type in TABULAR or stored.media_type.startswith(SOURCE_CODE),
        legend=Legend(_named(kinds, say), tuple(notes)),
        first_mark=_first_mark(kinds),
    )


def _picture(page: Page, text: str, document_id: str, target: Target) -> Picture:
    marks = marked_boxes(page, target)

    def address(scale: float) -> str:
        query = urlencode({"scale": f"{scale:g}", "t": target.token})
        return f"{quote(document_id, safe='')}/pages/{page.number}.png?{query}"

    return Picture(
        width=round(page.width, 2),
        height=round(page.height, 2),
        source=address(DEFAULT_SCALE),
        sources=", ".join(f"{address(scale)} {round(page.width * scale)}w" for scale in SCALES),
        marks=(("passage", marks.passage), ("sentence", marks.sentences), ("term", marks.terms)),
        lines=text_layer(page, text),
    )


def _section(stored: StoredDocument, offset: int) -> tuple[str, ...]:
    """Return the section path at `offset`, without a first title that only repeats the document's."""
    path = section_titles(stored.sections, offset)
    return path[1:] if path[:1] == (stored.title,) else path


def _kinds(shown: tuple[Paragraph, ...]) -> list[str]:
    """Return the kinds of marks in the text, from the palest to the strongest."""
    found = {kind for paragraph in shown for piece in paragraph.pieces for kind in piece.kind.split()}
    return [kind for kind in ("passage", "sentence", "term") if kind in found]


def _first_mark(kinds: list[str]) -> str | None:
    """Return the kind of mark to bring into view: a sentence tells more than a word that may stand anywhere."""
    return "sentence" if "sentence" in kinds else next(reversed(kinds), None)


def _named(kinds: list[str], say: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((kind, say[kind]) for kind in kinds)


def _passage_pages(stored: StoredDocument, page: Page, target: Target, say: Mapping[str, str]) -> tuple[Note, ...]:
    """Say where else the passage is: on the pages before or after this one, or altogether elsewhere."""
    if not target.has_passage:
        return ()
    first = page_at(stored, target.start).number
    last = page_at(stored, target.end - 1).number
    if not first <= page.number <= last:
        return (Note(say["back"], target.query(page=first)),)
    notes = []
    if first < page.number:
        notes.append(Note(say["started"].format(page=first), target.query(page=first)))
    if page.number < last:
        notes.append(Note(say["continues"].format(page=page.number + 1), target.query(page=page.number + 1)))
    return tuple(notes)
