"""A passage as Open WebUI's citation: escaped, marked, named by its page."""

from dataclasses import replace

import pytest

from pincite.chat_source import Shown, marked_html, source_data
from pincite.passage import DocumentReference, Mark, Passage

PASSAGE = Passage(
    id="doc_1:0",
    knowledge_base_id="kb",
    document=DocumentReference("doc_1", "Manual", "docs/manual.pdf"),
    ordinal=0,
    start=0,
    end=9,
    text="a <b> & c",
    section="Manual › Oil",
    page=12,
    page_label=None,
    pages=(12,),
    boxes=(),
    marks=(),
    score=0.87654,
)


@pytest.mark.parametrize(
    ("passage", "language", "name"),
    [
        (PASSAGE, "en", "manual.pdf, p. 12"),
        (PASSAGE, "zh", "manual.pdf，第 12 页"),
        (replace(PASSAGE, page=None), "en", "manual.pdf, Oil"),
        (replace(PASSAGE, page=None, section=""), "en", "manual.pdf"),
        (replace(PASSAGE, document=DocumentReference("d", "", "https://host/"), page=None, section=""), "en", "host"),
    ],
)
def test_the_chip_reads_document_and_place(passage: Passage, language: str, name: str) -> None:
    data = source_data(Shown.of(passage, "http://here/view/doc_1"), language)
    assert data["source"]["name"] == data["metadata"][0]["name"] == name
    assert data["metadata"][0].get("page") == (11 if passage.page else None)
    assert data["distances"] == [0.8765]


def test_a_passage_is_shown_as_text_whatever_it_says() -> None:
    marks = (Mark(2, 5, "term"), Mark(4, 8, "sentence"))
    assert marked_html("a <b> & c", marks).endswith(">a <mark>&lt;b&gt; &amp; </mark>c</div>")


def test_a_best_sentence_out_of_view_is_put_on_top() -> None:
    text = "x" * 300 + " Here it is."
    assert "><mark>Here it is.</mark><hr>" in marked_html(text, (Mark(300, len(text), "sentence"),))
