"""A range of text becomes one box per line, and never a box outside the words it touches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pincite.document import Page, Words
from pincite.positions import boxes


def page_of(lines: list[list[int]]) -> Page:
    """A page whose words have the given lengths, line by line: 10 points a character, lines 20 points apart."""
    starts, ends, rectangles, numbers = [], [], [], []
    offset = 0
    for number, lengths in enumerate(lines):
        x = 0
        for length in lengths:
            starts.append(offset)
            ends.append(offset + length)
            rectangles.append((x, 20 * number, x + 10 * length, 20 * number + 12))
            numbers.append(number)
            offset += length + 1
            x += 10 * (length + 1)
    words = Words(
        np.array(starts, np.int32),
        np.array(ends, np.int32),
        np.array(rectangles, np.float32).reshape(-1, 4),
        np.array(numbers, np.int32),
    )
    return Page(3, None, 0, offset, 600, 800, words)


def test_words_of_one_line_share_one_box() -> None:
    page = page_of([[5, 3, 4], [2, 2]])
    assert boxes(page, 0, 9) == [(3, 0, 0, 90, 12)]


def test_a_range_over_two_lines_has_a_tight_box_on_each() -> None:
    page = page_of([[5, 3, 4], [2, 2]])
    assert boxes(page, 10, 16) == [(3, 100, 0, 140, 12), (3, 0, 20, 20, 32)]


def test_a_word_touched_by_one_character_counts_whole() -> None:
    page = page_of([[5, 3]])
    assert boxes(page, 4, 5) == [(3, 0, 0, 50, 12)]


def test_ranges_without_a_word_have_no_box() -> None:
    page = page_of([[5, 3]])
    assert boxes(page, 5, 6) == []  # the space between
    assert boxes(page, 2, 2) == []  # empty, inside a word
    assert boxes(page, 7, 3) == []
    assert boxes(page, 500, 600) == []
    assert boxes(Page(1, None, 0, 0, 10, 10, Words.none()), 0, 100) == []


layouts = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=8)


@given(layouts, st.integers(-5, 400), st.integers(-5, 400))
def test_boxes_are_the_unions_of_the_touched_words_line_by_line(lines: list[list[int]], start: int, end: int) -> None:
    page = page_of(lines)
    expected: dict[int, list[float]] = {}
    words = page.words
    if start < end:
        for s, e, box, line in zip(words.starts, words.ends, words.boxes.tolist(), words.lines.tolist(), strict=True):
            if s < end and e > start:
                x0, y0, x1, y1 = box
                known = expected.setdefault(line, box)
                expected[line] = [min(known[0], x0), min(known[1], y0), max(known[2], x1), max(known[3], y1)]
    assert [list(box[1:]) for box in boxes(page, start, end)] == list(expected.values())
