"""A piece of a line as a PDF draws it: text without a wide gap, with its words and their boxes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

# A gap narrower than this many font sizes is no space.
_GLUED = 0.18

Rectangle = tuple[float, float, float, float]


class Style(NamedTuple):
    """How the characters `start`..`end` of a piece look; `size` is the font size in points."""

    start: int
    end: int
    size: float
    bold: bool


def in_reading_frame(boxes: list[Rectangle], direction: tuple[int, int]) -> list[Rectangle]:
    """Turn rectangles of the displayed page so that text of this direction runs from left to right."""
    if direction == (1, 0):
        return boxes
    if direction == (0, -1):
        return [(-y1, x0, -y0, x1) for x0, y0, x1, y1 in boxes]
    if direction == (0, 1):
        return [(y0, -x1, y1, -x0) for x0, y0, x1, y1 in boxes]
    if direction == (-1, 0):
        return [(-x1, -y1, -x0, -y0) for x0, y0, x1, y1 in boxes]
    return boxes


@dataclass(slots=True)
class Piece:
    """Text that stands together on one line.

    `x0 top x1 bottom` bound the ink in the reading frame: the page turned so that the text runs from left to right and
    lines follow downwards; `bottom` is the baseline, `top` about the height of a capital. `words` are ranges of `text`,
    ascending and disjoint, and `boxes` their rectangles on the page as displayed (points, origin top left);
    `direction` is where the text runs to on that page.
    `space_before`, `space_after`: a space was drawn at that edge, and is not part of `text`.
    A piece that stands for a whole table has no text and no words of its own; `cells` are its rows of cells of pieces.
    """

    text: str
    words: list[tuple[int, int]]
    boxes: list[Rectangle]
    styles: tuple[Style, ...]
    x0: float
    top: float
    x1: float
    bottom: float
    size: float
    direction: tuple[int, int] = (1, 0)
    right_to_left: bool = False
    space_before: bool = False
    space_after: bool = False
    cells: "tuple[tuple[tuple[Piece, ...], ...], ...] | None" = None

    @property
    def middle(self) -> float:
        """The height of the ink's middle in the reading frame."""
        return (self.top + self.bottom) / 2

    @property
    def width(self) -> float:
        """The length of the ink along the line."""
        return self.x1 - self.x0

    def cut_at(self, x: float) -> "list[Piece]":
        """Return the piece in two at the position `x` along the line, or whole where `x` is not between two words."""
        placed = in_reading_frame(self.boxes, self.direction)
        first = sum((box[0] + box[2]) / 2 < x for box in placed)
        if self.right_to_left or not 0 < first < len(self.words):
            return [self]
        return [
            self._part(0, first, self.x0, placed[first - 1][2]),
            self._part(first, len(self.words), placed[first][0], self.x1),
        ]

    def _part(self, first: int, last: int, x0: float, x1: float) -> "Piece":
        start, end = self.words[first][0], self.words[last - 1][1]
        return replace(
            self,
            text=self.text[start:end],
            words=[(s - start, e - start) for s, e in self.words[first:last]],
            boxes=self.boxes[first:last],
            styles=tuple(
                Style(max(s.start, start) - start, min(s.end, end) - start, s.size, s.bold)
                for s in self.styles
                if s.start < end and s.end > start
            ),
            x0=x0,
            x1=x1,
            space_before=self.space_before if first == 0 else True,
            space_after=self.space_after if last == len(self.words) else True,
        )


def spaced(pieces: Sequence[Piece]) -> Iterator[tuple[str, Piece]]:
    """Yield the pieces of a line, each with what separates it from the piece before: nothing or a space."""
    last: Piece | None = None
    for piece in pieces:
        if last is None:
            yield "", piece
        else:
            gap = max(piece.x0 - last.x1, last.x0 - piece.x1)
            apart = last.space_after or piece.space_before or gap > _GLUED * max(last.size, piece.size)
            yield (" " if apart else ""), piece
        last = piece


def usual_size(pieces: Sequence[Piece]) -> float:
    """Return the size of most of the characters of a line."""
    return pieces[0].size if len(pieces) == 1 else max(pieces, key=lambda p: len(p.text)).size


def joined_text(pieces: Sequence[Piece]) -> str:
    """Return what the pieces of a line read together."""
    if len(pieces) == 1:
        return pieces[0].text
    return "".join(lead + piece.text for lead, piece in spaced(pieces))
