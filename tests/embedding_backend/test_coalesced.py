"""Callers of an embedder in this process that ask at the same time are served together."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from embedding_backend import BackendFailure, EmbeddedModel, PassageText, Vectors
from embedding_backend.coalesced import Coalesced

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


async def test_whoever_comes_while_the_model_reads_waits_for_company() -> None:
    started, finish = asyncio.Event(), asyncio.Event()
    batches: list[int] = []

    class Slow(EmbeddedModel):
        async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
            batches.append(len(questions))
            started.set()
            await finish.wait()
            return np.zeros((len(questions), 4), np.float32)

    together = Coalesced(Slow())
    first = asyncio.create_task(together.embed_queries(["first"]))
    await started.wait()
    started.clear()
    second = asyncio.create_task(together.embed_queries(["second"]))
    await started.wait()
    others = [asyncio.create_task(together.embed_queries([text])) for text in TEXTS[:8]]
    await asyncio.sleep(0)
    finish.set()
    await asyncio.gather(first, second, *others)
    assert batches == [1, 1, 8]
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
