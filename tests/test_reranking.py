"""Knowledge bases with a reranker, whose order counts; without its answer the search's own stands, with a note."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from embedding_backend import BackendFailure, Scores
from pincite.errors import InvalidSettings
from pincite.passage import SearchResult
from pincite.search.reranking import MOST_RERANKED
from pincite.settings import load_settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder
from tests.owner import OWNER

pytestmark = pytest.mark.anyio

QUESTION = "How often is the oil of the pump changed?"
# The more of the question's words, the higher the search itself puts it.
TEXTS = {
    "first.txt": "The oil of the pump is changed often: how often is said elsewhere.",
    "second.txt": "The oil of the pump is changed every four hundred hours.",
    "third.txt": "The pump holds two litres of oil.",
}


class Judge:
    """A reranker that puts the passages of the search in the opposite order, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []
        self.closed = False

    async def connect(self) -> "Judge":
        return self

    async def rerank(self, question: str, texts: Sequence[str], timeout_s: float) -> Scores:
        self.asked.append((question, list(texts)))
        return np.linspace(0.01, 0.02, len(texts), dtype=np.float32)

    async def close(self) -> None:
        self.closed = True


class Late(Judge):
    async def rerank(self, question: str, texts: Sequence[str], timeout_s: float) -> Scores:
        await asyncio.Event().wait()
        raise AssertionError


class Failing(Judge):
    async def rerank(self, question: str, texts: Sequence[str], timeout_s: float) -> Scores:
        raise BackendFailure("gpu:8001 answered 500 to /v1/rerank")


class OutOfReach(Judge):
    async def connect(self) -> "Judge":
        raise BackendFailure("nothing listens at gpu:8001 (connection refused); start the server there")


class TooFew(Judge):
    async def rerank(self, question: str, texts: Sequence[str], timeout_s: float) -> Scores:
        return np.ones(len(texts) - 1, np.float32)


class NoNumbers(Judge):
    async def rerank(self, question: str, texts: Sequence[str], timeout_s: float) -> Scores:
        return np.full(len(texts), np.nan, np.float32)


@pytest.fixture
async def judge() -> Judge:
    return Judge()


@asynccontextmanager
async def workspace_with(judge: Judge | None, tmp_path: Path, timeout_s: float = 60) -> AsyncIterator[Workspace]:
    settings = load_settings(data=tmp_path / "data", parser_workers=1, rerank_timeout_s=timeout_s)
    connect = judge.connect if judge else None
    async with Workspace(settings, embedder=FakeEmbedder(), connect_reranker=connect) as opened:
        yield opened


async def fill(workspace: Workspace, folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
    job = await workspace.add(OWNER, "manuals", [str(folder)], create=True)
    async for _ in workspace.job_events(OWNER, job.id):
        pass


async def searched(workspace: Workspace, *, rerank: bool, kb: str | None = "manuals") -> SearchResult:
    await workspace.update_knowledge_base(OWNER, "manuals", {"rerank": rerank})
    return await workspace.search(OWNER, kb, QUESTION)


def paths(result: SearchResult) -> list[str]:
    return [passage.document.path for passage in result.passages]


async def test_the_reranker_says_which_comes_first_and_the_scores_stay_in_order(tmp_path: Path, judge: Judge) -> None:
    async with workspace_with(judge, tmp_path) as workspace:
        await fill(workspace, tmp_path / "documents", TEXTS)
        plain = await searched(workspace, rerank=False)
        assert judge.asked == []
        reranked = await searched(workspace, rerank=True)
    assert len(plain.passages) == len(TEXTS)
    assert paths(reranked) == paths(plain)[::-1]
    assert [p.score for p in reranked.passages] == [p.score for p in plain.passages]
    assert (plain.notes, reranked.notes) == ((), ())
    [(question, texts)] = judge.asked
    assert question == QUESTION
    assert [text.splitlines()[-1] for text in texts] == [passage.text for passage in plain.passages]
    assert judge.closed


async def test_only_the_best_candidates_are_read_again_and_the_others_follow(tmp_path: Path, judge: Judge) -> None:
    many = {f"{number}.txt": f"{TEXTS['second.txt']} Pump {number}." for number in range(MOST_RERANKED + 5)}
    async with workspace_with(judge, tmp_path) as workspace:
        await fill(workspace, tmp_path / "documents", many)
        await workspace.update_knowledge_base(OWNER, "manuals", {"top_k": 100})
        plain, reranked = [await searched(workspace, rerank=rerank) for rerank in (False, True)]
    assert len(judge.asked[0][1]) == MOST_RERANKED
    assert paths(reranked) == paths(plain)[:MOST_RERANKED][::-1] + paths(plain)[MOST_RERANKED:]
    scores = [passage.score for passage in reranked.passages]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("judge", "timeout_s", "said"),
    [
        (Late(), 0.01, "did not answer within 0.01 s"),
        (Failing(), 60, "gpu:8001 answered 500"),
        (OutOfReach(), 60, "connection refused"),
        (TooFew(), 60, "something else than a number for each passage"),
        (NoNumbers(), 60, "something else than a number for each passage"),
    ],
)
async def test_without_an_answer_the_search_keeps_its_order_and_says_so(
    judge: Judge, timeout_s: float, said: str, tmp_path: Path
) -> None:
    async with workspace_with(judge, tmp_path, timeout_s) as workspace:
        await fill(workspace, tmp_path / "documents", TEXTS)
        plain = await searched(workspace, rerank=False)
        result = await searched(workspace, rerank=True)
        everywhere = await searched(workspace, rerank=True, kb=None)
    assert result.passages == everywhere.passages == plain.passages
    [note] = result.notes
    assert everywhere.notes == (note,)
    assert said in note


async def test_nothing_relevant_is_nothing_to_rerank(tmp_path: Path, judge: Judge) -> None:
    async with workspace_with(judge, tmp_path) as workspace:
        await fill(workspace, tmp_path / "documents", TEXTS)
        await workspace.update_knowledge_base(OWNER, "manuals", {"rerank": True})
        result = await workspace.search(OWNER, "manuals", "量子引力的重整化")
    assert (result.passages, result.notes, judge.asked) == ((), (), [])
    assert result.why is not None


async def test_reranking_without_a_reranker_is_refused_and_told_where_there_was_one(
    tmp_path: Path, judge: Judge
) -> None:
    async with workspace_with(judge, tmp_path) as workspace:
        await fill(workspace, tmp_path / "documents", TEXTS)
        plain = await searched(workspace, rerank=False)
        await workspace.update_knowledge_base(OWNER, "manuals", {"rerank": True})
    async with workspace_with(None, tmp_path) as workspace:
        result = await workspace.search(OWNER, "manuals", QUESTION)
        assert result.passages == plain.passages
        assert "PINCITE_RERANKER_URL" in result.notes[0]
        await workspace.update_knowledge_base(OWNER, "manuals", {"top_k": 3})
        for refused in (
            workspace.update_knowledge_base(OWNER, "manuals", {"rerank": True}),
            workspace.create_knowledge_base(OWNER, "other", {"rerank": True}),
        ):
            with pytest.raises(InvalidSettings, match="PINCITE_RERANKER_URL"):
                await refused
