"""A job is told about while it runs, over a connection that stays open as long as there is something to tell."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import httpx
import pytest

from embedding_backend import PassageText, Vectors
from pincite.access import Principal
from tests.fakes import FakeEmbedder
from tests.http_server.sample_workspace import ADMIN_KEY, Served, listen, serve

pytestmark = pytest.mark.anyio


class HeldEmbedder(FakeEmbedder):
    """Embeds passages only once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        await self.go.wait()
        return await super().embed_passages(passages)


async def told(response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, object]]]:
    """Yield the events of a stream as they arrive."""
    name = ""
    async for line in response.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


@dataclass
class Held:
    """A job that waits for its embedder, behind a running server."""

    served: Served
    embedder: HeldEmbedder
    http: httpx.AsyncClient
    job_id: str

    def stream(self) -> AbstractAsyncContextManager[httpx.Response]:
        return self.http.stream("GET", f"/api/jobs/{self.job_id}/events")


@pytest.fixture
async def held(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Held]:
    embedder = HeldEmbedder()
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with (
        serve(tmp_path_factory.mktemp("held"), embedder) as served,
        listen(served.app) as base,
        httpx.AsyncClient(base_url=base, headers=headers, timeout=60) as http,
    ):
        await http.post("/api/knowledge-bases", json={"name": "held"})
        files = [("files", ("a.md", b"# Held\n\nUntil it is let go.\n"))]
        job = (await http.post("/api/knowledge-bases/held/documents", files=files)).json()
        yield Held(served, embedder, http, job["id"])


async def test_progress_arrives_before_the_job_is_done_and_the_stream_ends_with_it(held: Held) -> None:
    async with held.stream() as stream:
        events = told(stream)
        assert stream.headers["content-type"].startswith("text/event-stream")
        name, first = await anext(events)
        assert (name, first["id"]) == ("progress", held.job_id)
        held.embedder.go.set()
        rest = [event async for event in events]
    assert [name for name, _ in rest].count("finished") == 1
    assert (rest[-1][0], rest[-1][1]["state"]) == ("finished", "done")


async def test_who_stops_listening_does_not_stop_the_job(held: Held) -> None:
    async with held.stream() as stream:
        await anext(told(stream))
    held.embedder.go.set()
    last = [job async for job in held.served.workspace.job_events(Principal.system(), held.job_id)][-1]
    assert last.state == "done"


async def test_a_cancelled_job_ends_its_stream(held: Held) -> None:
    async with held.stream() as stream:
        events = told(stream)
        await anext(events)
        assert (await held.http.delete(f"/api/jobs/{held.job_id}")).status_code == 204
        rest = [event async for event in events]
    assert (rest[-1][0], rest[-1][1]["state"]) == ("finished", "cancelled")
