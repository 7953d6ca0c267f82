"""A PDF becomes a document: verbatim text in reading order, every word with its place, and nothing silently lost."""

import re
from typing import Any

import numpy as np
import pymupdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pincite.document import Document
from pincite.errors import CorruptDocument, EmptyDocument, EncryptedDocument
from pincite.parsing.pdf import parse_pdf
from tests.parsing.generated_pdf import (
    ENGLISH,
    column,
    document,
    hebrew_pdf,
    numbered_words,
    wrapped,
    write,
)


def parse(pdf: pymupdf.Document, name: str = "test.pdf", **options: Any) -> Document:
    return parse_pdf(pdf.tobytes(**options), name)


def check_invariants(parsed: Document) -> None:
    """Pages, blocks and words are ascending, disjoint ranges; a word is text without white space, inside its page."""
    end = 0
    for page in parsed.pages:
        assert end <= page.start <= page.end <= len(parsed.text)
        end = page.end
        words = page.words
        assert len(words.starts) == len(words.ends) == len(words.boxes) == len(words.lines)
        if len(words.starts):
            assert words.starts[0] >= page.start
            assert words.ends[-1] <= page.end
            assert np.all(words.starts < words.ends)
            assert np.all(words.ends[:-1] <= words.starts[1:])
            assert np.all(np.diff(words.lines) >= 0)
            assert np.all(words.boxes[:, 0] <= words.boxes[:, 2])
            assert np.all(words.boxes[:, 1] <= words.boxes[:, 3])
        for start, stop in zip(words.starts, words.ends, strict=True):
            assert not re.search(r"\s", parsed.text[start:stop])
        outside = parsed.text[page.start : page.end]
        for start, stop in reversed(list(zip(words.starts - page.start, words.ends - page.start, strict=True))):
            outside = outside[:start] + outside[stop:]
        assert not outside.strip()
    block_end = 0
    for start, stop in parsed.blocks:
        assert block_end <= start < stop <= len(parsed.text)
        block_end = stop
    assert [s.start for s in parsed.sections] == sorted(s.start for s in parsed.sections)


def flat(text: str) -> str:
    return " ".join(text.split())


def box_of(parsed: Document, page: int, phrase: str) -> tuple[float, float, float, float]:
    """The box around the words of a phrase on a page."""
    found = parsed.pages[page - 1]
    start = parsed.text.index(phrase, found.start)
    words = found.words
    boxes = words.boxes[(words.starts < start + len(phrase)) & (words.ends > start)]
    return (boxes[:, 0].min(), boxes[:, 1].min(), boxes[:, 2].max(), boxes[:, 3].max())


def test_a_sentence_is_found_across_the_lines_of_its_paragraph() -> None:
    parsed = parse(document(column(72, 100, wrapped(ENGLISH, 300))))
    assert flat(parsed.text) == flat(ENGLISH)
    assert parsed.blocks == ((0, len(parsed.text)),)
    check_invariants(parsed)


def test_each_word_has_the_box_it_is_drawn_in() -> None:
    parsed = parse(document([(100, 200, "alpha beta gamma")]))
    x0, y0, x1, y1 = box_of(parsed, 1, "beta")
    before = pymupdf.get_text_length("alpha ", fontsize=11)
    assert x0 == pytest.approx(100 + before, abs=0.5)
    assert x1 == pytest.approx(100 + before + pymupdf.get_text_length("beta", fontsize=11), abs=0.5)
    assert y0 < 200 < y1 < 206


def test_two_columns_are_read_one_after_the_other() -> None:
    left, right = numbered_words("left", 120), numbered_words("right", 110)
    title = "A title that spans both columns of the page from one side to the other of its width"
    lines = [(72.0, 60.0, title), *column(72, 100, wrapped(left, 210)), *column(310, 100, wrapped(right, 210))]
    parsed = parse(document(lines))
    assert flat(parsed.text) == f"{title} {left} {right}"
    check_invariants(parsed)


def test_three_columns_are_read_one_after_the_other() -> None:
    texts = [numbered_words(prefix, 90) for prefix in ("one", "two", "three")]
    lines = [entry for i, text in enumerate(texts) for entry in column(50 + 172 * i, 80, wrapped(text, 152))]
    assert flat(parse(document(lines)).text) == " ".join(texts)


def test_columns_above_and_below_a_full_width_line_are_not_mixed() -> None:
    upper = [numbered_words(prefix, 60) for prefix in ("uleft", "uright")]
    lower = [numbered_words(prefix, 60) for prefix in ("dleft", "dright")]
    between = "This line stands between the upper and the lower columns and runs across the whole page here"
    lines = [
        *column(72, 80, wrapped(upper[0], 210)),
        *column(310, 80, wrapped(upper[1], 210)),
        (72, 380, between),
        *column(72, 420, wrapped(lower[0], 210)),
        *column(310, 420, wrapped(lower[1], 210)),
    ]
    assert flat(parse(document(lines)).text) == " ".join([*upper, between, *lower])


def test_a_table_without_rules_is_read_row_by_row() -> None:
    rows = [("Item", "Unit price", "Stock"), ("Bolt M8", "0.42", "1,200"), ("Washer", "0.05", "88,000")]
    lines = [(x, 100 + 20 * i, cell) for i, row in enumerate(rows) for x, cell in zip((72, 250, 400), row, strict=True)]
    parsed = parse(document(lines))
    assert parsed.text == "Item\tUnit price\tStock\nBolt M8\t0.42\t1,200\nWasher\t0.05\t88,000"
    assert [parsed.text[a:b] for a, b in parsed.blocks] == parsed.text.split("\n")
    check_invariants(parsed)


def test_a_ruled_cell_of_several_lines_stays_whole() -> None:
    pdf = document()
    page = pdf.new_page()
    for rule in (70, 200, 400):
        page.draw_line((rule, 90), (rule, 190))
    for rule in (90, 110, 190):
        page.draw_line((70, rule), (400, rule))
    for x, y, text in [(75.0, 105.0, "Term"), (205.0, 105.0, "Meaning")]:
        write(page, x, y, text)
    # The label is centred against four lines, so that none of its lines is level with one of theirs.
    for x, y, text in [
        *column(75, 144, ["Force", "majeure"]),
        *column(205, 125, ["an event", "beyond", "the power of", "both sides"]),
    ]:
        write(page, x, y, text)
    parsed = parse(pdf)
    assert parsed.text == "Term\tMeaning\nForce\nmajeure\tan event\nbeyond\nthe power of\nboth sides"
    check_invariants(parsed)


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [(0, (100, 200)), (90, (842 - 200, 100)), (180, (595 - 100, 842 - 200)), (270, (200, 595 - 100))],
)
def test_places_are_those_of_the_page_as_displayed(rotation: int, expected: tuple[float, float]) -> None:
    pdf = document([(100, 200, "turned")])
    pdf[0].set_rotation(rotation)
    parsed = parse(pdf)
    page = parsed.pages[0]
    assert (page.width, page.height) == ((595, 842) if rotation % 180 == 0 else (842, 595))
    x0, y0, x1, y1 = box_of(parsed, 1, "turned")
    assert x0 - 4 <= expected[0] <= x1 + 4
    assert y0 - 4 <= expected[1] <= y1 + 4
    check_invariants(parsed)


def test_a_rotated_page_is_read_in_the_order_of_its_text() -> None:
    pdf = document(column(72, 100, wrapped(ENGLISH, 300)))
    pdf[0].set_rotation(90)
    assert flat(parse(pdf).text) == flat(ENGLISH)


def test_a_stamp_along_the_margin_does_not_cut_the_text() -> None:
    pdf = document(column(72, 100, wrapped(ENGLISH, 300)))
    pdf[0].insert_text((30, 500), "DRAFT COPY", rotate=90, fontsize=11)
    parsed = parse(pdf)
    assert flat(parsed.text) == f"{flat(ENGLISH)} DRAFT COPY"
    check_invariants(parsed)


def test_page_labels_are_kept() -> None:
    pdf = document(*[[(72, 100, f"text of page {n}")] for n in range(3)])
    pdf.set_page_labels(
        [
            {"startpage": 0, "style": "r", "firstpagenum": 1},
            {"startpage": 2, "prefix": "A-", "style": "D", "firstpagenum": 1},
        ]
    )
    assert [page.label for page in parse(pdf).pages] == ["i", "ii", "A-1"]
    assert parse(document([(72, 100, "x")])).pages[0].label is None


def test_chinese_is_marked_character_by_character() -> None:
    parsed = parse(document([(72, 100, "第五条 违约责任"), (72, 120, "甲方应当在合同生效后 30 日内支付。")]))
    assert "甲方应当在合同生效后 30 日内支付。" in parsed.text
    x0, _, x1, _ = box_of(parsed, 1, "生效")
    before = pymupdf.get_text_length("甲方应当在合同", fontname="china-s", fontsize=11)
    assert x0 == pytest.approx(72 + before, abs=1)
    assert x1 - x0 == pytest.approx(22, abs=1)
    check_invariants(parsed)


def test_hebrew_is_in_logical_order() -> None:
    lines = ["שלום עולם זה הוא חוזה", "הצדדים מסכימים על כל אלה"]
    parsed = parse_pdf(hebrew_pdf(*lines), "חוזה.pdf")
    assert parsed.text.split("\n") == lines
    check_invariants(parsed)


def test_running_headers_and_footers_do_not_cut_a_paragraph() -> None:
    words = numbered_words("word", 800).split()
    pages = []
    for n in range(4):
        body = wrapped(" ".join(words[n * 200 : (n + 1) * 200]), 420)
        pages.append([(72.0, 40.0, "Acme Handbook"), *column(72, 100, body), (290.0, 810.0, f"Page {n + 1}")])
    parsed = parse(document(*pages))
    assert parsed.text.count("Acme Handbook") == 4
    assert {parsed.text[a:b] for a, b in parsed.blocks} >= {"Acme Handbook", "Page 1", "Page 4"}
    longest = max(parsed.blocks, key=lambda b: b[1] - b[0])
    assert "Acme" not in parsed.text[slice(*longest)]
    # A paragraph that fills pages whole has its frame between; one that ends on the next page runs on.
    assert all("Page" not in parsed.text[a:b] or b - a < 10 for a, b in parsed.blocks)
    check_invariants(parsed)


def test_a_paragraph_that_goes_on_over_the_page_is_one_block() -> None:
    begun = wrapped(numbered_words("begun", 60), 400)[:-1]
    first = [*column(72, 100, wrapped(ENGLISH, 400)), *column(72, 200, begun)]
    second = [
        *column(72, 100, wrapped(numbered_words("ended", 30) + ".", 400)),
        *column(72, 200, wrapped(ENGLISH, 400)),
    ]
    frame = [[(72.0, 40.0, "Acme Handbook"), (290.0, 810.0, str(n))] for n in (1, 2, 3)]
    parsed = parse(document(first + frame[0], second + frame[1], [(72.0, 300.0, "the end"), *frame[2]]))
    crossing = [flat(parsed.text[a:b]) for a, b in parsed.blocks if "begun9" in parsed.text[a:b]]
    assert crossing == [f"{' '.join(begun)} {numbered_words('ended', 30)}."]
    assert parsed.pages[0].end < parsed.text.index("ended1") == parsed.pages[1].start
    check_invariants(parsed)


def test_a_filled_form_field_belongs_to_the_text() -> None:
    pdf = document([(72, 100, "Name of the tenant:")])
    widget = pymupdf.Widget()
    widget.field_name, widget.field_type, widget.field_value = (
        "tenant",
        pymupdf.mupdf.PDF_WIDGET_TYPE_TEXT,
        "Ada Lovelace",
    )
    widget.rect = pymupdf.Rect(190, 88, 330, 104)
    pdf[0].add_widget(widget)
    assert "Ada Lovelace" in parse(pdf).text


def test_pages_without_text_are_counted_and_said_to_look_scanned() -> None:
    pdf = document([(72, 100, "text")], [], [])
    image = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 40, 40), False)
    image.clear_with(120)
    pdf[1].insert_image(pymupdf.Rect(50, 50, 500, 700), pixmap=image)
    parsed = parse(pdf)
    assert [(w.code, w.page) for w in parsed.warnings] == [("page_without_text", 2), ("page_without_text", 3)]
    assert "looks scanned" in parsed.warnings[0].message
    assert "blank" in parsed.warnings[1].message
    assert len(parsed.pages) == 3
    check_invariants(parsed)


def test_a_page_with_damaged_content_is_reported_and_the_rest_is_read() -> None:
    pdf = document([(72, 100, "the first page")], [(72, 100, "the second page")])
    pdf.update_stream(pdf[1].get_contents()[0], b"BT /F1 12 Tf 72 700 Td (half of it) Tj ET ]] >> (never closed")
    parsed = parse(pdf)
    assert parsed.text.startswith("the first page")
    assert [w.page for w in parsed.warnings] == [2]


def test_a_file_that_had_to_be_repaired_says_so() -> None:
    data = document([(72, 100, "the only page")]).tobytes()
    parsed = parse_pdf(data.replace(b"startxref", b"startxxxx"), "broken.pdf")
    assert parsed.text == "the only page"
    assert [w.code for w in parsed.warnings] == ["document_repaired"]


def test_a_title_comes_from_metadata_then_from_the_largest_type_then_from_the_name() -> None:
    pdf = document([(72, 100, "a plain line of text"), (72, 120, "and one more of them")])
    assert parse(pdf, "folder/lease 2024.pdf").title == "lease 2024"
    write(pdf[0], 72, 60, "Tenancy of the Mill", size=22)
    assert parse(pdf).title == "Tenancy of the Mill"
    pdf.set_metadata({"title": "Microsoft Word - draft7.docx"})
    assert parse(pdf).title == "Tenancy of the Mill"
    pdf.set_metadata({"title": "The Mill Lease"})
    assert parse(pdf).title == "The Mill Lease"


def test_a_password_is_needed() -> None:
    pdf = document([(72, 100, "secret")])
    with pytest.raises(EncryptedDocument, match=r"locked\.pdf needs a password"):
        parse(pdf, "locked.pdf", encryption=pymupdf.mupdf.PDF_ENCRYPT_AES_256, user_pw="u", owner_pw="o")


def test_an_owner_password_alone_does_not_lock_a_document() -> None:
    pdf = document([(72, 100, "open to read")])
    assert parse(pdf, encryption=pymupdf.mupdf.PDF_ENCRYPT_AES_256, owner_pw="o").text == "open to read"


@pytest.mark.parametrize(("data", "error"), [(b"", EmptyDocument), (b"not a pdf at all", CorruptDocument)])
def test_no_pdf_is_refused_by_name(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"file\.pdf"):
        parse_pdf(data, "some/folder/file.pdf")


def test_a_truncated_file_is_corrupt_not_empty() -> None:
    data = document(*[[(72, 100, f"page {n}")] for n in range(20)]).tobytes()
    with pytest.raises(CorruptDocument):
        parse_pdf(data[: len(data) // 8], "cut.pdf")


def test_another_format_named_pdf_is_refused() -> None:
    image = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 8, 8), False).tobytes("png")
    with pytest.raises(CorruptDocument):
        parse_pdf(image, "image.pdf")


WORD = st.text(st.sampled_from("abcdefgXYZ0189.,;()-甲乙合同第一条é"), min_size=1, max_size=12)
PLACED = st.tuples(st.floats(20, 560), st.floats(30, 820), st.lists(WORD, min_size=1, max_size=8).map(" ".join))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(PLACED, max_size=25), min_size=1, max_size=4), st.sampled_from([0, 90, 180, 270]))
def test_wherever_text_stands_no_word_is_lost_and_every_range_holds(
    pages: list[list[tuple[float, float, str]]], rotation: int
) -> None:
    pdf = document(*pages)
    for page in pdf.pages():
        page.set_rotation(rotation)
    expected = ["".join(page.get_text("text", clip=page.mediabox).split()) for page in pdf.pages()]
    parsed = parse(pdf)
    check_invariants(parsed)
    for text, read in zip(expected, parsed.pages, strict=True):
        assert sorted(text) == sorted("".join(parsed.text[read.start : read.end].split()))
