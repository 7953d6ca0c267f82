"""Running headers, footers and page numbers: lines that stand at the same place on page after page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pincite.parsing.reading_order import Row, rows_of
from pincite.parsing.text_piece import Piece

_ZONE = 0.16
_ROWS_LOOKED_AT = 4
_PLACE_TOLERANCE_PT = 6.0
_MIN_REPEATS = 3

_NUMBER = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)
_PAGE_NUMBER = re.compile(
    r"(?:page\s*)?[-–—\[(]?\s*(?:\d{1,4}|[ivxl]{1,6})\s*[-–—\])]?(?:\s*(?:of|/|de|von|sur)\s*\d{1,4})?$|第\s*\d+\s*[页頁](?:\s*共\s*\d+\s*[页頁])?$",
    re.IGNORECASE,
)


@dataclass(slots=True)
class PageFurniture:
    """The rows of one page that belong to its frame, not to its text."""

    top: list[Row] = field(default_factory=list)
    bottom: list[Row] = field(default_factory=list)


def is_page_number(text: str) -> bool:
    """Say whether a line is nothing but a page number, such as "12", "- iv -", "Page 3 of 9" or "第3页"."""
    return _PAGE_NUMBER.match(text.strip()) is not None


def set_apart_furniture(
    pages: Sequence[list[Piece]], sizes: Sequence[tuple[float, float]]
) -> tuple[list[list[Piece]], list[PageFurniture]]:
    """Split each page's pieces into its text and its furniture.

    `pages` are consecutive pages, `sizes` their width and height in points. A row near the upper or lower edge is
    furniture if the same words, numbers aside, stand at the same height on at least three of these pages, or if it is
    the outermost row and only a page number.
    """
    edges = [_edge_rows(pieces, size[1]) for pieces, size in zip(pages, sizes, strict=True)]
    places: dict[tuple[bool, str], list[float]] = {}
    for rows in edges:
        for at_top, _, row in rows:
            places.setdefault((at_top, _signature(row)), []).append(row.bottom)
    texts, furniture = [], []
    for pieces, rows in zip(pages, edges, strict=True):
        found = PageFurniture()
        taken: set[int] = set()
        for at_top, outermost, row in rows:
            same = places[at_top, _signature(row)]
            repeats = sum(abs(y - row.bottom) <= _PLACE_TOLERANCE_PT for y in same)
            text = " ".join(p.text for p in row.pieces)
            repeated = repeats >= _MIN_REPEATS and (repeats >= 0.15 * len(pages) or len(text) > 8)
            if repeated or (outermost and is_page_number(text)):
                (found.top if at_top else found.bottom).append(row)
                taken.update(id(p) for p in row.pieces)
        texts.append([p for p in pieces if id(p) not in taken])
        furniture.append(found)
    return texts, furniture


def _edge_rows(pieces: Sequence[Piece], height: float) -> list[tuple[bool, bool, Row]]:
    """The outermost rows of a page, from its edges inwards: whether at the top, whether the outermost, the row."""
    top = rows_of([p for p in pieces if p.bottom <= _ZONE * height])
    bottom = rows_of([p for p in pieces if p.top >= (1 - _ZONE) * height])
    found = [(True, i == 0, row) for i, row in enumerate(top[:_ROWS_LOOKED_AT])]
    found += [(False, i == 0, row) for i, row in enumerate(bottom[: -_ROWS_LOOKED_AT - 1 : -1])]
    return found


def _signature(row: Row) -> str:
    return _NUMBER.sub("#", " ".join(p.text for p in row.pieces)).casefold()
