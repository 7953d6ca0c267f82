"""The MCP server behind a real HTTP server: keys, hosts, origins, and both revisions of the protocol."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from http_server.app import create_app
from mcp_server.server import streamable_http_app
from tests.mcp_server.conftest import NOTICE, Library
from tests.serving import served

pytestmark = pytest.mark.anyio

DISCOVER = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
ACCEPT = {"Accept": "application/json, text/event-stream"}


@asynccontextmanager
async def mcp_address(library: Library) -> AsyncIterator[str]:
    """Run the whole server, and yield the address of its MCP endpoint."""
    app = create_app(library.workspace, streamable_http_app(library.workspace))
    async with served(app) as address:
        yield f"{address}/mcp"


@asynccontextmanager
async def connected(url: str, key: str, mode: str = "auto") -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_agent_with_a_key_searches_what_the_key_may_read(library: Library, mode: str) -> None:
    async with mcp_address(library) as url, connected(url, library.key, mode) as client:
        listed = await client.call_tool("list_knowledge_bases", {})
        found = await client.call_tool("search", {"query": NOTICE})
    assert listed.structured_content is not None
    assert [kb["name"] for kb in listed.structured_content["knowledge_bases"]] == ["contracts"]
    assert found.structured_content is not None
    assert found.structured_content["results"][0]["page"] == 2


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer pc_nobody-issued-this", "Basic dTpw"])
async def test_without_an_issued_key_nothing_is_answered(library: Library, authorization: str | None) -> None:
    headers = ACCEPT | ({"Authorization": authorization} if authorization else {})
    async with mcp_address(library) as url, httpx2.AsyncClient() as http:
        answer = await http.post(url, json=DISCOVER, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "not_authenticated"


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [("Host", "rebound.example", 421), ("Origin", "http://evil.example", 403), ("Origin", "null", 403)],
)
async def test_a_strange_host_or_origin_is_refused(library: Library, header: str, value: str, status: int) -> None:
    headers = ACCEPT | {"Authorization": f"Bearer {library.key}", header: value}
    async with mcp_address(library) as url, httpx2.AsyncClient() as http:
        answer = await http.post(url, json=DISCOVER, headers=headers)
    assert answer.status_code == status


async def test_the_public_address_is_an_allowed_host(library: Library) -> None:
    headers = ACCEPT | {"Authorization": f"Bearer {library.key}", "Host": "library.test"}
    async with mcp_address(library) as url, httpx2.AsyncClient() as http:
        answer = await http.post(url, json=DISCOVER, headers=headers)
    assert answer.status_code not in {401, 403, 421}


async def test_a_body_without_end_is_refused(library: Library) -> None:
    headers = ACCEPT | {"Authorization": f"Bearer {library.key}", "Content-Type": "application/json"}
    async with mcp_address(library) as url, httpx2.AsyncClient() as http:
        answer = await http.post(url, content=b" " * (2 * 1024 * 1024), headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_progress_reaches_a_client_over_http(library: Library, mode: str) -> None:
    steps: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    note_of = {"knowledge_base": "contracts", "name": f"{mode}.md", "text": f"# {mode}\n\nA note on {mode}."}
    async with mcp_address(library) as url, connected(url, library.writing_key, mode) as client:
        added = await client.call_tool("add_document", note_of, progress_callback=note)
        assert added.structured_content is not None
        await client.call_tool("remove_document", {"document": added.structured_content["documents"][0]["document_id"]})
    assert added.structured_content["state"] == "done"
    assert steps == sorted(set(steps))
    assert steps[-1] >= 2  # a document and its passage


async def test_no_session_is_kept_in_either_era(library: Library) -> None:
    """Each request stands alone: a call that follows no handshake is answered, and no session id is given out."""
    headers = ACCEPT | {"Authorization": f"Bearer {library.key}", "MCP-Protocol-Version": "2025-11-25"}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_knowledge_bases"}}
    greeting = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    async with mcp_address(library) as url, httpx2.AsyncClient() as http:
        answers = [await http.post(url, json=message, headers=headers) for message in (greeting, asked)]
        modern = await http.post(url, json=DISCOVER, headers=headers | {"MCP-Protocol-Version": "2026-07-28"})
    assert [answer.status_code for answer in answers] == [200, 200]
    assert "contracts" in answers[1].text
    assert all("mcp-session-id" not in answer.headers for answer in (*answers, modern))


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"2.0","id":1}', b"\xff"])
async def test_what_is_no_request_is_refused(library: Library, body: bytes) -> None:
    headers = ACCEPT | {"Authorization": f"Bearer {library.key}", "Content-Type": "application/json"}
    async with mcp_address(library) as url, httpx2.AsyncClient() as http:
        for era in ("2025-11-25", "2026-07-28"):
            answer = await http.post(url, content=body, headers=headers | {"MCP-Protocol-Version": era})
            assert answer.status_code == 400, (era, answer.text)
            assert "Traceback" not in answer.text
