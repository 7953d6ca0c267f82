"""Text that a PDF holds and a reader does not see: invisible, too small to read, or of the colour behind it.

A model would read it all the same, which is what it is put there for. The invisible text layer over a scan is what the
reader sees on the picture, and stays. Text outside the page MuPDF leaves out by itself.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import pymupdf

from pincite.parsing.text_piece import Rectangle

_SMALLEST_READABLE_PT = 1.5
# The fill, stroke and clip bits of MuPDF's character flags; text with none of them is drawn in render mode 3.
_DRAWN = 16 | 32 | 64
_OPAQUE = 255
_FAINTEST = 13
_WHITE = 0xFFFFFF
# A difference per colour channel that no eye tells from none.
_SAME_COLOUR = 8
_SCAN_SHARE = 0.5
_THINNEST_PT = 3.0
_PICTURES = {"fill-image", "fill-imgmask", "fill-shade"}


class _Fill(NamedTuple):
    """A filled shape; only a rectangle is known to reach everywhere within its bounds."""

    box: Rectangle
    colour: int
    is_whole: bool


def remove_hidden(page: pymupdf.Page, blocks: Sequence[Any]) -> int:
    """Remove the spans that a reader does not see from MuPDF's text blocks; return how many characters they held.

    `blocks` are those of `extractDICT` or `extractRAWDICT`, with vectors.
    """
    sight = _Sight(page, blocks)
    removed = 0
    for block in blocks:
        for line in block.get("lines", ()):
            seen = []
            for span in line["spans"]:
                if sight.hides(span):
                    removed += len("".join(_text(span).split()))
                else:
                    seen.append(span)
            line["spans"] = seen
    return removed


def holds_hidden(page: pymupdf.Page, blocks: Sequence[Any]) -> bool:
    """Say whether any span of the blocks is hidden from the reader."""
    sight = _Sight(page, blocks)
    return any(sight.hides(span) for block in blocks for line in block.get("lines", ()) for span in line["spans"])


class _Sight:
    """What a reader sees of one page."""

    def __init__(self, page: pymupdf.Page, blocks: Sequence[Any]) -> None:
        self._page = page
        self._fills = list(_fills(blocks))
        # White is what most pages are.
        self._behind = {_WHITE, *(fill.colour for fill in self._fills)}
        self._is_behind: dict[int, bool] = {}

    def hides(self, span: Any) -> bool:
        colour = span["color"]
        if span["alpha"] >= _FAINTEST and span["char_flags"] & _DRAWN and span["size"] >= _SMALLEST_READABLE_PT:
            # Most text of most pages ends here: in a colour that nothing behind it has.
            if colour not in self._is_behind:
                self._is_behind[colour] = any(_is_near(colour, behind) for behind in self._behind)
            if not self._is_behind[colour]:
                return False
            return bool(_text(span).strip()) and self._is_lost_in_background(span["bbox"], colour)
        if not _text(span).strip():
            return False
        if span["size"] < _SMALLEST_READABLE_PT:
            return True
        return not self._is_scan

    def _is_lost_in_background(self, box: Rectangle, colour: int) -> bool:
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        for fill in reversed(self._fills):
            if _holds(fill.box, x, y):
                return fill.is_whole and _is_near(fill.colour, colour)
        return _is_near(colour, _WHITE) and not any(_holds(picture, x, y) for picture in self._pictures)

    @cached_property
    def _pictures(self) -> list[Rectangle]:
        """What may be behind light text besides shapes: images and shadings, in the coordinates of the text."""
        return [box for kind, box, *_ in self._page.get_bboxlog() if kind in _PICTURES]

    @cached_property
    def _is_scan(self) -> bool:
        area = abs(self._page.rect.width * self._page.rect.height)
        drawn = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in self._pictures)
        return bool(drawn >= _SCAN_SHARE * max(area, 1.0))


def _fills(blocks: Sequence[Any]) -> Iterator[_Fill]:
    for block in blocks:
        if "isrect" in block and not block["stroked"] and block["alpha"] >= _FAINTEST:
            x0, y0, x1, y1 = block["bbox"]
            if min(x1 - x0, y1 - y0) > _THINNEST_PT:
                is_whole = block["isrect"] and block["alpha"] == _OPAQUE
                yield _Fill((x0, y0, x1, y1), block["color"], is_whole)


def _text(span: Any) -> str:
    return span["text"] if "text" in span else "".join([c["c"] for c in span["chars"]])


def _holds(box: Rectangle, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _is_near(one: int, other: int) -> bool:
    return one == other or all(abs((one >> s & 255) - (other >> s & 255)) <= _SAME_COLOUR for s in (0, 8, 16))
