"""Where a range of a document's text stands on its page."""

import numpy as np

from pincite.document import Box, Page


def boxes(page: Page, start: int, end: int) -> list[Box]:
    """Return one box per visual line for the words of `page` that the range `start`..`end` touches, in reading order.

    `start` and `end` are offsets into the document's text; a word that is only partly inside counts whole. The list is
    empty where the range is empty, lies elsewhere, or covers only white space.
    """
    words = page.words
    first = int(np.searchsorted(words.ends, start, side="right"))
    last = int(np.searchsorted(words.starts, end, side="left"))
    if start >= end or first >= last:
        return []
    lines = words.lines[first:last]
    rectangles = words.boxes[first:last]
    line_starts = np.concatenate(([0], np.flatnonzero(np.diff(lines)) + 1))
    top_left = np.minimum.reduceat(rectangles[:, :2], line_starts, axis=0)
    bottom_right = np.maximum.reduceat(rectangles[:, 2:], line_starts, axis=0)
    corners = np.concatenate((top_left, bottom_right), axis=1).tolist()
    return [Box(page.number, *line) for line in corners]
