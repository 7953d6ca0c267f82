"""An index that has seen its documents come, change, move and go answers as one that was opened just now."""

import gc
import itertools
import random
import weakref
from pathlib import Path

import pytest

from embedding_backend import Vectors
from pincite.chunking import chunk
from pincite.document import Document
from pincite.index import Hit, Index, View
from pincite.passage import DocumentReference, SearchFilter
from pincite.search import search
from tests.fakes import FakeEmbedder

pytestmark = pytest.mark.anyio

SENTENCES = (
    "The supplier's total liability shall not exceed the fees paid in the last twelve months.",
    "Invoices are payable within thirty days of receipt.",
    "Visitors park on the second level of the garage and show their badge at the gate.",
    "任何一方可以提前三十日书面通知对方终止本合同。",
    "The hydraulic pump is oiled every two hundred hours.",
    "Travel above two thousand euros is approved by the head of the department.",
    "保修期为验收合格之日起二十四个月。",
    "Personal data is erased when the contract ends.",
)
QUESTIONS = ("Who approves travel?", "提前三十日书面通知")
STEPS = 9


@pytest.mark.parametrize("seed", range(4))
async def test_a_search_does_not_depend_on_what_the_index_went_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    nearest = View.nearest

    async def nearest_one(view: View, question: Vectors, limit: int, where: SearchFilter | None = None) -> list[Hit]:
        return await nearest(view, question, 1, where)

    # As in a large index, where most passages that hold the question's words are found by these alone.
    monkeypatch.setattr(View, "nearest", nearest_one)
    monkeypatch.setattr("pincite.index.rows._MOST_KEPT_BYTES", 1_000_000 if seed % 2 else 300)
    monkeypatch.setattr("pincite.index.vector_file._FEW_GONE", 10)
    chance = random.Random(seed)
    embedder = FakeEmbedder()
    old = await Index.open(str(tmp_path), "kb", embedder.model)
    for _ in range(STEPS):
        name = f"document {chance.randrange(6)}"
        match chance.choice(("write", "write", "write", "remove", "maintain")):
            case "write":
                document = Document(name, "text/plain", "\n\n".join(chance.choices(SENTENCES, k=chance.randint(1, 5))))
                chunks = chunk(document, max_tokens=40, count_tokens=embedder.count_tokens, window_tokens=8)
                await old.replace_document(DocumentReference(name, name, name), document, chunks, embedder)
            case "remove":
                await old.remove_document(name)
            case "maintain":
                await old.maintain()
        fresh = await Index.open(str(tmp_path), "kb", embedder.model)
        for question in QUESTIONS:
            answers = [(await search(index, embedder, question, k=2)).passages for index in (old, fresh)]
            told = [[(passage.id, passage.text) for passage in passages] for passages in answers]
            assert told[0] == told[1]
            scores = [[passage.score for passage in passages] for passages in answers]
            assert scores[0] == pytest.approx(scores[1])
        if seed < 2:
            await (await old.view()).settled()
        await fresh.close()
    await old.close()


async def test_the_index_is_tidied_when_enough_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pincite.index.table._TIDY_WRITES", 4)
    monkeypatch.setattr("pincite.index.table._TIDY_ROWS", 2)
    monkeypatch.setattr("pincite.index.table._TIDY_SHARE", 0.1)
    index = await Index.open(str(tmp_path), "kb", FakeEmbedder().model)
    tidied, fragments = [], 0
    for number in range(50):
        await _write(index, f"document {number}", SENTENCES[number % len(SENTENCES)])
        await index.tidy()
        before, fragments = fragments, (await index._table.stats())["fragment_stats"]["num_fragments"]
        if fragments <= before:
            tidied.append(number + 1)
    await index.close()
    # After each second row at first, then after a tenth of what is there, and after four writes at the latest.
    gaps = [after - before for before, after in itertools.pairwise([0, *tidied])]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (2, 4)


async def test_maintaining_lets_go_of_what_it_has_replaced(tmp_path: Path) -> None:
    index = await Index.open(str(tmp_path), "kb", FakeEmbedder().model)
    await _write(index, "first")
    searching = await index.view()
    before = weakref.ref(index._table)
    await index.maintain()
    [question] = await FakeEmbedder().embed_queries([SENTENCES[0]])
    assert [hit.window.passage_id for hit in await searching.nearest(question, 2)] == ["first:0"]
    await _write(index, "second")  # the new handle takes part in writing and reading
    assert [hit.window.passage_id for hit in await (await index.view()).nearest(question, 2)] == ["first:0", "second:0"]
    del searching
    gc.collect()
    assert before() is None
    await index.close()


async def test_a_vector_index_of_many_parts_becomes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pincite.index.column_indexes._BRUTE_FORCE_ROWS", 20)
    monkeypatch.setattr("pincite.index.column_indexes._MOST_PARTS", 3)
    index = await Index.open(str(tmp_path), "kb", FakeEmbedder().model)
    for number in range(25):
        await _write(index, f"{number}", f"{number} {SENTENCES[number % len(SENTENCES)]}")
    parts = []
    for number in range(25, 35):
        await index.maintain()
        [name] = [each.name for each in await index._table.list_indices() if each.columns == ["vector"]]
        parts.append((await index._table.index_stats(name)).num_indices)
        await _write(index, f"{number}", f"{number} {SENTENCES[0]}")
    assert max(parts) == 3
    assert parts.count(1) > 1
    await index.close()


async def _write(index: Index, name: str, text: str = SENTENCES[0]) -> None:
    embedder = FakeEmbedder()
    document = Document(name, "text/plain", text)
    chunks = chunk(document, max_tokens=40, count_tokens=embedder.count_tokens)
    await index.replace_document(DocumentReference(name, name, name), document, chunks, embedder, is_new=True)
