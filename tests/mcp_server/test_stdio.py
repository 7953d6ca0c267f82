"""`pincite mcp`, started as a client starts it, on the data folder that another process has open."""

import os
import sys
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import TextContent

from tests.mcp_server.conftest import NOTICE, Library

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]


async def test_a_local_agent_lists_and_reads_as_the_owner(library: Library) -> None:
    variables = os.environ | {"PINCITE_DATA": str(library.workspace.settings.data), "PYTHONPATH": str(ROOT)}
    spawned = StdioServerParameters(command=sys.executable, args=["-m", "pincite.cli", "mcp"], env=dict(variables))
    async with Client(stdio_client(spawned)) as client:
        listed = await client.call_tool("list_knowledge_bases", {})
        read = await client.call_tool("fetch", {"id": library.documents["contract.pdf"]})
        refused = await client.call_tool("search", {"query": NOTICE, "knowledge_base": "contracts"})
    assert listed.structured_content is not None
    assert {kb["name"] for kb in listed.structured_content["knowledge_bases"]} == {"contracts", "manuals"}
    assert read.structured_content is not None
    assert NOTICE in " ".join(read.structured_content["text"].split())
    # The folder was indexed with the tests' model, and the command searches with the embedded one.
    assert refused.is_error
    assert isinstance(refused.content[0], TextContent)
    assert "model" in refused.content[0].text
