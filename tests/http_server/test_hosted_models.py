"""REST with an embedding server and a reranker behind it: settings, searches, health and meters."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.embedding_backend.embedding_server import DIMENSIONS, MODEL, EmbeddingServer
from tests.http_server.sample_workspace import NOTICE, Served, contract_pdf, serve
from tests.serving import served

pytestmark = pytest.mark.anyio

AMENDMENT = f"# Amendment\n\n{NOTICE.replace('ninety', 'sixty')}\n"


@pytest.fixture
def backend() -> EmbeddingServer:
    return EmbeddingServer()


@pytest.fixture
async def contracts(backend: EmbeddingServer, tmp_path: Path) -> AsyncIterator[Served]:
    """A workspace whose settings name the backend, with a knowledge base "contracts"."""
    async with (
        served(backend.app) as address,
        serve(
            tmp_path, embedding_url=address, embedding_model=MODEL, reranker_url=address, rerank_timeout_s=60
        ) as opened,
    ):
        job = await opened.add("contracts", {"contract.pdf": contract_pdf(), "amendment.md": AMENDMENT.encode()})
        assert job.state == "done", job.error
        yield opened


async def change(contracts: Served, **settings: object) -> None:
    changed = await contracts.http.patch("/api/knowledge-bases/contracts", json={"settings": settings})
    assert changed.status_code == 200, changed.text
    for job in contracts.workspace._opened.jobs.unfinished(changed.json()["id"]):
        async for _ in contracts.workspace._opened.jobs.events(job.id):
            pass


async def test_a_new_knowledge_base_is_embedded_by_the_server_with_its_instruction(
    contracts: Served, backend: EmbeddingServer
) -> None:
    listed = (await contracts.http.get("/api/knowledge-bases/contracts")).json()
    assert listed["settings"]["embedding_model"] == "hosted"
    assert listed["passages"] > 0
    await change(contracts, query_instruction="Find the clause")
    answer = (await contracts.http.post("/api/search", json={"question": NOTICE})).json()
    assert NOTICE in answer["passages"][0]["text"]
    assert answer["notes"] == []
    assert backend.texts[-1] == f"Instruct: Find the clause\nQuery:{NOTICE}"


async def test_fewer_dimensions_are_asked_for_and_more_than_there_are_refused(
    contracts: Served, backend: EmbeddingServer
) -> None:
    await change(contracts, dimensions=32)
    answer = (await contracts.http.post("/api/search", json={"question": NOTICE})).json()
    assert NOTICE in answer["passages"][0]["text"]
    wrong = {"settings": {"dimensions": DIMENSIONS + 1}}
    refused = await contracts.http.patch("/api/knowledge-bases/contracts", json=wrong)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_settings")
    assert f"more than the {DIMENSIONS} of {MODEL}" in refused.json()["detail"]


async def test_the_reranker_is_asked_and_its_failure_noted(contracts: Served, backend: EmbeddingServer) -> None:
    await change(contracts, rerank=True)
    asked = {"knowledge_base": "contracts", "question": NOTICE}
    answer = (await contracts.http.post("/api/search", json=asked)).json()
    assert (len(answer["passages"]) > 1, answer["notes"]) == (True, [])
    assert backend.requests[-1]["query"] == asked["question"]
    backend.key = "now there is one"
    again = (await contracts.http.post("/api/search", json=asked)).json()
    assert {p["id"] for p in again["passages"]} == {p["id"] for p in answer["passages"]}
    [note] = again["notes"]
    assert "key" in note


async def test_readyz_names_the_model_and_says_when_no_server_takes_requests(
    contracts: Served, backend: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.service.BETWEEN_CHECKS_S", 0)
    contracts.workspace.begin_service()
    while (ready := await contracts.http.get("/readyz")).status_code == 503:
        await asyncio.sleep(0)
    assert ready.json()["models"] == [{"backend": "hosted", "model": MODEL, "dimensions": DIMENSIONS, "state": "ok"}]


async def test_metrics_have_those_of_the_servers_clients(contracts: Served) -> None:
    await contracts.http.post("/api/search", json={"question": NOTICE})
    exposed = (await contracts.http.get("/metrics")).text
    assert 'pincite_embed_requests_total{endpoint="127.0.0.1:' in exposed
    assert "pincite_search_seconds_count 1.0" in exposed
