"""One of two real vLLM servers is killed under load and started again: no request fails, and it gets work again."""

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from embedding_backend.hosted import HostedModel
from tests.real.vllm.conftest import QWEN3, Servers, connect
from tests.real.vllm.servers import EMBEDDING, Served, serving

pytestmark = pytest.mark.anyio

_ASKING = 16
_ANSWERS = 200
_DEADLINE_S = 600


def endpoint(served: Served) -> str:
    return served.url.removeprefix("http://")


def answered(model: HostedModel, served: Served) -> float:
    labels = {"endpoint": endpoint(served), "outcome": "ok"}
    return model.metrics.registry.get_sample_value("pincite_embed_requests_total", labels) or 0


def is_up(model: HostedModel, served: Served) -> bool:
    labels = {"endpoint": endpoint(served)}
    return bool(model.metrics.registry.get_sample_value("pincite_embed_endpoint_up", labels))


@pytest.fixture
async def second(servers: Servers, vllm_environment: Path) -> AsyncIterator[Served]:
    """A server beside the shared one of the same model, for this test to kill."""
    async with serving(vllm_environment, servers.qwen3.folder, QWEN3, *EMBEDDING) as served:
        yield served


async def test_a_server_killed_under_load_costs_no_request_and_returns(
    servers: Servers, second: Served, vllm_environment: Path
) -> None:
    first = servers.qwen3
    model = await connect(first, second)
    numbers, answers, enough = itertools.count(), [0], asyncio.Event()

    async def ask() -> None:
        while not enough.is_set():
            (vector,) = await model.embed_queries([f"question {next(numbers)}"])
            assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)
            answers[0] += 1

    async def reaches(condition: "asyncio.Future[None]") -> None:
        await asyncio.wait([condition, *asking], return_when=asyncio.FIRST_COMPLETED)
        for one in asking:
            if one.done():
                one.result()  # a request that failed fails the test here

    async def until_answers(count: int) -> None:
        wanted = answers[0] + count
        while answers[0] < wanted:
            await model.embed_queries([f"counting {next(numbers)}"])

    asking = [asyncio.create_task(ask()) for _ in range(_ASKING)]
    try:
        async with asyncio.timeout(_DEADLINE_S):
            await reaches(asyncio.ensure_future(until_answers(_ANSWERS)))
            assert answered(model, first) > 0
            assert answered(model, second) > 0
            os.killpg(second.pid, signal.SIGKILL)
            # Its connections last until the system has freed all of its memory, which takes a while on a busy machine.
            while is_up(model, second):
                await reaches(asyncio.ensure_future(until_answers(1)))
            before = answered(model, second)
            await reaches(asyncio.ensure_future(until_answers(_ANSWERS)))
            assert answered(model, second) == before
            async with serving(vllm_environment, second.folder, second.name, *EMBEDDING, port=second.port):
                while answered(model, second) < before + 2:
                    await reaches(asyncio.ensure_future(until_answers(1)))
                assert is_up(model, second)
                enough.set()
                await asyncio.gather(*asking)
    finally:
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await model.close()
