"""Callers of an embedder in this process that ask at the same time are served together."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from embedding_backend import BackendFailure, EmbeddedModel, PassageText, Vectors
from embedding_backend.coalesced import Coalesced
from embedding_backend.hosted import coalescing

pytestmark = pytest.mark.anyio

TEXTS = [f"Rule {number}: the pump is oiled every {number} hours." for number in range(40)]


class Counting(EmbeddedModel):
    """The real model, and how many texts it was given at once."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        self.batches.append(len(questions))
        return await super().embed_queries(questions, instruction)

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        self.batches.append(len(passages))
        return await super().embed_passages(passages)


def whole(text: str) -> PassageText:
    return PassageText(text, ((0, len(text)),))


async def test_each_caller_gets_the_vector_of_its_own_question() -> None:
    model = Counting()
    together = Coalesced(model)
    vectors = await asyncio.gather(*(together.embed_queries([text]) for text in TEXTS))
    assert len(model.batches) <= 3
    similarities = np.concatenate(vectors) @ (await model.embed_queries(TEXTS)).T
    assert similarities.argmax(axis=1).tolist() == list(range(len(TEXTS)))
    await together.close()


async def test_passages_of_several_callers_are_read_together_and_windows_apart() -> None:
    model = Counting()
    together = Coalesced(model)
    windowed = PassageText(TEXTS[0], ((0, 8), (8, len(TEXTS[0]))))
    ones, (windows,) = await asyncio.gather(
        asyncio.gather(*(together.embed_passages([whole(text)]) for text in TEXTS[:8])),
        together.embed_passages([windowed]),
    )
    assert len(model.batches) <= 3
    assert windows.shape[0] == 2
    alone = await model.embed_passages([whole(text) for text in TEXTS[:8]])
    similarities = np.concatenate([one[0] for one in ones]) @ np.concatenate(alone).T
    assert similarities.argmax(axis=1).tolist() == list(range(8))
    await together.close()


class Slow(EmbeddedModel):
    """A model that says when it began to read, and ends when it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.started = asyncio.Semaphore(0)
        self.finish = asyncio.Semaphore(0)

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        self.batches.append(len(questions))
        self.started.release()
        await self.finish.acquire()
        return np.zeros((len(questions), 4), np.float32)


def asked(together: Coalesced, texts: Sequence[str]) -> list[asyncio.Task[Vectors]]:
    return [asyncio.create_task(together.embed_queries([text])) for text in texts]


async def test_whoever_comes_while_the_model_reads_waits_for_company() -> None:
    model = Slow()
    together = Coalesced(model)
    tasks = []
    for text in TEXTS[:2]:
        tasks += asked(together, [text])
        await model.started.acquire()
    tasks += asked(together, TEXTS[2:10])
    await asyncio.sleep(0)
    for _ in range(3):
        model.finish.release()
    await asyncio.gather(*tasks)
    assert model.batches == [1, 1, 8]
    await together.close()


async def test_who_comes_while_one_batch_is_read_waits_for_a_share_of_the_time_that_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Slow()
    together = Coalesced(model)
    model.finish.release()
    await together.embed_queries(TEXTS[:1])
    # So long a share that only the end of the batch ends the wait.
    monkeypatch.setattr(coalescing, "_SHARE_HELD", 1e9)
    monkeypatch.setattr(coalescing, "_LONGEST_HOLD_S", 1e9)
    (first,) = asked(together, TEXTS[1:2])
    for _ in range(2):
        await model.started.acquire()
    others = []
    for text in TEXTS[2:5]:
        others += asked(together, [text])
        for _ in range(3):  # turns of the loop in which a lone question would be sent
            await asyncio.sleep(0)
    assert model.batches == [1, 1]
    for _ in range(2):
        model.finish.release()
    await asyncio.gather(first, *others)
    assert model.batches == [1, 1, 3]
    await together.close()


async def test_many_that_come_behind_a_lone_one_are_shared_out_evenly() -> None:
    model = Slow()
    together = Coalesced(model)
    lone = asked(together, TEXTS[:1])
    await model.started.acquire()
    others = asked(together, TEXTS[1:32])
    await model.started.acquire()
    model.finish.release()
    await asyncio.gather(*lone)
    await model.started.acquire()
    assert model.batches == [1, 16, 15]
    for _ in range(2):
        model.finish.release()
    await asyncio.gather(*others)
    await together.close()


async def test_a_failure_reaches_everyone_whose_text_was_in_the_batch() -> None:
    class Failing(EmbeddedModel):
        async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
            raise BackendFailure("the weights are gone")

    together = Coalesced(Failing())
    outcomes = await asyncio.gather(*(together.embed_queries([text]) for text in TEXTS[:3]), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["the weights are gone"] * 3
    await together.close()


async def test_no_question_is_no_vector() -> None:
    together = Coalesced(EmbeddedModel())
    assert (await together.embed_queries([])).shape[0] == 0
    await together.close()
