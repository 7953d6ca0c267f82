"""The layers over a page's picture stand where the words stand."""

import numpy as np

from http_server.viewer.page_picture import marked_boxes, text_layer
from http_server.viewer.target import Target
from pincite.document import Page, Words

TEXT = "notice of termination\nשלום עולם"


def page() -> Page:
    """200 points wide; one line from the left, one from the right."""
    words = [
        (0, 6, (20, 10, 60, 22), 0),
        (7, 9, (64, 10, 74, 22), 0),
        (10, 21, (80, 10, 150, 22), 0),
        (22, 26, (150, 40, 180, 52), 1),
        (27, 31, (110, 40, 145, 52), 1),
    ]
    return Page(
        1,
        None,
        0,
        len(TEXT),
        200,
        100,
        Words(
            np.array([word[0] for word in words], np.int32),
            np.array([word[1] for word in words], np.int32),
            np.array([word[2] for word in words], np.float32),
            np.array([word[3] for word in words], np.int32),
        ),
    )


def test_a_word_reaches_to_the_next_one_so_that_a_selection_has_no_holes() -> None:
    first = text_layer(page(), TEXT)[0]
    assert [(word.text, word.left, word.width) for word in first.words] == [
        ("notice ", 10, 22),
        ("of ", 32, 8),
        ("termination", 40, 35),
    ]
    assert (first.top, first.height) == (5, 6)


def test_words_written_from_the_right_reach_to_the_left() -> None:
    second = text_layer(page(), TEXT)[1]
    assert [(word.text, word.left, word.width, word.right_to_left) for word in second.words] == [
        ("שלום ", 72.5, 17.5, True),
        ("עולם", 55, 17.5, False),
    ]


def test_the_passage_has_a_box_a_line_and_each_term_its_own() -> None:
    marks = marked_boxes(page(), Target(start=7, end=26, terms=((10, 21),)))
    assert marks.passage == ((1, 64, 10, 150, 22), (1, 150, 40, 180, 52))
    assert marks.terms == ((1, 80, 10, 150, 22),)
    assert marks.sentences == ()


def test_a_page_without_words_has_no_text_layer() -> None:
    assert text_layer(Page(1, None, 0, 0, 200, 100, Words.none()), "") == ()
