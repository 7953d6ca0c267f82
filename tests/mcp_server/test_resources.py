"""Documents, pages and pictures as resources, and the completion of their addresses."""

import base64
import json
from typing import Any

import pymupdf
import pytest
from mcp import Client, MCPError
from mcp.server import MCPServer
from mcp_types import ResourceTemplateReference

from mcp_server.server import build_server
from tests.mcp_server.conftest import NOTICE, OWNER, Library

pytestmark = pytest.mark.anyio

BY_ID = ResourceTemplateReference(type="ref/resource", uri="pincite://documents/{document_id}")
BY_TITLE = ResourceTemplateReference(
    type="ref/resource", uri="pincite://knowledge-bases/{knowledge_base}/documents/{title}"
)


@pytest.fixture
def server(library: Library) -> MCPServer[Any]:
    return build_server(library.workspace, lambda _: OWNER)


async def contents(client: Client, uri: str) -> dict[str, Any]:
    [content] = (await client.read_resource(uri)).contents
    return content.model_dump(by_alias=True)


async def test_documents_and_pages_are_resources(server: MCPServer[Any], library: Library) -> None:
    contract = f"pincite://documents/{library.documents['contract.pdf']}"
    async with Client(server) as client:
        whole = await contents(client, contract)
        page = await contents(client, f"{contract}/pages/2")
        with pytest.raises(MCPError, match="has no page 9"):
            await contents(client, f"{contract}/pages/9")
    assert "Supply agreement" in whole["text"]
    assert NOTICE in " ".join(page["text"].split())
    assert "Supply agreement" not in page["text"]


async def test_a_page_is_a_picture_and_a_range_of_it_is_marked(server: MCPServer[Any], library: Library) -> None:
    contract = library.documents["contract.pdf"]
    async with Client(server) as client:
        found = await client.call_tool("find_in_document", {"document": contract, "text": NOTICE})
        assert found.structured_content is not None
        [place] = found.structured_content["places"]
        plain = await contents(client, f"pincite://documents/{contract}/pages/2/image")
        marked = await contents(
            client, f"pincite://documents/{contract}/pages/2/image?start={place['start']}&end={place['end']}"
        )
        with pytest.raises(MCPError, match="no page 1"):
            await contents(client, f"pincite://documents/{library.documents['manual.md']}/pages/1/image")
    assert plain["mimeType"] == "image/png"
    before, after = (pymupdf.Pixmap(base64.b64decode(picture["blob"])) for picture in (plain, marked))
    box = place["boxes"][0]
    inside = round(box["x1"] * 2) - 2, round(box["y0"] * 2) + 2
    assert before.pixel(*inside) == (255, 255, 255)
    assert after.pixel(*inside)[2] < 200 < after.pixel(*inside)[0]
    assert after.pixel(20, 20) == (255, 255, 255)


async def test_a_knowledge_base_lists_its_documents_and_one_is_read_by_its_title(
    server: MCPServer[Any], library: Library
) -> None:
    async with Client(server) as client:
        listed = json.loads((await contents(client, "pincite://knowledge-bases/contracts"))["text"])
        read = await contents(client, "pincite://knowledge-bases/contracts/documents/Supply%20agreement")
        with pytest.raises(MCPError, match="no document of this title"):
            await contents(client, "pincite://knowledge-bases/contracts/documents/..%2Fsecret")
    contract = library.documents["contract.pdf"]
    assert listed == [{"id": contract, "title": "Supply agreement", "path": "contract.pdf", "pages": 2}]
    assert NOTICE in " ".join(read["text"].split())


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_knowledge_bases_and_documents_complete(server: MCPServer[Any], library: Library, mode: str) -> None:
    async with Client(server, mode=mode) as client:
        bases = await client.complete(BY_TITLE, {"name": "knowledge_base", "value": "Con"})
        titles = await client.complete(
            BY_TITLE, {"name": "title", "value": "supply"}, context_arguments={"knowledge_base": "contracts"}
        )
        elsewhere = await client.complete(
            BY_TITLE, {"name": "title", "value": "supply"}, context_arguments={"knowledge_base": "manuals"}
        )
        ids = await client.complete(BY_ID, {"name": "document_id", "value": "supply"})
        unknown = await client.complete(BY_ID, {"name": "nonsense", "value": ""})
    assert bases.completion.values == ["contracts"]
    assert titles.completion.values == ["Supply agreement"]
    assert elsewhere.completion.values == []
    assert ids.completion.values == [library.documents["contract.pdf"]]
    assert unknown.completion.values == []


async def test_nothing_of_what_may_not_be_read_is_read_or_completed(library: Library) -> None:
    reader = await library.workspace.authenticate(library.key)
    manual = library.documents["manual.md"]
    async with Client(build_server(library.workspace, lambda _: reader)) as client:
        for hidden in (
            f"pincite://documents/{manual}",
            f"pincite://documents/{library.documents['dense.pdf']}/pages/1/image",
            "pincite://knowledge-bases/manuals",
        ):
            with pytest.raises(MCPError, match="that you may read"):
                await contents(client, hidden)
        bases = await client.complete(BY_TITLE, {"name": "knowledge_base", "value": ""})
        ids = await client.complete(BY_ID, {"name": "document_id", "value": ""})
    assert bases.completion.values == ["contracts"]
    assert ids.completion.values == [library.documents["contract.pdf"]]
