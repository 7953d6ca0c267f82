"""A second opinion on the best candidates: a reranker reads the question and each passage together, and orders them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from embedding_backend import BackendFailure, Reranker

# Candidates that are read again: the passage that answers is nearly always among them, and a reranker reads each whole.
MOST_RERANKED = 30


@dataclass(frozen=True, slots=True)
class Reranking:
    """A reranker, connected to at first need, and the seconds a search waits for it."""

    connect: Callable[[], Awaitable[Reranker]]
    timeout_s: float

    async def problem(self) -> str | None:
        """Return why the reranker cannot be used, None if it can."""
        try:
            await self.connect()
        except BackendFailure as failure:
            return str(failure)
        return None

    async def order(self, question: str, texts: Sequence[str]) -> tuple[list[int], tuple[str, ...]]:
        """Return the places of the texts, best first, and no note; or their own order and a note that says why."""
        try:
            async with asyncio.timeout(self.timeout_s):
                reranker = await self.connect()
                scores = np.asarray(await reranker.rerank(question, texts, self.timeout_s))
        except TimeoutError:
            problem = f"the reranker did not answer within {self.timeout_s:g} s"
        except BackendFailure as failure:
            problem = f"the reranker failed: {failure}"
        else:
            if scores.shape == (len(texts),) and np.isfinite(scores).all():
                return np.argsort(-scores, kind="stable").tolist(), ()
            problem = "the reranker answered something else than a number for each passage"
        return list(range(len(texts))), (f"The passages are in the order of the search alone: {problem}.",)
