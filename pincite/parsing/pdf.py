"""PDF to Document: pages with the place of every word, sections, title, and what could not be read."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pymupdf

from pincite.document import Document, ParseWarning, Section
from pincite.errors import CorruptDocument, EmptyDocument, EncryptedDocument
from pincite.parsing.document_assembly import Assembly, PageLayout, join_blocks
from pincite.parsing.naming import shown_name
from pincite.parsing.paragraphs import Block, Kind, Line, blocks_of
from pincite.parsing.pdf_furniture import set_apart_furniture
from pincite.parsing.pdf_outline import read_outline, sections_of_outline, with_headings_between
from pincite.parsing.pdf_text import PageContent, read_content
from pincite.parsing.pdf_title import document_title
from pincite.parsing.reading_order import Row, columns_of
from pincite.parsing.recognition import Recogniser
from pincite.parsing.ruled_tables import gather_tables
from pincite.parsing.text_builder import hidden_text_warning
from pincite.parsing.typographic_headings import headings_by_type

MEDIA_TYPE = "application/pdf"

# Running headers are looked for among this many pages at a time, which bounds the memory of a long document.
_WINDOW_PAGES = 96

# An outline with fewer entries than one for so many pages says too little about where a passage stands.
_PAGES_PER_ENTRY = 4

_PAGES_NAMED = 10
_BLANK = "it is blank"

# MuPDF reports damage by exceptions of its own, by RuntimeError and by ValueError, depending on the layer.
MUPDF_ERRORS = (RuntimeError, ValueError, TypeError, IndexError, KeyError, pymupdf.mupdf.FzErrorBase)

# What MuPDF says of a page whose content it could read only in part.
_DAMAGE = re.compile(r"syntax error|zlib error|read error|cannot (?:load|draw|find|decode)")


@dataclass(slots=True)
class _RawPage:
    number: int
    label: str | None
    width: float
    height: float
    content: PageContent


def parse_pdf(data: bytes, name: str, recogniser: Recogniser | None = None) -> Document:
    """Return the document in a PDF file; `name` only serves for its title and for messages.

    With a `recogniser`, pages that have no text but pictures or drawings are read by it.

    Raises EmptyDocument, EncryptedDocument (a password is needed) or CorruptDocument. Pages that cannot be read or have
    no text are kept, empty, each with a warning. Nothing the file asks for (scripts, links, attachments) is followed.
    """
    with open_pdf(data, name) as pdf:
        warnings: list[ParseWarning] = []
        if pdf.is_repaired:
            message = "the file is damaged and was repaired; pages or text may be missing"
            warnings.append(ParseWarning("document_repaired", message))
        assembly = Assembly()
        hidden: dict[int, int] = {}
        layouts = _layouts(pdf, recogniser, warnings, hidden)
        layout = next(layouts, None)
        while layout is not None:
            after = next(layouts, None)
            assembly.add(layout, after)
            layout = after
        if sum(w.code == "page_failed" for w in warnings) == pdf.page_count:
            raise CorruptDocument(
                f"{shown_name(name)}: none of its {pdf.page_count} pages can be read; export the file again."
            )
        if recogniser and recogniser.read:
            message = f"the text of {recogniser.read} pages was read off their pictures (OCR); it may have mistakes"
            warnings.append(ParseWarning("text_recognised", message))
        if hidden:
            warnings.append(_hidden_text(hidden))
        sections = _sections(pdf, assembly)
        return Document(
            title=document_title((pdf.metadata or {}).get("title"), assembly, name),
            media_type=MEDIA_TYPE,
            text=assembly.text,
            pages=tuple(assembly.pages),
            sections=tuple(sections),
            blocks=tuple(assembly.blocks),
            warnings=tuple(warnings),
            tables=assembly.tables,
        )


def open_pdf(data: bytes, name: str) -> pymupdf.Document:
    """Open a PDF that has pages and needs no password; raise the DocumentError that says why not."""
    name = shown_name(name)
    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    if not data:
        raise EmptyDocument(f"{name} is empty (0 bytes); upload the file again.")
    try:
        pdf = pymupdf.open(stream=data, filetype="pdf")
        if pdf.needs_pass and not pdf.authenticate(""):
            raise EncryptedDocument(f"{name} needs a password; upload a copy without one.")
        if not pdf.is_pdf:
            raise CorruptDocument(f"{name} is no PDF, though it is called one; upload it under its own format.")
        pages = pdf.page_count
    except MUPDF_ERRORS as error:
        raise CorruptDocument(f"{name} cannot be read as a PDF; it is damaged. Export the file again.") from error
    if pages == 0:
        raise CorruptDocument(f"{name} opens with no page; it looks truncated. Upload the file again.")
    return pdf


def _layouts(
    pdf: pymupdf.Document, recogniser: Recogniser | None, warnings: list[ParseWarning], hidden: dict[int, int]
) -> Iterator[PageLayout]:
    """Yield the pages; `hidden` takes the characters left out of each, by its number."""
    labelled = bool(pdf.get_page_labels())
    for first in range(0, pdf.page_count, _WINDOW_PAGES):
        window = range(first, min(first + _WINDOW_PAGES, pdf.page_count))
        raw = [_read_page(pdf, index, labelled, recogniser, warnings) for index in window]
        texts, furniture = set_apart_furniture(
            [page.content.groups[0] if page.content.groups else [] for page in raw],
            [(page.width, page.height) for page in raw],
        )
        hidden |= {page.number: page.content.hidden for page in raw if page.content.hidden}
        for page, text, frame in zip(raw, texts, furniture, strict=True):
            blocks = join_blocks(
                [block for column in columns_of(gather_tables(text, page.content.drawn)) for block in blocks_of(column)]
            )
            for turned in page.content.groups[1:]:
                asides = [block for column in columns_of(turned) for block in blocks_of(column)]
                blocks += [replace(block, kind=Kind.ASIDE) for block in asides]
            yield PageLayout(
                number=page.number,
                label=page.label,
                width=page.width,
                height=page.height,
                blocks=blocks,
                header=[_furniture(row) for row in frame.top],
                footer=[_furniture(row) for row in reversed(frame.bottom)],
            )


def _hidden_text(hidden: dict[int, int]) -> ParseWarning:
    pages = ", ".join(map(str, sorted(hidden)[:_PAGES_NAMED])) + (", …" if len(hidden) > _PAGES_NAMED else "")
    where = f"page {pages}" if len(hidden) == 1 else f"pages {pages}"
    return hidden_text_warning(sum(hidden.values()), where)


def _furniture(row: Row) -> Block:
    return Block(Kind.FURNITURE, [Line(row.pieces)])


def _read_page(
    pdf: pymupdf.Document, index: int, labelled: bool, recogniser: Recogniser | None, warnings: list[ParseWarning]
) -> _RawPage:
    number = index + 1
    pymupdf.TOOLS.reset_mupdf_warnings()
    try:
        page = pdf.load_page(index)
        label = _decoded_label(page.get_label()) if labelled else None
        raw = _RawPage(number, label or None, page.rect.width, page.rect.height, read_content(page))
        if not raw.content.groups:
            _read_picture(page, raw, recogniser, warnings)
        elif _DAMAGE.search(pymupdf.TOOLS.mupdf_warnings()):
            message = f"page {number} is damaged; some of its text may be missing"
            warnings.append(ParseWarning("page_damaged", message, number))
    except MUPDF_ERRORS:
        warnings.append(ParseWarning("page_failed", f"page {number} cannot be read; it is damaged", number))
        return _RawPage(number, None, 0.0, 0.0, PageContent([], []))
    return raw


def _read_picture(
    page: pymupdf.Page, raw: _RawPage, recogniser: Recogniser | None, warnings: list[ParseWarning]
) -> None:
    """Read a page without text off its picture, where that is wanted and there is one; else say what it looks like."""
    what = _look(page)
    if what == _BLANK or recogniser is None:
        hint = "" if what == _BLANK else "; set PINCITE_OCR_LANGUAGES to have it read"
    elif not recogniser.has_time:
        hint = "; the time for one document was used up before it was read: split it, or raise PINCITE_PARSE_TIMEOUT_S"
    else:
        hint = "; nothing could be read off it"
        hidden = raw.content.hidden
        with contextlib.suppress(*MUPDF_ERRORS):
            raw.content = replace(read_content(page, recogniser), hidden=hidden)
    if not raw.content.groups:
        message = f"page {raw.number} has no text; {what}{hint}"
        warnings.append(ParseWarning("page_without_text", message, raw.number))


def _look(page: pymupdf.Page) -> str:
    if page.get_image_info():
        return "it looks scanned"
    return "it holds only drawings" if page.get_cdrawings() else _BLANK


def _decoded_label(label: str) -> str:
    """Return a page label whose prefix PyMuPDF left as the hexadecimal UTF-16 of the file, such as "<FEFF0043>1"."""

    def decoded(found: re.Match[str]) -> str:
        return bytes.fromhex(found[1]).decode("utf-16-be", "replace")

    return re.sub(r"^<feff((?:[0-9a-f]{4})*)>", decoded, label, flags=re.IGNORECASE)


def _sections(pdf: pymupdf.Document, assembly: Assembly) -> list[Section]:
    """Return the outline's sections, and the headings that the type shows where there is no outline or a coarse one."""
    text = assembly.text
    try:
        outline = sections_of_outline(read_outline(pdf), text, assembly.pages, assembly.lines)
    except MUPDF_ERRORS:
        outline = []
    if len(outline) * _PAGES_PER_ENTRY >= len(assembly.pages):
        return outline
    return with_headings_between(outline, headings_by_type(text, assembly.lines))
