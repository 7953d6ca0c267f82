"""A piece of a line as a PDF draws it: text without a wide gap, with its words and their boxes."""

from dataclasses import dataclass
from typing import NamedTuple

Rectangle = tuple[float, float, float, float]


class Style(NamedTuple):
    """How the characters `start`..`end` of a piece look; `size` is the font size in points."""

    start: int
    end: int
    size: float
    bold: bool


@dataclass(slots=True)
class Piece:
    """Text that stands together on one line.

    `x0 top x1 bottom` bound the ink in the reading frame: the page turned so that the text runs from left to right and
    lines follow downwards; `bottom` is the baseline, `top` about the height of a capital. `words` are ranges of `text`,
    ascending and disjoint, and `boxes` their rectangles on the page as displayed (points, origin top left).
    `space_before`, `space_after`: a space was drawn at that edge, and is not part of `text`.
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
    right_to_left: bool = False
    space_before: bool = False
    space_after: bool = False

    @property
    def middle(self) -> float:
        """The height of the ink's middle in the reading frame."""
        return (self.top + self.bottom) / 2

    @property
    def width(self) -> float:
        """The length of the ink along the line."""
        return self.x1 - self.x0
