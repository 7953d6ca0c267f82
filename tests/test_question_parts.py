"""Questions of several sentences: what is left out, what is looked for, and which document is meant."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from pincite.chunking import chunk
from pincite.document import Document
from pincite.index import Index
from pincite.passage import DocumentReference
from pincite.search import search
from pincite.search.question_parts import question_parts, understood
from tests.fakes import FakeEmbedder

pytestmark = pytest.mark.anyio

COMPANIES = ("Kwizda", "Upjohn", "Monsanto")
CLAUSES = (
    "audits the books and records of the supplier once a year",
    "limits its liability to the fees paid in twelve months",
    "assigns no right without consent in writing",
    "keeps insurance against fire and theft",
    "delivers within thirty days of the order",
)

LONG = " ".join(
    f"{a}{b}" for a in ("mor", "lin", "tas", "vek", "dul") for b in ("ago", "ibe", "osu", "ewi", "unt", "yra")
)


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("Where is the liability limited?", ()),
        ("What strains of y. pestis were found?", ()),
        ("Hello! Where is it limited?", ("Hello!", "Where is it limited?")),
        ("Audit rights: who looks into the books?", ("Audit rights", "who looks into the books?")),
        ("审计权：谁可以查账？谢谢！", ("审计权", "谁可以查账？", "谢谢！")),
        ("Insurance\nwho insures?", ("Insurance", "who insures?")),
        ("... Who insures? ?!", ()),
        ("Who pays? " * 7, ()),
    ],
)
def test_a_question_is_parted_at_sentences_colons_and_lines(question: str, parts: tuple[str, ...]) -> None:
    assert question_parts(question) == parts


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder(dimensions=512)


@pytest.fixture
async def index(tmp_path: Path, embedder: FakeEmbedder) -> AsyncIterator[Index]:
    """Three agreements with the same clauses; only the company's name tells them apart, and no title says it."""
    opened = await Index.open(str(tmp_path / "index"), "kb_1", embedder.model)
    for number, company in enumerate(COMPANIES):
        text = "\n\n".join(f"In the {company} supply agreement {company} {clause}." for clause in CLAUSES)
        document = Document("Agreement", "text/plain", text)
        chunks = chunk(document, max_tokens=20, count_tokens=embedder.count_tokens)
        reference = DocumentReference(company, document.title, f"{number}.txt")
        await opened.replace_document(reference, document, chunks, embedder)
    yield opened
    await opened.close()


async def test_what_is_near_to_nothing_is_left_out(index: Index, embedder: FakeEmbedder) -> None:
    question = "Xyzzy plugh! Who audits the books and records of the supplier?"
    parts = question_parts(question)
    vectors = await embedder.embed_queries([question, *parts])
    asked = await understood(await index.view(), question, parts, vectors, None)
    assert asked.words == parts[1]
    assert asked.meant == {}
    assert np.allclose(asked.vector, (vectors[0] + vectors[2]) / 2)


@pytest.mark.parametrize(("said", "kept"), [("Frobozz quux!", True), ("Frobozz plugh!", False), ("Frobozz!", False)])
async def test_words_that_a_passage_holds_are_kept(index: Index, embedder: FakeEmbedder, said: str, kept: bool) -> None:
    # Among so many other words that the passage as a whole is near to nothing of it.
    text = f"{LONG} frobozz {LONG} quux {LONG}"
    document = Document("Agreement", "text/plain", text)
    chunks = chunk(document, max_tokens=400, count_tokens=embedder.count_tokens)
    await index.replace_document(DocumentReference("long", document.title, "long.txt"), document, chunks, embedder)
    question = f"{said} Who audits the books and records of the supplier?"
    parts = question_parts(question)
    vectors = await embedder.embed_queries([question, *parts])
    asked = await understood(await index.view(), question, parts, vectors, None)
    assert asked.words == (" ".join(parts) if kept else parts[1])


async def test_a_question_near_to_nothing_is_asked_as_it_is(index: Index, embedder: FakeEmbedder) -> None:
    question = "Xyzzy plugh! Frobozz quux?"
    parts = question_parts(question)
    vectors = await embedder.embed_queries([question, *parts])
    asked = await understood(await index.view(), question, parts, vectors, None)
    assert asked.words == question
    assert np.array_equal(asked.vector, vectors[0])


@pytest.mark.parametrize("company", COMPANIES)
async def test_a_sentence_that_names_a_document_leads_to_it(index: Index, embedder: FakeEmbedder, company: str) -> None:
    question = f"Liability: who limits liability to the fees paid? In the {company} supply agreement {company}."
    parts = question_parts(question)
    vectors = await embedder.embed_queries([question, *parts])
    asked = await understood(await index.view(), question, parts, vectors, None)
    assert max(asked.meant, key=lambda document_id: asked.meant[document_id]) == company
    best = (await search(index, embedder, question, k=1)).passages[0]
    assert best.document.id == company
    assert CLAUSES[1] in best.text


async def test_an_empty_index_means_no_document(tmp_path: Path, embedder: FakeEmbedder) -> None:
    empty = await Index.open(str(tmp_path / "empty"), "kb_1", embedder.model)
    result = await search(empty, embedder, "Audit rights: who looks into the books? Thanks!")
    assert result.why is not None
    assert result.why.reason == "empty_knowledge_base"
    await empty.close()
