"""The tools that add and remove documents, for those who may."""

from typing import Any

import pytest
from mcp import Client
from mcp_types import CallToolResult, TextContent

from mcp_server.server import build_server
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder
from tests.mcp_server.conftest import OWNER, Library

pytestmark = pytest.mark.anyio

NOTE = "# Cranes\n\nThe crane of hall seven lifts at most forty-two tonnes.\n"
MANAGING = {"add_document", "job_status", "remove_document"}


def structured(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, result.content
    content: dict[str, Any] | None = result.structured_content
    assert content is not None
    return content


def text_of(result: CallToolResult) -> str:
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


async def connected(library: Library, key: str) -> Client:
    principal = await library.workspace.authenticate(key)
    return Client(build_server(library.workspace, lambda _: principal))


async def test_whoever_may_only_read_neither_sees_nor_calls_what_changes(library: Library) -> None:
    contract = library.documents["contract.pdf"]
    async with await connected(library, library.key) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        refused = await client.call_tool("remove_document", {"document": contract})
        unknown = await client.call_tool("no_such_tool", {})
        still_there = await client.call_tool("fetch", {"id": contract})
    assert names.isdisjoint(MANAGING)
    assert refused.is_error
    assert text_of(refused).replace("remove_document", "no_such_tool") == text_of(unknown)
    assert not still_there.is_error


async def test_what_removes_is_marked_destructive(library: Library) -> None:
    async with await connected(library, library.writing_key) as client:
        tools = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}
    assert tools.keys() >= MANAGING
    marks = {name: (mark.read_only_hint, mark.destructive_hint) for name, mark in tools.items() if mark}
    assert marks["remove_document"] == (False, True)
    assert marks["add_document"] == (False, False)
    assert marks["job_status"][0]


async def test_a_text_is_added_found_and_removed(library: Library) -> None:
    told: list[tuple[float, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    note_of = {"knowledge_base": "contracts", "name": "cranes.md", "text": NOTE}
    question = {"query": "The crane of hall seven lifts at most forty-two tonnes.", "knowledge_base": "contracts"}
    async with await connected(library, library.writing_key) as client:
        added = structured(await client.call_tool("add_document", note_of, progress_callback=note))
        [document] = added["documents"]
        status = structured(await client.call_tool("job_status", {"job": added["job"]}))
        found = structured(await client.call_tool("search", question))["results"]
        removed = structured(await client.call_tool("remove_document", {"document": document["document_id"]}))
        gone = await client.call_tool("fetch", {"id": document["document_id"]})
    assert (added["state"], added["done"], added["total"]) == ("done", 1, 1)
    assert (document["path"], document["status"]) == ("cranes.md", "indexed")
    assert status == added
    assert found[0]["document"]["path"] == "cranes.md"
    assert removed == {"removed": document["document_id"], "title": "Cranes"}
    assert gone.is_error
    steps = [progress for progress, _ in told]
    assert steps == sorted(set(steps))
    assert "1 of 1 documents" in (told[-1][1] or "")


async def test_what_cannot_be_read_is_named(library: Library) -> None:
    broken = {"knowledge_base": "contracts", "name": "broken.pdf", "text": "This is no PDF."}
    async with await connected(library, library.writing_key) as client:
        added = structured(await client.call_tool("add_document", broken))
        structured(await client.call_tool("remove_document", {"document": added["documents"][0]["document_id"]}))
    assert added["state"] == "done"
    [document] = added["documents"]
    assert document["status"] == "failed"
    assert document["problem"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"knowledge_base": "manuals", "name": "a.md", "text": "x"}, "no knowledge base “manuals”"),
        ({"knowledge_base": "contracts", "url": "/etc/passwd"}, "Only https addresses"),
        ({"knowledge_base": "contracts", "url": "ssh://git@example.org/x.git"}, "Only https addresses"),
        ({"knowledge_base": "contracts", "url": "https://example.org/x.git", "text": "x"}, "either url, or"),
        ({"knowledge_base": "contracts", "name": "a.md"}, "either url, or"),
    ],
)
async def test_what_may_not_be_added_is_refused_and_leaves_nothing(
    library: Library, arguments: dict[str, Any], says: str
) -> None:
    async with await connected(library, library.writing_key) as client:
        result = await client.call_tool("add_document", arguments)
    assert result.is_error
    assert says in text_of(result)
    assert list(library.workspace.incoming.iterdir()) == []


async def test_another_knowledge_bases_document_and_job_are_as_unknown_as_none(library: Library) -> None:
    workspace = library.workspace
    job = await workspace.add(OWNER, "manuals", [str(workspace.settings.data.parent / "sources" / "manual.md")])
    async with await connected(library, library.writing_key) as client:
        for tool, argument, theirs in (
            ("remove_document", "document", library.documents["manual.md"]),
            ("job_status", "job", job.id),
        ):
            hidden = await client.call_tool(tool, {argument: theirs})
            none = await client.call_tool(tool, {argument: "nothing-of-ours"})
            assert hidden.is_error
            assert text_of(hidden) == text_of(none)
    async for _ in workspace.job_events(OWNER, job.id):
        pass
    await workspace.document(OWNER, library.documents["manual.md"])


async def test_a_server_that_only_reads_offers_no_management(library: Library) -> None:
    async with (
        Workspace(library.workspace.settings, embedder=FakeEmbedder(), read_only=True) as reading,
        Client(build_server(reading, lambda _: OWNER)) as client,
    ):
        names = {tool.name for tool in (await client.list_tools()).tools}
    assert names.isdisjoint(MANAGING)
