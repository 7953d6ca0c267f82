"""The Inspector's command line lists and calls every tool, in both eras."""

import json
from typing import Any

import pytest

from tests.real.mcp.conftest import NodeTools

ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])


class Inspector:
    """The Inspector on one server, in one era of the protocol."""

    def __init__(self, tools: NodeTools, url: str, era: str) -> None:
        self._tools = tools
        self._url = url
        self._era = era

    def ask(self, method: str, *arguments: str) -> Any:
        ran = self._tools.inspector(self._url, "--protocol-era", self._era, "--method", method, *arguments)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def call(self, tool: str, **arguments: Any) -> Any:
        answer = self.ask("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        return answer.get("result", answer)["structuredContent"]


@pytest.fixture
def inspector(node_tools: NodeTools, mcp_url: str, era: str) -> Inspector:
    return Inspector(node_tools, mcp_url, era)


@ERAS
def test_the_tools_are_listed_and_their_schemas_are_portable(inspector: Inspector) -> None:
    answer = inspector.ask("tools/list", "--strict")
    names = {tool["name"] for tool in answer.get("result", answer)["tools"]}
    assert names >= {"search", "fetch", "read_page", "find_in_document", "list_knowledge_bases"}
    assert names >= {"add_document", "job_status", "remove_document"}


@ERAS
def test_every_tool_is_called(inspector: Inspector, era: str) -> None:
    [crane] = inspector.call("search", query="The crane of hall seven lifts at most forty-two tonnes.", k=1)["results"]
    assert inspector.call("fetch", id=crane["id"])["text"] == crane["text"]
    document = crane["document"]["id"]
    assert inspector.call("find_in_document", document=document, text="forty-two")["total"] == 1
    assert inspector.call("list_knowledge_bases")["knowledge_bases"][0]["name"] == "cranes"
    note = {"knowledge_base": "cranes", "name": f"{era}.md", "text": f"A note on {era}."}
    added = inspector.call("add_document", **note)
    assert inspector.call("job_status", job=added["job"])["state"] == "done"
    [document] = added["documents"]
    assert inspector.call("remove_document", document=document["document_id"])["removed"] == document["document_id"]


@ERAS
def test_a_refusal_is_a_tool_error(inspector: Inspector, node_tools: NodeTools, mcp_url: str, era: str) -> None:
    asked = ["--protocol-era", era, "--method", "tools/call", "--tool-name", "read_page"]
    ran = node_tools.inspector(mcp_url, *asked, "--tool-args-json", '{"document": "nothing-of-ours", "page": 1}')
    assert ran.returncode != 0
    assert "Use an id from the results of search" in ran.stdout


@ERAS
def test_resources_and_their_templates_are_read(inspector: Inspector) -> None:
    answer = inspector.ask("resources/templates/list")
    templates = answer.get("result", answer)["resourceTemplates"]
    assert "pincite://documents/{document_id}" in {template["uriTemplate"] for template in templates}
    read = inspector.ask("resources/read", "--uri", "pincite://knowledge-bases/cranes")
    assert "cranes.md" in json.dumps(read)
