"""A PDF's outline (its bookmarks) as sections, each placed where its heading stands in the text."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isnan
from typing import Any

import pymupdf

from pincite.document import Page, Section
from pincite.parsing.document_assembly import SetLine

_MAX_ENTRIES = 20_000
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
_NUMBER = re.compile(r"^(?:(?:chapter|section|part|appendix)\s)?[\dA-Z]{1,3}(?:\.\d+)*[.:)]?\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OutlineEntry:
    """A bookmark: `page` is 1-based, `y` the height it points at in points from the page's top, or None."""

    level: int
    title: str
    page: int
    y: float | None


def read_outline(pdf: pymupdf.Document) -> list[OutlineEntry]:
    """Return the bookmarks that point at a page of the document."""
    entries = []
    # Not `get_toc`, which resolves every name in the file anew, in Python: MuPDF has done so for the bookmarks.
    for level, bookmark in islice(_bookmarks(pdf), _MAX_ENTRIES):
        shown = " ".join((bookmark.title or "").split())
        if shown and 0 <= bookmark.page < pdf.page_count:
            entries.append(OutlineEntry(level, shown[:300], bookmark.page + 1, _height(bookmark)))
    return entries


def _bookmarks(pdf: pymupdf.Document) -> Iterator[tuple[int, Any]]:
    """Yield the bookmarks in their order, each with its level, of which the top is 1."""
    waiting = [(1, pdf.outline)]
    while waiting:
        level, bookmark = waiting.pop()
        if bookmark is not None and bookmark.this.m_internal is not None:
            yield level, bookmark
            waiting += [(level, bookmark.next), (level + 1, bookmark.down)]


def _height(bookmark: Any) -> float | None:
    """Return where on its page a bookmark points at, None where that is the whole page or its corner."""
    is_corner = bookmark.y == 0 and not bookmark.x > 0
    return None if isnan(bookmark.y) or is_corner else float(bookmark.y)


def sections_of_outline(
    entries: Sequence[OutlineEntry], text: str, pages: Sequence[Page], lines: Sequence[SetLine]
) -> list[Section]:
    """Place every entry at its heading's line on its page, else at the line it points at, else at the page's start."""
    page_numbers = [line.page for line in lines]
    sections: list[Section] = []
    for entry in entries:
        first = bisect_left(page_numbers, entry.page)
        last = bisect_left(page_numbers, entry.page + 1)
        start = _place(entry, text, lines[first:last])
        sections.append(Section(pages[entry.page - 1].start if start is None else start, entry.level, entry.title))
    sections.sort(key=lambda s: s.start)
    return sections


def _place(entry: OutlineEntry, text: str, lines: Sequence[SetLine]) -> int | None:
    wanted = tuple({_squeezed(entry.title), _squeezed(_NUMBER.sub("", entry.title))} - {""})
    matches = [i for i in range(len(lines)) if _starts_with(text, lines, i, wanted)]
    if matches:
        return lines[min(matches, key=lambda i: _distance(entry, lines, i))].start
    if entry.y is not None:
        below = [line for line in lines if line.y >= entry.y - 3]
        if below:
            return min(below, key=lambda line: line.y).start
    return None


def _distance(entry: OutlineEntry, lines: Sequence[SetLine], index: int) -> float:
    # Without a height the largest type is the likeliest.
    return abs(lines[index].y - entry.y) if entry.y is not None else -lines[index].size


def _starts_with(text: str, lines: Sequence[SetLine], index: int, wanted: tuple[str, ...]) -> bool:
    start = lines[index].start
    end = min(lines[min(index + 2, len(lines) - 1)].end, start + 2 * max(map(len, wanted), default=0) + 20)
    shown = text[start:end].lstrip()
    if _squeezed(shown).startswith(wanted):
        return True
    number = _NUMBER.match(shown)
    return number is not None and _squeezed(shown[number.end() :]).startswith(wanted)


def _squeezed(text: str) -> str:
    return _NOT_ALPHANUMERIC.sub("", text.casefold())


def with_headings_between(outline: Sequence[Section], headings: Sequence[Section]) -> list[Section]:
    """Add headings to an outline, each under the entry it stands in; one the outline has already is left out."""
    starts = [s.start for s in outline]
    known = {_squeezed(s.title) for s in outline}
    added = []
    for heading in headings:
        if heading.start in starts or _squeezed(heading.title) in known:
            continue
        at = bisect_right(starts, heading.start) - 1
        above = outline[at].level if at >= 0 else 0
        added.append(Section(heading.start, above + heading.level, heading.title))
    return sorted([*outline, *added], key=lambda s: s.start)
