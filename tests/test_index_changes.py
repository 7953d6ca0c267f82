"""An index that has seen its documents come, change, move and go answers as one that was opened just now."""

import itertools
import random
from pathlib import Path

import pytest

from embedding_backend import Vectors
from pincite.chunking import chunk
from pincite.document import Document
from pincite.index import Hit, Index, View
from pincite.passage import DocumentReference, SearchFilter, SearchResult
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
    monkeypatch.setattr("pincite.index.rows._MOST_WORDS_BYTES", 1_000_000 if seed % 2 else 300)
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
            answers = [_told(await search(index, embedder, question, k=2)) for index in (old, fresh)]
            assert answers[0] == answers[1]
        await fresh.close()
    await old.close()


async def test_the_index_is_tidied_when_enough_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pincite.index.table._TIDY_WRITES", 4)
    monkeypatch.setattr("pincite.index.table._TIDY_ROWS", 2)
    monkeypatch.setattr("pincite.index.table._TIDY_SHARE", 0.1)
    embedder = FakeEmbedder()
    index = await Index.open(str(tmp_path), "kb", embedder.model)
    tidied, fragments = [], 0
    for number in range(50):
        name = f"document {number}"
        document = Document(name, "text/plain", SENTENCES[number % len(SENTENCES)])
        chunks = chunk(document, max_tokens=40, count_tokens=embedder.count_tokens)
        await index.replace_document(DocumentReference(name, name, name), document, chunks, embedder, is_new=True)
        await index.tidy()
        before, fragments = fragments, (await index._table.stats())["fragment_stats"]["num_fragments"]
        if fragments <= before:
            tidied.append(number + 1)
    await index.close()
    # After each second row at first, then after a tenth of what is there, and after four writes at the latest.
    gaps = [after - before for before, after in itertools.pairwise([0, *tidied])]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (2, 4)


def _told(found: SearchResult) -> list[tuple[str, str, float]]:
    return [(passage.id, passage.text, round(passage.score, 6)) for passage in found.passages]
