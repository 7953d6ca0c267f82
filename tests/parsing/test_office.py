"""Presentations, workbooks and books."""

import datetime
import io
import zipfile
from typing import Any

import openpyxl
import pytest
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from pincite.document import Document
from pincite.errors import CorruptDocument, EncryptedDocument
from pincite.parsing.epub import parse_epub
from pincite.parsing.pptx import parse_pptx
from pincite.parsing.xlsx import parse_xlsx
from pincite.parsing.xlsx_display import shown


def sections(document: Document) -> list[tuple[int, str]]:
    return [(s.level, s.title) for s in document.sections]


def test_each_slide_is_a_page_with_its_title_tables_charts_and_notes() -> None:
    deck = Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "Results 2024"
    first.placeholders[1].text = "Revenue rose\nCosts fell"
    first.notes_slide.notes_text_frame.text = "Mention the weather"
    second = deck.slides.add_slide(deck.slide_layouts[6])
    table = second.shapes.add_table(1, 2, Inches(1), Inches(3), Inches(4), Inches(1)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "North", "0.1"
    second.shapes.add_textbox(Inches(1), Inches(1), Inches(2), Inches(1)).text_frame.text = "Above the table"
    data: Any = CategoryChartData()  # type: ignore[no-untyped-call]
    data.categories = ["Q1", "Q2"]
    data.add_series("Sales", (1.1, 2))
    second.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, Inches(1), Inches(5), Inches(3), Inches(2), data)
    deck.slides.add_slide(deck.slide_layouts[6])
    out = io.BytesIO()
    deck.save(out)

    document = parse_pptx(out.getvalue(), "deck.pptx")
    pages = [document.text[p.start : p.end] for p in document.pages]
    assert pages == [
        "Results 2024\n\nRevenue rose\nCosts fell\n\nMention the weather",
        "Above the table\n\nNorth | 0.1\nSales\nQ1 | 1.1\nQ2 | 2",
        "",
    ]
    assert [(p.number, p.width, p.height) for p in document.pages] == [(n, 720.0, 540.0) for n in (1, 2, 3)]
    assert sections(document) == [(1, "Results 2024")]
    assert [(w.code, w.page) for w in document.warnings] == [("page_without_text", 3)]


def test_a_picture_that_cannot_be_unpacked_is_damage() -> None:
    out = io.BytesIO()
    Presentation().save(out)
    data = bytearray(out.getvalue())
    picture = zipfile.ZipFile(out).getinfo("docProps/thumbnail.jpeg")
    # The stream follows the header and the name: a block of a kind that deflate does not have (RFC 1951, 3.2.3).
    data[picture.header_offset + 30 + len(picture.filename)] |= 0b110
    with pytest.raises(CorruptDocument, match="save it again"):
        parse_pptx(bytes(data), "show.pptx")


def workbook() -> Any:
    book: Any = openpyxl.Workbook()
    book.active.title = "Prices"
    return book


def read(book: Any) -> Document:
    out = io.BytesIO()
    book.save(out)
    return parse_xlsx(out.getvalue(), "Price list.xlsx")


def test_sheets_are_sections_and_cells_look_as_in_the_spreadsheet() -> None:
    book = workbook()
    book.active.append(["Item", "Price", "Since", "Share", "In stock"])
    book.active.append(["Pump", 0.1, datetime.date(2024, 3, 1), 0.25, True])
    book.active["D2"].number_format = "0%"
    book.active.append([None, None, "gap before"])
    book.create_sheet("Empty")
    book.create_sheet("Secret").append(["unseen"])
    book["Secret"].sheet_state = "hidden"
    document = read(book)
    assert document.text == (
        "Prices\n\nItem | Price | Since | Share | In stock\nPump | 0.1 | 2024-03-01 | 25% | TRUE\n|  | gap before"
    )
    assert sections(document) == [(1, "Prices")]
    assert document.title == "Price list"
    assert [w.code for w in document.warnings] == ["hidden_sheets"]


def test_formulas_without_a_stored_result_are_reported() -> None:
    book = workbook()
    book.active.append([1, 2, "=A1+B1"])
    document = read(book)
    assert document.text == "Prices\n\n1 | 2"
    assert [w.message[:13] for w in document.warnings] == ["1 formulas ha"]


def test_a_cell_at_the_far_corner_costs_nothing() -> None:
    book = workbook()
    book.active["A1"] = "first"
    book.active["XFD1048576"] = "last"
    assert read(book).text == "Prices\n\nfirst\nlast"


def test_a_sheet_whose_row_numbers_are_damaged_keeps_what_was_read() -> None:
    book = workbook()
    book.active.append(["kept"])
    book.active.append(["lost"])
    out = io.BytesIO()
    book.save(out)
    damaged = io.BytesIO()
    with zipfile.ZipFile(out) as source, zipfile.ZipFile(damaged, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b'<row r="2"', b'<row r="99999999999"'))
    document = parse_xlsx(damaged.getvalue(), "x.xlsx")
    assert document.text == "Prices\n\nkept"
    assert [w.code for w in document.warnings] == ["sheet_failed"]


@pytest.mark.parametrize(
    ("value", "number_format", "expected"),
    [
        (0.1, "General", "0.1"), (0.1 + 0.2, "General", "0.3"), (5.0, "General", "5"), (-7, "General", "-7"),
        (1 / 3, "General", "0.333333333333333"), (1e20, "General", "1e+20"), (10**16, "General", "10000000000000000"),
        (1234567.891, "#,##0.00", "1,234,567.89"), (1.005, "0.00", "1.01"), (2.5, "0.##", "2.5"), (2, "0.##", "2"),
        (0.256, "0%", "26%"), (0.256, "0.0%", "25.6%"), (100, '0.0"%"', "100.0%"), (7, "000", "007"),
        (-5, "#,##0;(#,##0)", "(5)"), (1234.5, '"¥"#,##0.00', "¥1,234.50"), (1234.5, "[$¥-804]#,##0.00", "¥1,234.50"),
        (-3.2, "$#,##0.00", "-$3.20"), (0, '_($* "-"??_)', "$-"), (12345678, "#,##0,", "12,346"), (3, '0" kg"', "3 kg"),
        (12345.678, "0.00E+00", "1.23E+04"), (0.5, "# ?/?", "0.5"), (True, "General", "TRUE"), (12, "@", "12"),
        (datetime.datetime(2024, 3, 1), "yyyy-mm-dd", "2024-03-01"),
        (datetime.datetime(2024, 3, 1, 9, 30), "dd/mm/yy hh:mm", "2024-03-01 09:30:00"),
        (datetime.time(9, 5), "hh:mm", "09:05:00"), (datetime.timedelta(hours=30), "[h]:mm", "30:00:00"),
        (None, "0", ""),
    ],
)  # fmt: skip
def test_numbers_and_dates_are_shown_as_the_spreadsheet_shows_them(
    value: object, number_format: str, expected: str
) -> None:
    assert shown(value, number_format) == expected


def book(*, chapters: dict[str, str], more: dict[str, str] | None = None) -> bytes:
    items = "".join(f'<item id="{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in chapters)
    spine = "".join(f'<itemref idref="{n}"/>' for n in chapters)
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OEBPS/a.opf"/></rootfiles></container>',
        "OEBPS/a.opf": (
            '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>A book</dc:title></metadata>'
            f'<manifest>{items}<item id="toc" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>'
            f"<spine>{spine}</spine></package>"
        ),
        "OEBPS/toc.ncx": (
            "<ncx><navMap><navPoint><navLabel><text>Preface</text></navLabel>"
            '<content src="b.xhtml#x"/></navPoint></navMap></ncx>'
        ),
        **{f"OEBPS/{n}.xhtml": f"<!DOCTYPE html><html><body>{body}</body></html>" for n, body in chapters.items()},
        **(more or {}),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def test_a_book_is_its_chapters_in_the_order_of_the_spine() -> None:
    document = parse_epub(book(chapters={"b": "<p>By the author</p>", "a": "<h1>One</h1><p>Snow</p>"}), "x.epub")
    assert document.title == "A book"
    assert document.text == "By the author\n\nOne\n\nSnow"
    assert sections(document) == [(1, "Preface"), (1, "One")]


def test_missing_chapters_are_reported_and_protected_ones_refused() -> None:
    whole = book(chapters={"a": "<p>Snow</p>", "b": "<p>Ice</p>"})
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            if not name.endswith("b.xhtml"):
                target.writestr(name, source.read(name))
    document = parse_epub(out.getvalue(), "x.epub")
    assert [w.message for w in document.warnings] == ["1 of 2 chapters are missing from the book"]
    rights = (
        "<encryption><EncryptedData><EncryptionMethod Algorithm='aes'/><CipherData>"
        "<CipherReference URI='OEBPS/a.xhtml'/></CipherData></EncryptedData></encryption>"
    )
    with pytest.raises(EncryptedDocument, match="DRM"):
        parse_epub(book(chapters={"a": "<p>x</p>"}, more={"META-INF/encryption.xml": rights}), "x.epub")


def test_a_book_that_points_outside_itself_is_refused() -> None:
    container = '<container><rootfiles><rootfile full-path="../../etc/passwd"/></rootfiles></container>'
    with pytest.raises(CorruptDocument, match="no package file"):
        parse_epub(book(chapters={}, more={"META-INF/container.xml": container}), "x.epub")
