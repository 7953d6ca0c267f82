"""Rules and boxes tell which words share a cell; frames and underlines do not make a table."""

import pymupdf

from pincite.parsing.pdf import parse_pdf
from tests.parsing.generated_pdf import ENGLISH, column, document, wrapped, write


def text_of(pdf: pymupdf.Document) -> str:
    return parse_pdf(pdf.tobytes(), "table.pdf").text


def grid(page: pymupdf.Page, xs: list[float], ys: list[float]) -> None:
    for x in xs:
        page.draw_line((x, ys[0]), (x, ys[-1]))
    for y in ys:
        page.draw_line((xs[0], y), (xs[-1], y))


def test_a_table_of_boxes_is_read_like_one_of_rules() -> None:
    pdf = document([])
    for i in range(2):
        for j in range(2):
            pdf[0].draw_rect(pymupdf.Rect(100 + 120 * j, 100 + 40 * i, 220 + 120 * j, 140 + 40 * i))
            for x, y, text in column(105 + 120 * j, 115 + 40 * i + 5 * j, [f"cell {i}{j}", "goes on"]):
                write(pdf[0], x, y, text)
    assert text_of(pdf) == "cell 00\ngoes on\tcell 01\ngoes on\ncell 10\ngoes on\tcell 11\ngoes on"


def test_a_table_open_at_its_sides_keeps_its_outer_columns() -> None:
    pdf = document([])
    page = pdf[0]
    for rule in (100, 120, 160):
        page.draw_line((70, rule), (400, rule))
    for rule in (180, 290):
        page.draw_line((rule, 100), (rule, 160))
    for x, y, text in [(75.0, 115.0, "Package"), (185.0, 115.0, "Size"), (295.0, 115.0, "Use")]:
        write(page, x, y, text)
    for x, y, text in [(75.0, 145.0, "xsel"), (185.0, 145.0, "59"), *column(295, 138, ["copies", "and pastes"])]:
        write(page, x, y, text)
    assert text_of(pdf) == "Package\tSize\tUse\nxsel\t59\tcopies\nand pastes"


def test_a_line_drawn_over_two_cells_is_cut_at_the_rule() -> None:
    pdf = document([])
    grid(pdf[0], [70, 110, 200], [100, 120, 140, 160])
    for i, row in enumerate(["ab12 cd", "ef34 gh", "kd56 op"]):
        write(pdf[0], 82, 115 + 20 * i, row)
    assert text_of(pdf) == "ab12\tcd\nef34\tgh\nkd56\top"


def test_rows_of_figures_between_two_rules_are_rows() -> None:
    pdf = document([])
    grid(pdf[0], [70, 170, 270, 370], [100, 120, 180])
    for j, head in enumerate(["State", "Sold", "Left"]):
        write(pdf[0], 75 + 100 * j, 115, head)
    for i, row in enumerate([("Ohio", "12", "7"), ("Iowa", "5", "9"), ("Utah", "1", "3")]):
        for j, cell in enumerate(row):
            write(pdf[0], 75 + 100 * j, 135 + 18 * i, cell)
    assert text_of(pdf) == "State\tSold\tLeft\nOhio\t12\t7\nIowa\t5\t9\nUtah\t1\t3"


def test_a_merged_cell_is_read_once() -> None:
    pdf = document([])
    page = pdf[0]
    grid(page, [70, 170, 270], [120, 140, 160])
    page.draw_rect(pymupdf.Rect(70, 100, 270, 120))
    write(page, 100, 115, "Prices in euro")
    for i in range(2):
        for j in range(2):
            write(page, 75 + 100 * j, 135 + 20 * i, f"c{i}{j}")
    assert text_of(pdf) == "Prices in euro\nc00\tc01\nc10\tc11"


def test_a_frame_an_underline_and_a_margin_line_are_no_table() -> None:
    lines = wrapped(ENGLISH, 300)
    pdf = document(column(72, 100, lines))
    pdf[0].draw_rect(pymupdf.Rect(60, 80, 400, 200))
    pdf[0].draw_line((72, 102), (150, 102))
    pdf[0].draw_line((50, 60), (50, 700))
    assert text_of(pdf).split() == ENGLISH.split()
    assert "\t" not in text_of(pdf)
