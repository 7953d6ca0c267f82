"""The layers over a page's picture: the marks of the passage, and its words where the reader can select them."""

from dataclasses import dataclass

import numpy as np

from http_server.viewer.target import Target
from pincite.document import Box, Page
from pincite.positions import boxes

LINE_TO_FONT_SIZE = 0.8  # a word's box reaches from ascender to descender, about 1.25 times the font size


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """A word of the text layer; `left` and `width` are per cent of the page's width."""

    text: str
    left: float
    width: float
    right_to_left: bool


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A visual line of the text layer; all lengths are per cent of the page's width."""

    top: float
    height: float
    font_size: float
    words: tuple[PlacedWord, ...]


@dataclass(frozen=True, slots=True)
class MarkedBoxes:
    """The boxes to draw on one page, in points; `terms` are drawn strongest."""

    passage: tuple[Box, ...]
    sentences: tuple[Box, ...]
    terms: tuple[Box, ...]

    def __bool__(self) -> bool:
        return bool(self.passage or self.sentences or self.terms)


def marked_boxes(page: Page, target: Target) -> MarkedBoxes:
    """Return the boxes of the target's passage, sentences and matched terms on `page`."""
    return MarkedBoxes(
        passage=tuple(boxes(page, target.start, target.end)),
        sentences=tuple(box for start, end in target.sentences for box in boxes(page, start, end)),
        terms=tuple(box for start, end in target.terms for box in boxes(page, start, end)),
    )


def text_layer(page: Page, text: str) -> tuple[PlacedLine, ...]:
    """Return the words of `page` placed line by line; `text` is the document's.

    A word that is followed by a space reaches to the next word, so that a selection shows no holes.
    """
    words = page.words
    if not len(words.starts) or page.width <= 0:
        return ()
    rectangles = words.boxes * (100.0 / page.width)
    cuts = np.flatnonzero(np.diff(words.lines)) + 1
    lines = []
    for first, last in zip([0, *cuts.tolist()], [*cuts.tolist(), len(words.starts)], strict=True):
        corners = rectangles[first:last].tolist()
        spans = list(zip(words.starts[first:last].tolist(), words.ends[first:last].tolist(), strict=True))
        top = min(corner[1] for corner in corners)
        height = max(corner[3] for corner in corners) - top
        placed = tuple(_place(text, spans, corners, i) for i in range(len(spans)))
        lines.append(PlacedLine(round(top, 2), round(height, 2), round(height * LINE_TO_FONT_SIZE, 2), placed))
    return tuple(lines)


def _place(text: str, spans: list[tuple[int, int]], corners: list[list[float]], i: int) -> PlacedWord:
    start, end = spans[i]
    left, _, right, _ = corners[i]
    word, right_to_left = text[start:end], False
    if i + 1 < len(spans) and spans[i + 1][0] > end:
        word += " "
        next_left, _, next_right, _ = corners[i + 1]
        if next_left >= right:
            right = next_left
        elif next_right <= left:
            left, right_to_left = next_right, True
    return PlacedWord(word, round(left, 2), round(right - left, 2), right_to_left)
