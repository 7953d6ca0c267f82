"""Sections come from the outline, or from how headings are set where there is none."""

import pymupdf

from pincite.document import Document
from pincite.parsing.pdf import parse_pdf
from tests.parsing.generated_pdf import ENGLISH, column, document, wrapped, write


def titles(parsed: Document) -> list[tuple[int, str]]:
    return [(s.level, s.title) for s in parsed.sections]


def with_body(pdf: pymupdf.Document, page: int, y: float) -> float:
    """Write a paragraph and return the height below it."""
    lines = wrapped(ENGLISH, 400)
    for x, baseline, text in column(72, y, lines):
        write(pdf[page], x, baseline, text)
    return y + 14 * len(lines) + 20


def test_the_outline_is_placed_at_its_headings() -> None:
    pdf = document([], [])
    y = with_body(pdf, 0, 100)
    write(pdf[0], 72, y, "2 Delivery")
    y = with_body(pdf, 0, y + 20)
    write(pdf[0], 72, y, "2.1 Late Delivery")
    with_body(pdf, 0, y + 20)
    write(pdf[1], 72, 100, "3 Payment")
    with_body(pdf, 1, 120)
    pdf.set_toc([[1, "2  Delivery", 1], [2, "Late Delivery", 1], [1, "Payment", 2]])
    parsed = parse_pdf(pdf.tobytes(), "test.pdf")
    assert titles(parsed) == [(1, "2 Delivery"), (2, "Late Delivery"), (1, "Payment")]
    assert [parsed.text[s.start :].split("\n")[0] for s in parsed.sections] == [
        "2 Delivery",
        "2.1 Late Delivery",
        "3 Payment",
    ]


def test_an_entry_whose_heading_is_not_on_the_page_is_placed_where_it_points() -> None:
    pdf = document(column(72, 100, wrapped(ENGLISH, 300)) + column(72, 400, wrapped(ENGLISH, 300)))
    pdf.set_toc([[1, "Somewhere below", 1, {"kind": pymupdf.LINK_GOTO, "to": pymupdf.Point(0, 380), "page": 0}]])
    parsed = parse_pdf(pdf.tobytes(), "test.pdf")
    start = parsed.sections[0].start
    assert start == parsed.text.index("The supplier", 10)


def test_an_entry_may_point_at_a_name_a_whole_page_or_another_file() -> None:
    pdf = document(*[column(72, 100, wrapped(ENGLISH, 300)) + column(72, 400, wrapped(ENGLISH, 300)) for _ in range(2)])
    pdf.set_toc([[1, "At a name", 1], [1, "A whole page", 1], [1, "Elsewhere", 1]])
    named, whole, elsewhere = pdf.get_outline_xrefs()
    page = pdf.page_xref(1)
    pdf.xref_set_key(pdf.pdf_catalog(), "Dests", f"<</below [{page} 0 R /XYZ 72 {pdf[1].rect.height - 380} null]>>")
    for entry, target in (
        (named, "<</S /GoTo /D /below>>"),
        (whole, f"<</S /GoTo /D [{page} 0 R /Fit]>>"),
        (elsewhere, "<</S /URI /URI (https://example.org)>>"),
    ):
        pdf.xref_set_key(entry, "Dest", "null")
        pdf.xref_set_key(entry, "A", target)
    parsed = parse_pdf(pdf.tobytes(), "test.pdf")
    (of_page, of_name) = parsed.sections
    assert (of_page.title, of_page.start) == ("A whole page", parsed.pages[1].start)
    assert (of_name.title, of_name.start) == (
        "At a name",
        parsed.text.index("The supplier", parsed.pages[1].start + 10),
    )


def test_numbered_bold_and_run_in_headings_are_found_without_an_outline() -> None:
    pdf = document([])
    write(pdf[0], 72, 60, "ARTICLE I")
    write(pdf[0], 72, 90, "SUPPLY OF GOODS")
    y = with_body(pdf, 0, 120)
    for x, baseline, text in column(72, y, wrapped("1.1 Place of Delivery. " + ENGLISH, 400)):
        write(pdf[0], x, baseline, text)
    y += 120
    write(pdf[0], 72, y, "Costs of carriage", font="hebo")
    y = with_body(pdf, 0, y + 20)
    write(pdf[0], 72, y, "ARTICLE II PAYMENT")
    with_body(pdf, 0, y + 20)
    parsed = parse_pdf(pdf.tobytes(), "test.pdf")
    assert [t for _, t in titles(parsed)] == [
        "ARTICLE I SUPPLY OF GOODS",
        "1.1 Place of Delivery",
        "Costs of carriage",
        "ARTICLE II PAYMENT",
    ]
    assert parsed.sections[0].level == parsed.sections[3].level < parsed.sections[1].level
    assert parsed.text.startswith("1.1 Place of Delivery. The supplier", parsed.sections[1].start)


def test_chinese_articles_are_sections_under_their_chapter() -> None:
    lines = [
        "第一章 总则",
        "第一条 本合同由甲乙双方在平等自愿的基础上签订，双方应当遵守。",
        "第二条 标的",
        "第二章 价款",
    ]
    pdf = document([(72.0, 100 + 40.0 * i, line) for i, line in enumerate(lines)])
    write(pdf[0], 72, 300, "合同总价款为人民币壹佰万元整，甲方应当在验收合格后三十日内一次性付清全部款项。")
    parsed = parse_pdf(pdf.tobytes(), "test.pdf")
    assert titles(parsed) == [(1, "第一章 总则"), (2, "第一条"), (2, "第二条 标的"), (1, "第二章 价款")]


def test_articles_over_short_chinese_paragraphs_are_no_list() -> None:
    pdf = document([])
    for i, title in enumerate(("交货", "付款", "验收", "保密")):
        write(pdf[0], 72, 100 + 90 * i, f"第{'一二三四'[i]}条 {title}")
        write(pdf[0], 72, 130 + 90 * i, "乙方应当在合同生效后九十日内将全部设备运抵甲方指定的仓库。")
    parsed = parse_pdf(pdf.tobytes(), "test.pdf")
    assert [title for _, title in titles(parsed)] == ["第一条 交货", "第二条 付款", "第三条 验收", "第四条 保密"]


def test_larger_type_makes_levels() -> None:
    pdf = document([])
    y = 60.0
    for size, text in [(20, "Overview"), (15, "Purpose"), (15, "Scope"), (20, "Rules")]:
        write(pdf[0], 72, y, text, size=size)
        y = with_body(pdf, 0, y + 30)
    parsed = parse_pdf(pdf.tobytes(), "test.pdf")
    assert titles(parsed) == [(1, "Overview"), (2, "Purpose"), (2, "Scope"), (1, "Rules")]


def test_contents_lists_running_headers_and_table_cells_are_no_sections() -> None:
    contents = [(72.0, 100 + 16.0 * i, f"{i + 1}. Chapter Number {i + 1} ............ {i + 3}") for i in range(8)]
    things = ["1. Pumps", "2. Valves", "3. Pipes", "4. Gaskets"]
    listed = [(72.0, 200 + 20.0 * i, thing) for i, thing in enumerate(things)]
    table = [(x, 400 + 20.0 * i, t) for i in range(3) for x, t in ((72, "1.1 Total Sales"), (300, "1,200"))]
    header = [(72.0, 40.0, "ACME GENERAL TERMS")]
    parsed = parse_pdf(document(contents + header, listed + header, table + header).tobytes(), "test.pdf")
    assert titles(parsed) == []
