"""What a parsed document is: its verbatim text, and where on which page each word of it stands."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Box(NamedTuple):
    """A rectangle on a page: `page` is the 1-based physical page, the rest PDF points with the origin top left.

    The coordinates are those of the page as a reader sees it, after its rotation.
    """

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one page in reading order, as arrays of equal length n.

    `starts`, `ends`: (n,) int32, character offsets into the document's text, ascending and disjoint.
    `boxes`: (n, 4) float32, x0 y0 x1 y1 in points. `lines`: (n,) int32, the visual line each word belongs to,
    ascending, counted from 0 on each page (a table row is one line per cell line, so that boxes stay tight).
    """

    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    boxes: npt.NDArray[np.float32]
    lines: npt.NDArray[np.int32]

    @staticmethod
    def none() -> "Words":
        """A page without words."""
        empty = np.zeros(0, np.int32)
        return Words(empty, empty, np.zeros((0, 4), np.float32), empty)


@dataclass(frozen=True, slots=True)
class Page:
    """One physical page: `number` is 1-based, `start`..`end` its range in the document's text, sizes in points."""

    number: int
    label: str | None
    start: int
    end: int
    width: float
    height: float
    words: Words


@dataclass(frozen=True, slots=True)
class Section:
    """A heading at `start` in the text; it reaches to the next of the same or a higher `level` (1 is the top)."""

    start: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose header row is `start`..`header_end` in the text, and whose other rows reach to `end`."""

    start: int
    header_end: int
    end: int


@dataclass(frozen=True, slots=True)
class ParseWarning:
    """Something a reader of the document should know, such as "page 7 has no text; it looks scanned"."""

    code: str
    message: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document as parsed: `text` is verbatim, and pages, sections and blocks are ranges of it.

    Pages are in order and do not overlap; a format without pages has none. `blocks` are the ranges that should stay
    together when the text is cut (a paragraph, a list item, a table row), ascending and disjoint; so are `tables`,
    which are those with a header row.
    """

    title: str
    media_type: str
    text: str
    pages: tuple[Page, ...] = ()
    sections: tuple[Section, ...] = ()
    blocks: tuple[tuple[int, int], ...] = ()
    warnings: tuple[ParseWarning, ...] = field(default=())
    tables: tuple[Table, ...] = ()
