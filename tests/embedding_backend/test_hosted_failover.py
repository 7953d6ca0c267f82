"""Two servers: the load is shared, one may die under load, and comes back."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import pytest

from embedding_backend import BackendFailure
from embedding_backend.hosted import HostedConfig, HostedModel
from tests.embedding_backend.embedding_server import EmbeddingServer, server_process, vector_of
from tests.embedding_backend.hosted_clients import metric, passage
from tests.serving import served

pytestmark = pytest.mark.anyio
PATIENCE_S = 60


async def both(first: EmbeddingServer, second: EmbeddingServer, stack: AsyncExitStack, **config: Any) -> HostedModel:
    """Serve both and connect."""
    addresses = [await stack.enter_async_context(served(server.app)) for server in (first, second)]
    model = await HostedModel.connect(HostedConfig(endpoints=tuple(addresses), **config))
    stack.push_async_callback(model.close)
    first.misbehave()
    second.misbehave()
    return model


async def is_up(model: HostedModel, name: str, expected: bool) -> None:
    """Wait until the endpoint's meter says so."""
    async with asyncio.timeout(PATIENCE_S):
        while metric(model, "endpoint_up", endpoint=name) != expected:
            await model._connection.pool._changed.wait()


async def test_a_server_killed_under_load_costs_no_request_and_gets_work_again_when_it_is_back() -> None:
    with server_process() as main, server_process() as spare:
        config = HostedConfig(endpoints=(main.address, spare.address), health_interval_s=0.2)
        model = await HostedModel.connect(config)
        killed = asyncio.Event()
        answered = 0

        async def ask(asker: int) -> None:
            nonlocal answered
            for number in range(30):
                question = f"What does clause {number} of contract {asker} say?"
                (vector,) = await model.embed_queries([question])
                (passages,) = await model.embed_passages([passage(question)])
                np.testing.assert_allclose(passages[0], vector_of(question), atol=1e-6)
                assert vector @ passages[0] > 0
                answered += 1
                if answered == 100:
                    await asyncio.to_thread(main.kill)
                    killed.set()

        await asyncio.gather(*(ask(asker) for asker in range(16)))
        assert killed.is_set()
        assert answered == 16 * 30
        assert metric(model, "failovers_total") > 0
        await is_up(model, main.name, False)
        assert metric(model, "endpoint_up", endpoint=spare.name) == 1

        await asyncio.to_thread(main.start)
        await is_up(model, main.name, True)
        before = metric(model, "requests_total", endpoint=main.name, outcome="ok")
        await model.embed_passages([passage(f"word {number} " * 50) for number in range(200)])
        assert metric(model, "requests_total", endpoint=main.name, outcome="ok") > before
        await model.close()


async def test_a_request_waits_for_the_only_server_to_come_back() -> None:
    with server_process() as server:
        model = await HostedModel.connect(HostedConfig(endpoints=(server.address,), health_interval_s=0.2))
        await asyncio.to_thread(server.kill)
        waiting = asyncio.create_task(model.embed_passages([passage("one")]))
        await is_up(model, server.name, False)
        await asyncio.to_thread(server.start)
        (vectors,) = await waiting
        np.testing.assert_allclose(vectors[0], vector_of("one"), atol=1e-6)
        await model.close()


async def test_a_question_does_not_wait_for_a_dead_server_beyond_its_budget() -> None:
    with server_process() as server:
        config = HostedConfig(endpoints=(server.address,), query_budget_s=0.5, health_interval_s=0.2)
        model = await HostedModel.connect(config)
        await asyncio.to_thread(server.kill)
        with pytest.raises(BackendFailure, match=server.name):
            await model.embed_queries(["one"])
        await model.close()


async def test_the_load_is_shared() -> None:
    first, second = EmbeddingServer(), EmbeddingServer()
    async with AsyncExitStack() as stack:
        model = await both(first, second, stack, batch_texts=1)
        await model.embed_passages([passage(f"passage {number}") for number in range(40)])
    assert len(first.requests) + len(second.requests) == 40
    assert min(len(first.requests), len(second.requests)) >= 10


async def test_a_server_that_hangs_loses_its_requests_to_the_other() -> None:
    first, second = EmbeddingServer(), EmbeddingServer()
    hanging = asyncio.Event()

    async def hang(body: Any) -> None:
        hanging.set()
        first.healthy = False
        await first.released.wait()

    async with AsyncExitStack() as stack:
        model = await both(first, second, stack, health_interval_s=0.1)
        first.misbehave(hang)
        second.misbehave()
        async with asyncio.timeout(PATIENCE_S):
            await model.embed_passages([passage("one")])
        assert hanging.is_set()
        first.released.set()
    assert len(second.requests) == 1


async def test_servers_of_different_models_are_refused() -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(BackendFailure, match="does not serve"):
            await both(EmbeddingServer(), EmbeddingServer(model="other"), stack)


async def test_servers_of_different_dimensions_are_refused() -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(BackendFailure, match="with 32 dimensions, the other endpoints with 64"):
            await both(EmbeddingServer(), EmbeddingServer(dimensions=32), stack)


async def test_servers_of_different_weights_under_one_name_are_refused() -> None:
    other = EmbeddingServer()
    other.salt = "other weights under the same name "
    async with AsyncExitStack() as stack:
        with pytest.raises(BackendFailure, match="all must serve the same weights"):
            await both(EmbeddingServer(), other, stack)


async def test_a_server_that_comes_back_with_another_model_gets_no_request() -> None:
    first, second = EmbeddingServer(), EmbeddingServer()
    async with AsyncExitStack() as stack:
        model = await both(first, second, stack, health_interval_s=0.05)
        name = model._connection.pool.endpoints[1].name
        second.healthy = False
        await is_up(model, name, False)
        checks = second.calls["/v1/models"]
        second.models = ["other"]
        second.healthy = True
        async with asyncio.timeout(PATIENCE_S):
            while second.calls["/v1/models"] < checks + 2:
                await asyncio.sleep(0)
        assert metric(model, "endpoint_up", endpoint=name) == 0
        await model.embed_passages([passage(f"passage {number}") for number in range(10)])
    assert second.requests == []


async def test_a_server_that_is_away_at_the_start_may_join_later() -> None:
    with server_process() as main, server_process() as spare:
        await asyncio.to_thread(spare.kill)
        config = HostedConfig(endpoints=(main.address, spare.address), health_interval_s=0.2)
        model = await HostedModel.connect(config)
        assert metric(model, "endpoint_up", endpoint=spare.name) == 0
        await model.embed_queries(["one"])
        await asyncio.to_thread(spare.start)
        await is_up(model, spare.name, True)
        await model.close()
