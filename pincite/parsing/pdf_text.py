"""What MuPDF finds on a page, as pieces of text with the boxes of their words."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

import pymupdf

from pincite.parsing.hidden_pdf_text import holds_hidden, remove_hidden
from pincite.parsing.recognition import Recogniser
from pincite.parsing.text_piece import Piece, Rectangle, Style, in_reading_frame

# Ligatures are expanded so that "fi" can be searched for; images are left out because only text is wanted here.
# Lines and boxes come along at no cost, and show where the cells of tables are.
TEXT_FLAGS = (
    pymupdf.TEXT_PRESERVE_WHITESPACE
    | pymupdf.TEXT_MEDIABOX_CLIP
    | pymupdf.TEXT_CID_FOR_UNKNOWN_UNICODE
    | pymupdf.TEXT_COLLECT_VECTORS
)
_VECTOR_BLOCK = 3
_MAX_VECTORS = 5000
_THINNEST_BOX_PT = 3.0

# A control character keeps its place as a space, so that offsets stay; a lone surrogate is no character at all.
_REPLACED = dict.fromkeys(range(0x20), " ") | dict.fromkeys(range(0x7F, 0xA0), " ") | {0x2028: " ", 0x2029: " "}
_REPLACED |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")

# The scripts that write no spaces between words (Han, kana, their punctuation and full-width forms); Hebrew and Arabic.
_IDEOGRAPHS = "\u2e80-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_LAM_ALEF = "[اأإآ]ل"
_NEEDS_CHARACTERS = re.compile(f"[{_IDEOGRAPHS}]|{_LAM_ALEF}")
_SPACE = re.compile(r"\s")
_WORD = re.compile(rf"(?!\s)[{_IDEOGRAPHS}]|[^\s{_IDEOGRAPHS}]+")

# A gap between two words wider than this many font sizes may be one between cells or columns.
CELL_GAP = 1.9

_BOLD_NAMES = ("bold", "black", "heavy", "cmbx", "demi")
_BOLD_FLAG = 16
_CAP_HEIGHT = 0.72
_NO_WIDTH_PT = 0.1

Matrix = tuple[float, float, float, float, float, float]


@dataclass(slots=True)
class _Line:
    """A line as MuPDF gives it, in displayed coordinates; `direction` is where its text runs to."""

    text: str
    words: list[tuple[int, int]]
    boxes: list[Rectangle]
    spans: list[tuple[int, int, float, bool]]
    direction: tuple[int, int]
    baseline: tuple[float, float]
    size: float


@dataclass(frozen=True, slots=True)
class PageContent:
    """What stands on a page.

    `groups` are its pieces in drawing order, one list for each direction of writing, the main one first. `drawn` are
    the bounds of lines and boxes in the reading frame of the first group. `hidden` counts the characters that were left
    out because a reader does not see them.
    """

    groups: list[list[Piece]]
    drawn: list[Rectangle]
    hidden: int = 0


def read_content(page: pymupdf.Page, recogniser: Recogniser | None = None) -> PageContent:
    """Return the page's text and its lines and boxes; with a `recogniser`, the text that it reads off the page.

    Words are runs without spaces, except that each Chinese or Japanese character is a word, so that marks stay tight.
    """
    text_page = recogniser.text_page(page, TEXT_FLAGS) if recogniser else page.get_textpage(flags=TEXT_FLAGS)
    rotation = page.rotation_matrix
    matrix: Matrix = (rotation.a, rotation.b, rotation.c, rotation.d, rotation.e, rotation.f)
    lines = None
    hidden = 0
    words = text_page.extractWORDS()
    if not _needs_characters(" ".join([word[4] for word in words])):
        content = text_page.extractDICT()["blocks"]
        # MuPDF's words do not say how they are drawn.
        if recogniser or not holds_hidden(page, content):
            lines = _lines_with_words(content, words, matrix)
    if lines is None:
        content = text_page.extractRAWDICT()["blocks"]
        # What was recognised lies invisible over the picture, all of it.
        hidden = 0 if recogniser else remove_hidden(page, content)
        lines = list(_lines_with_characters(content, matrix))
    groups = _by_direction(lines)
    vectors = [b for b in content if b["type"] == _VECTOR_BLOCK]
    if not groups or len(vectors) > _MAX_VECTORS:
        return PageContent(groups, [], hidden)
    drawn = [v["bbox"] for v in vectors if v["isrect"] or _is_thin(v["bbox"])]
    if _is_turned(matrix):
        drawn = [_transformed(box, matrix) for box in drawn]
    return PageContent(groups, in_reading_frame(drawn, groups[0][0].direction), hidden)


def _needs_characters(text: str) -> bool:
    return not text.isascii() and _NEEDS_CHARACTERS.search(text) is not None


def _is_thin(box: Rectangle) -> bool:
    return min(box[2] - box[0], box[3] - box[1]) <= _THINNEST_BOX_PT


def _lines_with_words(blocks: Sequence[Any], words: Iterable[Any], matrix: Matrix) -> list[_Line] | None:
    """Join MuPDF's lines with its words; None where the two do not agree."""
    lines: dict[tuple[int, int], _Line] = {}
    # MuPDF's words count the blocks of text only.
    for block_number, block in enumerate(b for b in blocks if "lines" in b):
        for line_number, raw in enumerate(block["lines"]):
            text = "".join([s["text"] for s in raw["spans"]])
            if _needs_characters(text):
                return None
            lines[block_number, line_number] = _line(raw, text, matrix)
    turned = _is_turned(matrix)
    for place, of_line in groupby(words, key=itemgetter(5, 6)):
        line = lines.get(place)
        if line is None:
            return None
        text, ranges, boxes = line.text, line.words, line.boxes
        end = ranges[-1][1] if ranges else 0
        for x0, y0, x1, y1, word, _, _, _ in of_line:
            start = text.find(word, end)
            if start < 0 or not word.isascii():
                start = _place_of(word, text, end)
            if start < 0:
                return None
            end = start + len(word)
            if word:
                ranges.append((start, end))
                boxes.append(_transformed((x0, y0, x1, y1), matrix) if turned else (x0, y0, x1, y1))
    return list(lines.values())


def _place_of(word: str, text: str, after: int) -> int:
    """Return where a line holds a word of MuPDF's, or -1, also where the word holds a space itself."""
    start = text.find(word, after)
    if start < 0:
        word = word.translate(_REPLACED)
        start = text.find(word, after)
    # MuPDF takes only the plain and the no-break space for spaces.
    return -1 if _SPACE.search(word) else start


def _lines_with_characters(blocks: Sequence[Any], matrix: Matrix) -> Iterator[_Line]:
    """Build the words from single characters: one for each ideograph, and one for each run of others."""
    turned = _is_turned(matrix)
    for block in blocks:
        for raw in block.get("lines", ()):
            for span in raw["spans"]:
                span["text"] = "".join([c["c"] for c in span["chars"]])
                if "ل" in span["text"]:
                    span["chars"] = _in_logical_order(span["chars"])
                    span["text"] = "".join([c["c"] for c in span["chars"]])
            boxes = [c["bbox"] for span in raw["spans"] for c in span["chars"]]
            line = _line(raw, "".join([span["text"] for span in raw["spans"]]), matrix)
            for found in _WORD.finditer(line.text):
                start, end = found.span()
                box = boxes[start]
                if end - start > 1:
                    # Where directions mix, the last character need not be at the end.
                    inner = range(start + 1, end) if _RIGHT_TO_LEFT.search(found[0]) else (end - 1,)
                    for i in inner:
                        box = _united(box, boxes[i])
                line.words.append((start, end))
                line.boxes.append(_transformed(box, matrix) if turned else box)
            yield line


def _in_logical_order(characters: list[Any]) -> list[Any]:
    """Put lam before alef where MuPDF expanded their ligature in visual order: the alef then has no width."""
    ordered: list[Any] = []
    for character in characters:
        if ordered and character["c"] == "ل" and ordered[-1]["c"] in "اأإآ":
            x0, _, x1, _ = ordered[-1]["bbox"]
            if x1 - x0 < _NO_WIDTH_PT and abs(character["bbox"][2] - x1) < _NO_WIDTH_PT:
                ordered.insert(-1, character)
                continue
        ordered.append(character)
    return ordered


def _is_turned(matrix: Matrix) -> bool:
    return matrix[:4] != (1.0, 0.0, 0.0, 1.0)


def _line(raw: Any, text: str, matrix: Matrix) -> _Line:
    spans: list[tuple[int, int, float, bool]] = []
    at = 0
    main = None
    longest = -1
    look = None
    for span in raw["spans"]:
        length = len(span["text"])
        if length > longest:
            main, longest = span, length
        shown = (span["size"], span["flags"], span["font"])
        if shown == look:
            start, _, size, bold = spans[-1]
            spans[-1] = (start, at + length, size, bold)
        else:
            look = shown
            spans.append((at, at + length, shown[0], bool(shown[1] & _BOLD_FLAG) or _is_bold(shown[2])))
        at += length
    a, b, c, d, e, f = matrix
    dx, dy = raw["dir"]
    x, y = main["origin"] if main else raw["bbox"][:2]
    return _Line(
        text=text if text.isprintable() else text.translate(_REPLACED),
        words=[],
        boxes=[],
        spans=spans,
        direction=(round(a * dx + c * dy), round(b * dx + d * dy)),
        baseline=(a * x + c * y + e, b * x + d * y + f),
        size=main["size"] if main else 0.0,
    )


@lru_cache(4096)
def _is_bold(font: str) -> bool:
    return any(name in font.lower() for name in _BOLD_NAMES)


def _transformed(box: Rectangle, matrix: Matrix) -> Rectangle:
    a, b, c, d, e, f = matrix
    x0, y0, x1, y1 = box
    xs = (a * x0 + c * y0 + e, a * x1 + c * y1 + e)
    ys = (b * x0 + d * y0 + f, b * x1 + d * y1 + f)
    return min(xs), min(ys), max(xs), max(ys)


def _united(one: Rectangle, other: Rectangle) -> Rectangle:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _by_direction(lines: Iterable[_Line]) -> list[list[Piece]]:
    groups: dict[tuple[int, int], list[Piece]] = {}
    weights: dict[tuple[int, int], int] = {}
    for line in lines:
        if line.words:
            groups.setdefault(line.direction, []).extend(_pieces(line))
            weights[line.direction] = weights.get(line.direction, 0) + len(line.words)
    return [groups[d] for d in sorted(groups, key=lambda d: (-weights[d], d != (1, 0)))]


def _pieces(line: _Line) -> Iterator[Piece]:
    """Cut a line where the gap between two words is too wide for a space (columns set with spaces or tabs)."""
    frame = in_reading_frame(line.boxes, line.direction)
    first = 0
    gap = CELL_GAP * max(line.size, 1.0)
    for i, (before, box) in enumerate(pairwise(frame), 1):
        if box[0] - before[2] > gap or before[0] - box[2] > gap:
            yield _piece(line, frame, first, i)
            first = i
    yield _piece(line, frame, first, len(frame))


def _piece(line: _Line, frame: list[Rectangle], first: int, last: int) -> Piece:
    start, end = line.words[first][0], line.words[last - 1][1]
    styles = tuple(
        [
            Style(max(s, start) - start, min(e, end) - start, size, bold)
            for s, e, size, bold in line.spans
            if s < end and e > start
        ]
    )
    size = line.size
    if first or last < len(frame):
        size = max(styles, key=lambda s: s.end - s.start).size
    baseline = _baseline(line)
    text = line.text[start:end]
    words = line.words[first:last]
    frame = frame[first:last]
    return Piece(
        text=text,
        words=[(s - start, e - start) for s, e in words] if start else words,
        boxes=line.boxes[first:last],
        styles=styles,
        x0=min([f[0] for f in frame]),
        top=baseline - _CAP_HEIGHT * size,
        x1=max([f[2] for f in frame]),
        bottom=baseline,
        size=size,
        direction=line.direction,
        right_to_left=_is_right_to_left(text),
        space_before=start > 0 and line.text[start - 1].isspace(),
        space_after=end < len(line.text) and line.text[end].isspace(),
    )


def _baseline(line: _Line) -> float:
    x, y = line.baseline
    if line.direction == (1, 0):
        return y
    return {(0, -1): x, (0, 1): -x, (-1, 0): -y}.get(line.direction, y)


def _is_right_to_left(text: str) -> bool:
    """Say whether most letters are Hebrew or Arabic."""
    if text.isascii() or not _RIGHT_TO_LEFT.search(text):
        return False
    return 2 * len(_RIGHT_TO_LEFT.findall(text)) > sum(c.isalpha() for c in text)
