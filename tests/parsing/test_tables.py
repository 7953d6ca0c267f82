"""Every format says which rows are a table's, and which of them is its header."""

import io
from collections.abc import Callable

import docx
import openpyxl
import pymupdf
import pytest
from pptx import Presentation
from pptx.util import Inches

from pincite.document_codec import decode, encode
from pincite.parsing import parse

ROWS = [["Item", "Price"], ["Pump", "120"], ["Valve", "35"]]


def as_csv() -> tuple[bytes, str]:
    return "\n".join(",".join(row) for row in ROWS).encode(), "a.csv"


def as_html() -> tuple[bytes, str]:
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in ROWS)
    return f"<html><body><p>Prices</p><table>{rows}</table><p>End</p></body></html>".encode(), "a.html"


def as_xlsx() -> tuple[bytes, str]:
    book = openpyxl.Workbook()
    for row in ROWS:
        book["Sheet"].append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue(), "a.xlsx"


def as_docx() -> tuple[bytes, str]:
    file = docx.Document()
    file.add_paragraph("Prices")
    table = file.add_table(3, 2)
    for row, texts in zip(table.rows, ROWS, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    file.add_paragraph("End")
    out = io.BytesIO()
    file.save(out)
    return out.getvalue(), "a.docx"


def as_pptx() -> tuple[bytes, str]:
    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[5])
    slide.shapes.title.text = "Prices"
    table = slide.shapes.add_table(3, 2, Inches(1), Inches(2), Inches(6), Inches(2)).table
    for i, row in enumerate(ROWS):
        for j, text in enumerate(row):
            table.cell(i, j).text = text
    out = io.BytesIO()
    show.save(out)
    return out.getvalue(), "a.pptx"


def as_pdf() -> tuple[bytes, str]:
    file = pymupdf.open()
    page = file.new_page()
    page.insert_text((72, 80), "Prices of the year")
    for i, row in enumerate(ROWS):
        for j, text in enumerate(row):
            box = pymupdf.Rect(72 + 150 * j, 100 + 30 * i, 222 + 150 * j, 130 + 30 * i)
            page.draw_rect(box)
            page.insert_text((box.x0 + 5, box.y0 + 20), text)
    page.insert_text((72, 260), "The end of the page")
    return bytes(file.tobytes()), "a.pdf"


@pytest.mark.parametrize("made", [as_csv, as_html, as_xlsx, as_docx, as_pptx, as_pdf])
def test_a_table_has_its_header_and_its_rows(made: Callable[[], tuple[bytes, str]]) -> None:
    document = parse(*made())
    [table] = document.tables
    assert document.text[table.start : table.header_end].startswith("Item")
    rest = document.text[table.header_end : table.end]
    assert "Pump" in rest
    assert rest.endswith("35")
    assert "End" not in rest
    assert decode(encode(document)).tables == document.tables


def test_a_table_without_a_row_of_words_has_no_header() -> None:
    assert parse(b"1,2\n3,4\n5,6", "a.csv").tables == ()
    assert parse(b"Name,City", "a.csv").tables == ()
