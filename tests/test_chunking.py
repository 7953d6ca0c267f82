"""Cutting documents into passages."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from pincite.chunking import chunk
from pincite.document import Document, Section, Table
from tests.fakes import FakeEmbedder

count_tokens = FakeEmbedder().count_tokens

_sentences = st.sampled_from(
    [
        "The supplier shall deliver within thirty days. ",
        "Payment is due on receipt of the invoice! ",
        "甲方应当在三十日内付款。",
        "乙方不承担任何间接损失的责任；",
        "Is that so? ",
        "\n",
        "\n\n",
        "  ",
        "a|b|c\t1.5\n",
        "Überprüfung: der Vertrag endet am 3. Mai. ",
        "كل هذا نص عربي. ",
        "x" * 300,
        "表" * 120,
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    pieces = draw(st.lists(_sentences, max_size=60))
    text = "".join(pieces)
    starts = sorted({sum(map(len, pieces[:i])) for i in draw(st.lists(st.integers(0, 60), max_size=6))})
    sections = tuple(Section(s, draw(st.integers(1, 3)), f"Heading {s}") for s in starts if s < len(text))
    return Document("A title", "text/plain", text, sections=sections)


@settings(deadline=None, max_examples=150)
@given(documents(), st.sampled_from([40, 64, 256]), st.sampled_from([0, 16]))
def test_every_character_is_in_exactly_one_passage(document: Document, max_tokens: int, window_tokens: int) -> None:
    chunks = chunk(document, max_tokens=max_tokens, count_tokens=count_tokens, window_tokens=window_tokens)
    position = 0
    for one in chunks:
        assert not document.text[position : one.start].strip()
        assert position <= one.start < one.end
        assert document.text[one.start : one.end].strip() == document.text[one.start : one.end]
        position = one.end
    assert not document.text[position:].strip()


@settings(deadline=None, max_examples=150)
@given(documents(), st.sampled_from([64, 256]))
def test_no_passage_is_longer_than_the_model_reads_with_its_context(document: Document, max_tokens: int) -> None:
    for one in chunk(document, max_tokens=max_tokens, count_tokens=count_tokens):
        (tokens,) = count_tokens([one.context + document.text[one.start : one.end]])
        assert tokens <= max_tokens


@settings(deadline=None, max_examples=100)
@given(documents())
def test_windows_cover_their_passage_in_order(document: Document) -> None:
    for one in chunk(document, max_tokens=128, count_tokens=count_tokens, window_tokens=24):
        assert one.windows[0][0] == one.start
        assert one.windows[-1][1] == one.end
        for (_, end), (start, _) in zip(one.windows, one.windows[1:], strict=False):
            assert end <= start
            assert not document.text[end:start].strip()


def test_passages_end_where_sentences_end() -> None:
    text = "".join(f"Sentence number {i} says something of its own. 第{i}句话到此为止。" for i in range(60))
    chunks = chunk(Document("t", "text/plain", text), max_tokens=64, count_tokens=count_tokens)
    assert len(chunks) > 5
    assert all(re.search(r"[.。]$", text[one.start : one.end]) for one in chunks)


def test_a_passage_stays_within_its_section() -> None:
    body = "This clause says what happens. " * 12
    text = f"1 Payment\n{body}\n2 Delivery\n{body}\n"
    sections = (Section(0, 1, "1 Payment"), Section(text.index("2 Delivery"), 1, "2 Delivery"))
    chunks = chunk(
        Document("Contract", "text/plain", text, sections=sections), max_tokens=100, count_tokens=count_tokens
    )
    assert [one.section for one in chunks] == ["1 Payment", "2 Delivery"]
    assert chunks[1].context == "Contract › 2 Delivery\n"


def test_a_heading_alone_joins_what_follows() -> None:
    text = "Part I\n\nArticle 1\n\n" + "The parties agree on the following terms. " * 10
    sections = (Section(0, 1, "Part I"), Section(text.index("Article 1"), 2, "Article 1"))
    chunks = chunk(Document("t", "text/plain", text, sections=sections), max_tokens=256, count_tokens=count_tokens)
    assert len(chunks) == 1
    assert chunks[0].section == "Part I › Article 1"


def test_an_empty_document_has_no_passage() -> None:
    assert chunk(Document("t", "text/plain", " \n "), max_tokens=256, count_tokens=count_tokens) == []


def test_a_long_section_path_leaves_room_for_the_text() -> None:
    text = "Short text."
    sections = (Section(0, 1, "word " * 500),)
    (one,) = chunk(Document("t", "text/plain", text, sections=sections), max_tokens=128, count_tokens=count_tokens)
    assert count_tokens([one.context])[0] <= 16


def test_rows_of_a_table_in_later_passages_are_embedded_with_its_header() -> None:
    rows = ["Item | Price | Stock", *(f"pump {number} | {number} euros | {number} pieces" for number in range(60))]
    before, after = "Prices of the year.\n\n", "\n\nAll prices include taxes."
    text = before + "\n".join(rows) + after
    starts = [len(before) + sum(len(row) + 1 for row in rows[:i]) for i in range(len(rows))]
    blocks = tuple((start, start + len(row)) for start, row in zip(starts, rows, strict=True))
    table = Table(blocks[0][0], blocks[0][1], blocks[-1][1])
    document = Document("Catalogue", "text/plain", text, blocks=blocks, tables=(table,))
    chunks = chunk(document, max_tokens=64, count_tokens=count_tokens)
    first, *later = [one for one in chunks if one.start < table.end]
    assert rows[0] in text[first.start : first.end]
    assert (first.context, first.table_header) == ("Catalogue\n", "")
    assert later
    for one in later:
        assert one.context == f"Catalogue\n{rows[0]}\n"
        assert one.table_header == rows[0]
        assert rows[0] not in text[one.start : one.end]
        assert count_tokens([one.context + text[one.start : one.end]])[0] <= 64
    assert all(not one.table_header for one in chunks if one.start >= table.end)


def test_a_vast_header_leaves_room_for_the_rows() -> None:
    header = " | ".join(f"column {number}" for number in range(5000))
    text = header + "\n" + "\n".join(f"row {number} | value" for number in range(50))
    ends = [len(header), *(m.end() for m in re.finditer(r"row \d+ \| value", text))]
    starts = [0, *(m.start() for m in re.finditer(r"row \d+ \| value", text))]
    table = Table(0, ends[0], ends[-1])
    document = Document("", "text/csv", text, blocks=tuple(zip(starts, ends, strict=True)), tables=(table,))
    chunks = chunk(document, max_tokens=64, count_tokens=count_tokens)
    assert "row 49 | value" in text[chunks[-1].start : chunks[-1].end]
    assert chunks[-1].table_header.endswith("…")
    assert all(count_tokens([one.context + text[one.start : one.end]])[0] <= 64 for one in chunks)
