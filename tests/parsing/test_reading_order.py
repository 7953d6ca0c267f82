"""Pieces of text are read column by column where they are prose, and line by line where they are not."""

from hypothesis import given
from hypothesis import strategies as st

from pincite.parsing.reading_order import columns_of, rows_of
from pincite.parsing.text_piece import Piece

SIZE = 10.0


def piece(text: str, x0: float, bottom: float, width: float, *, right_to_left: bool = False) -> Piece:
    return Piece(
        text=text,
        words=[(0, len(text))],
        boxes=[(x0, bottom - SIZE, x0 + width, bottom)],
        styles=(),
        x0=x0,
        top=bottom - 0.7 * SIZE,
        x1=x0 + width,
        bottom=bottom,
        size=SIZE,
        right_to_left=right_to_left,
    )


def prose(name: str, x0: float, top: float, lines: int, *, right_to_left: bool = False) -> list[Piece]:
    text = f"{name} a line that fills its column"
    return [piece(f"{text} {i}", x0, top + 12 * i, 200, right_to_left=right_to_left) for i in range(lines)]


def names(pieces: list[Piece]) -> list[str]:
    """The first words in reading order, repeats left out."""
    order: list[str] = []
    for column in columns_of(pieces):
        for row in rows_of(column.pieces):
            for found in row.pieces:
                name = found.text.split()[0]
                if order[-1:] != [name]:
                    order.append(name)
    return order


def test_columns_of_prose_are_read_one_after_the_other() -> None:
    assert names(prose("left", 50, 100, 12) + prose("right", 280, 106, 10)) == ["left", "right"]


def test_columns_of_a_right_to_left_page_begin_on_the_right() -> None:
    pieces = prose("left", 50, 100, 12, right_to_left=True) + prose("right", 280, 100, 12, right_to_left=True)
    assert names(pieces) == ["right", "left"]


def test_a_heading_over_both_columns_comes_first_and_a_footnote_last() -> None:
    top = [piece("heading over everything", 50, 80, 430)]
    foot = [piece("foot of everything", 50, 300, 430)]
    pieces = foot + prose("left", 50, 100, 12) + prose("right", 280, 100, 12) + top
    assert names(pieces) == ["heading", "left", "right", "foot"]


def test_short_cells_side_by_side_are_read_row_by_row() -> None:
    cells = [piece(f"r{i}c{j}", 50 + 120 * j, 100 + 14 * i, 40) for i in range(6) for j in range(3)]
    assert names(cells) == [f"r{i}c{j}" for i in range(6) for j in range(3)]


def test_long_cells_that_begin_level_in_every_row_are_no_columns() -> None:
    pieces = []
    for i in range(5):
        pieces += prose(f"left{i}", 50, 100 + 60 * i, 3) + prose(f"right{i}", 280, 100 + 60 * i, 3)
    order = names(pieces)
    assert order.index("right0") < order.index("left1") < order.index("right1") < order.index("left2")


def test_a_number_hanging_before_its_paragraph_is_read_with_it() -> None:
    numbers = [piece(f"{i}.", 50, 100 + 48 * i, 10) for i in range(5)]
    texts = [p for i in range(5) for p in prose(f"text{i}", 80, 100 + 48 * i, 4)]
    assert names(numbers + texts) == [name for i in range(5) for name in (f"{i}.", f"text{i}")]


def test_a_raised_note_mark_stays_in_its_line() -> None:
    mark = piece("1", 250, 96, 4)
    mark.size, mark.top = 6.0, 92.0
    rows = rows_of([*prose("text", 50, 100, 2), mark])
    assert [len(row.pieces) for row in rows] == [2, 1]


PLACES = st.tuples(st.floats(0, 600), st.floats(0, 800), st.floats(1, 400), st.booleans())


@given(st.lists(PLACES, max_size=60))
def test_every_piece_is_read_exactly_once(places: list[tuple[float, float, float, bool]]) -> None:
    pieces = [piece(f"p{i}", x, y, width, right_to_left=rtl) for i, (x, y, width, rtl) in enumerate(places)]
    read = [p.text for column in columns_of(pieces) for row in rows_of(column.pieces) for p in row.pieces]
    assert sorted(read) == sorted(p.text for p in pieces)
