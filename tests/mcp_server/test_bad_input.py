"""What a model, a client or the network gets wrong, and that the server stays well."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from mcp import Client
from mcp_types import CallToolResult, TextContent

from http_server.app import create_app
from mcp_server.budget import estimated_tokens
from mcp_server.server import build_server, streamable_http_app
from tests.mcp_server.conftest import NOTICE, OWNER, Library
from tests.mcp_server.test_http import connected
from tests.serving import served

pytestmark = pytest.mark.anyio

ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])
LONG = "x" * 50_000
MOST_TOKENS_OF_A_REFUSAL = 200
PATIENCE_S = 30


def text_of(result: CallToolResult) -> str:
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


@asynccontextmanager
async def client_of(library: Library, mode: str = "auto", key: str | None = None) -> AsyncIterator[Client]:
    who = OWNER if key is None else await library.workspace.authenticate(key)
    async with Client(build_server(library.workspace, lambda _: who), mode=mode) as client:
        yield client


@ERAS
@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("no_such_tool", {}, "call one of search, "),
        ("Search", {"query": "x"}, "call one of search, "),
        ("search", {}, "query: Field required"),
        ("search", {"query": 5}, "query: Input should be a valid string"),
        ("search", {"query": ["x"]}, "query: Input should be a valid string"),
        ("search", {"query": "x", "k": "many"}, "k: Input should be a valid integer"),
        ("search", {"query": "x", "kb": "contracts"}, "it takes query, knowledge_base, k, filters, cursor"),
        ("search", {"query": "x", "filters": "contract"}, "filters"),
        ("search", {"query": "x", "filters": {"documents": ["a"]}}, "filters.documents: Extra inputs"),
        ("search", {"query": "x", "filters": {"document_ids": ["a"] * 1001}}, "at most 1000 items"),
        ("search", {"query": "half \ud800"}, "well-formed Unicode"),
        ("read_page", {"document": "x", "page": "two"}, "page: Input should be a valid integer"),
        ("read_page", {"document": "x", "page": 1.5}, "page: Input should be a valid integer"),
        ("list_knowledge_bases", {"query": "x"}, "it takes cursor"),
        ("search", {"query": "x", "knowledge_base": LONG}, "that you may read"),
        ("search", {"query": "x", "cursor": LONG}, "without a cursor"),
        ("fetch", {"id": LONG}, "id from the results of search"),
        ("find_in_document", {"document": LONG, "text": "x"}, "id from the results of search"),
        ("x" * 50_000, {}, "call one of search, "),
        ("search", {"query": "x", LONG: "x"}, "it takes query"),
    ],
)
async def test_a_wrong_call_is_told_shortly_what_is_wrong(
    library: Library, mode: str, tool: str, arguments: dict[str, Any], says: str
) -> None:
    async with client_of(library, mode) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert says in text_of(result)
    assert estimated_tokens(text_of(result)) <= MOST_TOKENS_OF_A_REFUSAL
    assert "Traceback" not in text_of(result)
    assert "pydantic" not in text_of(result)


async def test_too_long_a_text_to_find_and_too_high_a_page_are_told(library: Library) -> None:
    contract, manual = library.documents["contract.pdf"], library.documents["manual.md"]
    async with client_of(library) as client:
        long = await client.call_tool("find_in_document", {"document": contract, "text": LONG})
        blank = await client.call_tool("find_in_document", {"document": contract, "text": " "})
        beyond = [await client.call_tool("read_page", {"document": contract, "page": page}) for page in (0, 3, -1)]
        pageless = await client.call_tool("read_page", {"document": manual, "page": 1})
    assert "at most 1000 characters" in text_of(long)
    assert "send the exact words" in text_of(blank)
    assert all("its pages are 1 to 2" in text_of(result) for result in beyond)
    assert "fetch for a document without pages" in text_of(pageless)


@ERAS
async def test_anothers_document_is_as_unknown_as_none(library: Library, mode: str) -> None:
    theirs = library.documents["manual.md"]
    async with client_of(library, mode, library.key) as client:
        for tool, argument, rest in (
            ("fetch", "id", {}),
            ("read_page", "document", {"page": 1}),
            ("find_in_document", "document", {"text": "bolt"}),
        ):
            hidden = await client.call_tool(tool, {argument: theirs, **rest})
            none = await client.call_tool(tool, {argument: "doc_ffffffffffffffffffff", **rest})
            assert hidden.is_error
            assert text_of(hidden) == text_of(none)


class Search:
    """A search that says when it has begun and when it was given up, and does not end by itself."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.given_up = asyncio.Event()

    async def __call__(self, *_: Any, **__: Any) -> Any:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise


@contextmanager
def endless_search(library: Library) -> Iterator[Search]:
    search = Search()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library.workspace, "search", search)
        yield search


@ERAS
async def test_a_cancelled_call_ends_and_the_next_is_answered(library: Library, mode: str) -> None:
    async with client_of(library, mode) as client:
        with endless_search(library) as search:
            call = asyncio.create_task(client.call_tool("search", {"query": NOTICE}))
            await asyncio.wait_for(search.begun.wait(), PATIENCE_S)
            call.cancel()
            await asyncio.wait_for(search.given_up.wait(), PATIENCE_S)
            with pytest.raises(asyncio.CancelledError):
                await call
        assert not (await client.call_tool("search", {"query": NOTICE})).is_error


async def test_a_client_that_disconnects_ends_its_call_and_nobody_elses(library: Library) -> None:
    app = create_app(library.workspace, streamable_http_app(library.workspace))
    async with served(app) as address:
        with endless_search(library) as search:
            writer = await post_and_stay(address, library.key)
            await asyncio.wait_for(search.begun.wait(), PATIENCE_S)
            async with connected(f"{address}/mcp", library.key) as client:
                assert not (await client.call_tool("list_knowledge_bases")).is_error
            assert not search.given_up.is_set()
            writer.close()
            await asyncio.wait_for(search.given_up.wait(), PATIENCE_S)
        async with connected(f"{address}/mcp", library.key) as client:
            assert not (await client.call_tool("search", {"query": NOTICE})).is_error


async def post_and_stay(address: str, key: str) -> asyncio.StreamWriter:
    """Send a search and leave the connection open without reading."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "a test", "version": "1"},
    }
    params = {"name": "search", "arguments": {"query": NOTICE}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    where = urlsplit(address)
    _, writer = await asyncio.open_connection(where.hostname, where.port)
    head = [
        "POST /mcp HTTP/1.1",
        f"Host: {where.netloc}",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "MCP-Protocol-Version: 2026-07-28",
        "Mcp-Method: tools/call",
        "Mcp-Name: search",
        f"Content-Length: {len(body)}",
    ]
    writer.write("\r\n".join([*head, "", ""]).encode() + body)
    await writer.drain()
    return writer
