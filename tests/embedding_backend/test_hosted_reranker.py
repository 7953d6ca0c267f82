"""A hosted reranker against a server that really listens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from starlette.responses import JSONResponse, Response

from embedding_backend import BackendFailure
from embedding_backend.hosted import HostedReranker, RerankerConfig
from tests.embedding_backend.embedding_server import EmbeddingServer, rerank_response
from tests.serving import served

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def connected(server: EmbeddingServer) -> AsyncIterator[HostedReranker]:
    async with served(server.app) as address:
        reranker = await HostedReranker.connect(RerankerConfig(endpoints=(address,)))
        server.misbehave()
        try:
            yield reranker
        finally:
            await reranker.close()


async def test_scores_come_in_the_order_of_the_texts() -> None:
    async with connected(EmbeddingServer()) as reranker:
        scores = await reranker.rerank("who pays late", ["nobody", "who pays late", "", "who pays"], 10)
    np.testing.assert_allclose(scores, [0, 1, 0, 2 / 3], atol=1e-6)


async def test_nothing_to_judge_costs_no_request() -> None:
    server = EmbeddingServer()
    async with connected(server) as reranker:
        assert (await reranker.rerank("who", [], 10)).shape == (0,)
        assert (await reranker.rerank("who", ["", " "], 10)).tolist() == [0, 0]
    assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (rerank_response([0.5]), "1 scores to 2 texts"),
        (rerank_response([0.5, 0.4, 0.3]), "3 scores to 2 texts"),
        (rerank_response([0.5, 1.5]), "does not lie between 0 and 1 for text 2 of 2"),
        (rerank_response([0.5, float("nan")]), "does not lie between 0 and 1 for text 2 of 2"),
        (JSONResponse({"results": [{"index": 0, "relevance_score": 0.5}] * 2}), "not one for each"),
        (JSONResponse({"results": [{"index": 0}, {"index": 1}]}), "does not lie between"),
        (JSONResponse({"results": "none"}), "no list of scores"),
        (JSONResponse({"results": [{"index": [0]}, {"index": [1]}]}), "not one for each"),
        (Response("no"), "not JSON"),
        (JSONResponse({"error": {"message": "maximum context length is 512"}}, 400), "smaller passages"),
        (Response(status_code=404), "answered 404 to /v1/rerank"),
    ],
)
async def test_a_wrong_answer_is_refused(answer: Response, problem: str) -> None:
    server = EmbeddingServer()
    async with connected(server) as reranker:
        server.misbehave(answer)
        with pytest.raises(BackendFailure, match=problem):
            await reranker.rerank("who", ["one", "two"], 10)


async def test_a_failure_that_passes_is_tried_again_within_the_time() -> None:
    server = EmbeddingServer()
    async with connected(server) as reranker:
        server.misbehave(Response(status_code=500))
        assert (await reranker.rerank("who", ["who"], 10)).tolist() == [1]


async def test_nothing_is_tried_again_beyond_the_time() -> None:
    server = EmbeddingServer()
    async with connected(server) as reranker:
        server.misbehave(server.never)
        with pytest.raises(BackendFailure, match="did not answer within"):
            await reranker.rerank("who", ["who"], 0.2)
        server.released.set()
        server.misbehave(*[Response(status_code=500)] * 9)
        # On a busy machine the time may be over before the first answer is there.
        with pytest.raises(BackendFailure, match=r"no time is left|did not answer within"):
            await reranker.rerank("who", ["who"], 0.2)
    assert len(server.requests) < 4


async def test_a_server_of_something_else_is_refused() -> None:
    server = EmbeddingServer()
    server.misbehave(Response(status_code=404))
    async with served(server.app) as address:
        with pytest.raises(BackendFailure, match="which is not a reranker: it answered 404 to /v1/rerank"):
            await HostedReranker.connect(RerankerConfig(endpoints=(address,)))
