"""`pincite mcp`, started as a client starts it, on the data folder that another process has open."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import TextContent

from http_server.app import create_app
from mcp_server.server import streamable_http_app
from tests.mcp_server.conftest import NOTICE, Library
from tests.serving import served

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def spawned(data: Path, *options: str) -> AsyncIterator[Client]:
    """Start the command as a client does, and yield a connection to it."""
    variables = os.environ | {"PINCITE_DATA": str(data), "PYTHONPATH": str(ROOT)}
    arguments = ["-m", "pincite.cli", "mcp", *options]
    command = StdioServerParameters(command=sys.executable, args=arguments, env=dict(variables))
    async with Client(stdio_client(command)) as client:
        yield client


async def test_with_write_a_local_agent_adds_and_removes_by_the_server_that_runs(library: Library) -> None:
    steps: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    text = {"knowledge_base": "contracts", "name": "local.md", "text": "# Local\n\nThe gate of yard nine is blue.\n"}
    app = create_app(library.workspace, streamable_http_app(library.workspace))
    async with served(app) as address, spawned(library.workspace.settings.data, "--write") as client:
        library.workspace.announce(address)
        names = [tool.name for tool in (await client.list_tools()).tools]
        added = await client.call_tool("add_document", text, progress_callback=note)
        assert added.structured_content is not None, added.content
        status = await client.call_tool("job_status", {"job": added.structured_content["job"]})
        [document] = added.structured_content["documents"]
        removed = await client.call_tool("remove_document", {"document": document["document_id"]})
        again = await client.call_tool("remove_document", {"document": document["document_id"]})
    assert names[-3:] == ["add_document", "job_status", "remove_document"]
    assert document["status"] == "indexed"
    assert status.structured_content is not None
    assert status.structured_content["job"] == added.structured_content["job"]
    assert steps
    assert steps == sorted(set(steps))
    assert removed.structured_content == {"removed": document["document_id"], "title": "Local"}
    assert again.is_error


async def test_without_a_server_a_change_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    async with spawned(tmp_path, "--write") as client:
        refused = await client.call_tool("remove_document", {"document": "doc_x"})
    assert refused.is_error
    assert isinstance(refused.content[0], TextContent)
    assert "pincite serve" in refused.content[0].text


async def test_a_local_agent_lists_and_reads_as_the_owner(library: Library) -> None:
    async with spawned(library.workspace.settings.data) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        listed = await client.call_tool("list_knowledge_bases", {})
        read = await client.call_tool("fetch", {"id": library.documents["contract.pdf"]})
        refused = await client.call_tool("search", {"query": NOTICE, "knowledge_base": "contracts"})
    assert names.isdisjoint({"add_document", "job_status", "remove_document"})
    assert listed.structured_content is not None
    assert {kb["name"] for kb in listed.structured_content["knowledge_bases"]} == {"contracts", "manuals"}
    assert read.structured_content is not None
    assert NOTICE in " ".join(read.structured_content["text"].split())
    # The folder was indexed with the tests' model, and the command searches with the embedded one.
    assert refused.is_error
    assert isinstance(refused.content[0], TextContent)
    assert "model" in refused.content[0].text
