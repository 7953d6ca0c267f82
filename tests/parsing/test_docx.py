"""Word files: what the reader sees, with the numbers that Word computes."""

import io
from collections.abc import Callable
from typing import Any

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from pincite.document import Document
from pincite.parsing.docx import parse_docx
from pincite.parsing.docx_numbering import _written


def word(build: Callable[[docx.document.Document], None]) -> Document:
    document = docx.Document()
    build(document)
    out = io.BytesIO()
    document.save(out)
    return parse_docx(out.getvalue(), "x.docx")


def sections(document: Document) -> list[tuple[int, str]]:
    return [(s.level, s.title) for s in document.sections]


def add_raw(document: docx.document.Document, xml: str) -> None:
    document.element.body.insert_element_before(parse_xml(xml), "w:sectPr")


def add_numbering(document: docx.document.Document, levels: str, number_id: int = 77, extra: str = "") -> None:
    root = document.part.numbering_part.element
    root.append(parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="{number_id}">{levels}</w:abstractNum>'))
    root.append(
        parse_xml(f'<w:num {nsdecls("w")} w:numId="{number_id}"><w:abstractNumId w:val="{number_id}"/>{extra}</w:num>')
    )


def level(depth: int, number_format: str, pattern: str, more: str = "") -> str:
    return (
        f'<w:lvl w:ilvl="{depth}"><w:start w:val="1"/><w:numFmt w:val="{number_format}"/>{more}'
        f'<w:lvlText w:val="{pattern}"/></w:lvl>'
    )


def numbered(document: docx.document.Document, text: str, depth: int = 0, style: str | None = None) -> None:
    paragraph = document.add_paragraph(text, style)
    properties: Any = paragraph._p.get_or_add_pPr()
    properties.append(parse_xml(f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{depth}"/><w:numId w:val="77"/></w:numPr>'))


def test_headings_are_sections_and_tables_are_rows() -> None:
    def build(d: docx.document.Document) -> None:
        d.add_paragraph("Supply agreement", "Title")
        d.add_heading("Payment", 1)
        d.add_paragraph("Thirty days.")
        table = d.add_table(2, 2)
        for cell, text in zip(
            [c for r in table.rows for c in r.cells], ["Item", "Price", "Pump\nsmall", "0.1"], strict=True
        ):
            cell.text = text
        d.add_heading("Late payment", 2)

    document = word(build)
    assert document.title == "Supply agreement"
    assert document.text == (
        "Supply agreement\n\nPayment\n\nThirty days.\n\nItem | Price\nPump small | 0.1\n\nLate payment"
    )
    assert sections(document) == [(1, "Payment"), (2, "Late payment")]


def test_automatic_numbers_are_part_of_the_text() -> None:
    def build(d: docx.document.Document) -> None:
        add_numbering(
            d,
            level(0, "chineseCounting", "第%1条", '<w:suff w:val="space"/>')
            + level(1, "decimal", "%1.%2", "<w:isLgl/>"),
        )
        for text, depth in (("定义", 0), ("甲方", 1), ("乙方", 1), ("付款", 0), ("期限", 1)):
            numbered(d, text, depth)

    document = word(build)
    assert document.text == "第一条 定义\n1.1 甲方\n1.2 乙方\n第二条 付款\n2.1 期限"
    assert (1, "第二条 付款") in sections(document)


def test_numbered_headings_carry_their_number_and_restart_where_told() -> None:
    def build(d: docx.document.Document) -> None:
        restart = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride>'
        add_numbering(d, level(0, "upperRoman", "ARTICLE %1."), extra=restart)
        numbered(d, "Term", 0, "Heading 1")
        numbered(d, "Payment", 0, "Heading 1")

    assert sections(word(build)) == [(1, "ARTICLE V. Term"), (1, "ARTICLE VI. Payment")]


@pytest.mark.parametrize(
    ("count", "number_format", "shown"),
    [
        (4, "lowerLetter", "d"), (28, "upperLetter", "BB"), (1994, "upperRoman", "MCMXCIV"),
        (10, "chineseCounting", "十"), (21, "chineseCounting", "二十一"), (110, "chineseCounting", "一百一十"),
        (105, "chineseCountingThousand", "一百零五"), (12, "chineseLegalSimplified", "壹拾贰"),
        (3, "ideographTraditional", "丙"), (11, "decimalEnclosedCircle", "⑪"), (20, "ideographDigital", "二〇"),
        (7, "decimalZero", "07"), (22, "ordinal", "22nd"), (13, "ordinal", "13th"), (9, "unknown", "9"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_word_writes_them(count: int, number_format: str, shown: str) -> None:
    assert _written(count, number_format) == shown


def test_hidden_and_deleted_text_is_left_out_and_inserted_text_is_not() -> None:
    def build(d: docx.document.Document) -> None:
        add_raw(
            d,
            f"<w:p {nsdecls('w')}><w:r><w:t>kept </w:t></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>"
            "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>"
            '<w:r><w:fldChar w:fldCharType="begin"/><w:instrText>PAGE</w:instrText></w:r>'
            "<w:r><w:tab/><w:t>end</w:t></w:r></w:p>",
        )

    assert word(build).text == "kept inserted\tend"


def test_text_boxes_follow_their_paragraph_once() -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>in the box</w:t></w:r></w:p></w:txbxContent>"
    xml = (
        f'<w:p {nsdecls("w")} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><w:r><w:t>anchor</w:t>'
        f"<mc:AlternateContent><mc:Choice><w:drawing>{box}</w:drawing></mc:Choice>"
        f"<mc:Fallback><w:pict>{box}</w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    assert word(lambda d: add_raw(d, xml)).text == "anchor\n\nin the box"


def test_content_controls_and_links_are_read_through() -> None:
    xml = (
        f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p><w:hyperlink><w:r><w:t>link</w:t></w:r></w:hyperlink>"
        "<w:sdt><w:sdtContent><w:r><w:t> and control</w:t></w:r></w:sdtContent></w:sdt></w:p></w:sdtContent></w:sdt>"
    )
    assert word(lambda d: add_raw(d, xml)).text == "link and control"


def test_headers_stand_at_the_end_once() -> None:
    def build(d: docx.document.Document) -> None:
        d.add_paragraph("Body")
        d.sections[0].header.paragraphs[0].text = "Contract HT-2024-001"
        d.sections[0].footer.paragraphs[0].text = "3"

    assert word(build).text == "Body\n\nContract HT-2024-001"


def test_vertically_merged_and_nested_tables_keep_their_rows() -> None:
    def build(d: docx.document.Document) -> None:
        table = d.add_table(2, 2)
        table.cell(0, 0).merge(table.cell(1, 0)).text = "Group"
        table.cell(0, 1).text = "a"
        table.cell(1, 1).paragraphs[0].text = "b"
        table.cell(1, 1).add_table(1, 2).cell(0, 1).text = "inner"

    assert word(build).text == "Group | a\n| b inner"
