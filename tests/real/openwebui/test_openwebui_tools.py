"""A model in a real Open WebUI calls the tools as the person in the chat, and what it finds is cited there."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.real.openwebui.conftest import CHIP, QUESTION, House, cites, opens_page, say, screenshot
from tests.real.openwebui.running import User
from tests.real.openwebui.tool_calling_model import NAME, NOTHING, ToolCallingModel
from tests.serving import served

pytestmark = pytest.mark.anyio

SERVER = "server:mcp:pincite"
AGENT = "agent"
YEARS = "How much annual leave do I have after six years?"
SECRET_PAPER = "When is the merger with Larkspur Instruments planned?"


@dataclass
class Agency:
    """The house, and in it a model for everyone that has Pincite's tools."""

    house: House
    model: ToolCallingModel


@pytest.fixture(scope="module")
async def agency(house: House) -> AsyncIterator[Agency]:
    admin, model = house.openwebui.admin, ToolCallingModel()
    async with served(model.app()) as address:
        config = await admin.ask("GET", "/openai/config")
        with_agent = {
            "ENABLE_OPENAI_API": True,
            "OPENAI_API_BASE_URLS": [*config["OPENAI_API_BASE_URLS"], f"{address}/v1"],
            "OPENAI_API_KEYS": [*config["OPENAI_API_KEYS"], "none"],
            "OPENAI_API_CONFIGS": config["OPENAI_API_CONFIGS"],
        }
        await admin.ask("POST", "/openai/config/update", with_agent)
        everyone = [{"principal_type": "user", "principal_id": "*", "permission": "read"}]
        form: dict[str, Any] = {
            "id": AGENT,
            "base_model_id": NAME,
            "name": AGENT,
            "params": {"function_calling": "native"},
        }
        form |= {"meta": {"toolIds": [SERVER]}, "access_grants": everyone, "is_active": True}
        await admin.ask("GET", "/api/models?refresh=true")
        await admin.ask("POST", "/api/v1/models/create", form | {"id": AGENT})
        await admin.ask("POST", "/api/v1/models/create", form | {"id": NAME, "base_model_id": None, "name": NAME})
        yield Agency(house, model)
        await admin.ask("POST", "/openai/config/update", config)


async def test_the_tools_are_installed_for_everyone_with_their_own_session(agency: Agency) -> None:
    servers = await agency.house.openwebui.admin.ask("GET", "/api/v1/configs/tool_servers")
    [own] = [each for each in servers["TOOL_SERVER_CONNECTIONS"] if (each.get("info") or {}).get("id") == "pincite"]
    assert own["auth_type"] == "session"
    assert own["key"] == ""
    theo = await agency.house.openwebui.add_user("Theo")
    assert SERVER in {tool["id"] for tool in await theo.ask("GET", "/api/v1/tools/")}


async def test_what_a_tool_found_is_a_citation_that_opens_the_page_and_is_there_after_a_reload(agency: Agency) -> None:
    house = agency.house
    carl = await house.openwebui.add_user("Carl")
    async with house.page(carl, AGENT) as page:
        await say(page, QUESTION)
        await cites(page, "handbook.pdf, p. 12")
        await screenshot(page, "tools")
        await page.locator(CHIP).first.click()
        await opens_page(page, "12")
        await page.reload()
        await cites(page, "handbook.pdf, p. 12")
    result = agency.model.results[-1]
    assert result["results"][0]["citation"] == "[1]"
    [chat] = await carl.ask("GET", "/api/v1/chats/?page=1")
    kept = (await carl.ask("GET", f"/api/v1/chats/{chat['id']}"))["chat"]["history"]["messages"].values()
    [answer] = [message for message in kept if message["role"] == "assistant"]
    assert [source["source"]["url"] for source in answer["sources"]] == [hit["url"] for hit in result["results"]]


async def test_a_person_gets_what_they_may_read_and_no_more(agency: Agency) -> None:
    house = agency.house
    dave, admin = await house.openwebui.add_user("Dave"), house.openwebui.admin
    group = await admin.ask("POST", "/api/v1/groups/create", {"name": "board", "description": ""})
    try:
        everyones = await knowledge_bases(house, dave)
        assert "handbook" in everyones
        assert "board" not in everyones
        assert "merger" not in str(await searched(agency, dave)).lower()
        ursula = await house.openwebui.add_user("Ursula")
        me = (await ursula.ask("GET", "/api/v1/auths/"))["id"]
        await admin.ask("POST", f"/api/v1/groups/id/{group['id']}/users/add", {"user_ids": [me]})
        assert await knowledge_bases(house, ursula) >= everyones | {"board"}
        assert "board" not in await knowledge_bases(house, admin)  # who administers is in no group by that
    finally:
        await admin.ask("DELETE", f"/api/v1/groups/id/{group['id']}/delete")


async def test_a_forged_session_and_an_api_key_of_open_webui_open_nothing(agency: Agency) -> None:
    house = agency.house
    fred = await house.openwebui.add_user("Fred")
    key = (await fred.ask("POST", "/api/v1/auths/api_key"))["api_key"]
    forged = fred.token[:-4] + ("AAAA" if fred.token[-4:] != "AAAA" else "BBBB")
    async with httpx.AsyncClient(base_url=house.pincite, trust_env=False) as http:
        for credential in (key, forged):
            answer = await http.get("/api/knowledge-bases", headers={"Authorization": f"Bearer {credential}"})
            assert answer.status_code == 401, answer.text


async def test_tools_rest_and_the_chat_give_the_same_passages_in_the_same_order(agency: Agency) -> None:
    house = agency.house
    gina, model = await house.openwebui.add_user("Gina"), await house.model_id("handbook")
    headers = {"Authorization": f"Bearer {gina.token}"}
    written, house.model.answer = house.model.answer, "So it is [1]. And [2], [3], [4], [5]."
    try:
        async with (
            httpx.AsyncClient(base_url=house.pincite, trust_env=False, headers=headers) as http,
            httpx2.AsyncClient(headers=headers, timeout=60) as by_mcp,
            Client(streamable_http_client(f"{house.pincite}/mcp", http_client=by_mcp)) as client,
        ):
            for question in (QUESTION, YEARS, "丢失公司笔记本电脑后要在多长时间内报告？"):
                asked = {"knowledge_base": "handbook", "question": question}
                over_rest = (await http.post("/api/search", json=asked)).raise_for_status().json()["passages"]
                arguments = {"knowledge_base": "handbook", "query": question}
                over_mcp = (await client.call_tool("search", arguments)).structured_content
                talk: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": question}]}
                chat = await gina.ask("POST", "/api/chat/completions", talk | {"stream": False})
                assert over_mcp is not None
                places = [place(passage["url"]) for passage in over_rest]
                assert len(places) >= (3 if question == YEARS else 1)
                assert [place(hit["url"]) for hit in over_mcp["results"]] == places
                assert [place(source["source"]["url"]) for source in chat["sources"]] == places
    finally:
        house.model.answer = written


def place(url: str) -> tuple[str, dict[str, list[str]]]:
    """Return what a citation's link opens: the document, the page and the range, whoever it was made for."""
    parts = urlsplit(url)
    return parts.path, {name: each for name, each in parse_qs(parts.query).items() if name in {"page", "start", "end"}}


async def searched(agency: Agency, user: User) -> dict[str, Any]:
    """Return what the search found that a person's chat with the agent made."""
    async with agency.house.page(user, AGENT) as page:
        before = len(agency.model.results)
        await say(page, SECRET_PAPER)
        await page.wait_for_selector(f".chat-assistant:has-text('{NOTHING}'), {CHIP}")
    assert len(agency.model.results) == before + 1
    return agency.model.results[-1]


async def knowledge_bases(house: House, user: User) -> set[str]:
    headers = {"Authorization": f"Bearer {user.token}"}
    async with httpx.AsyncClient(base_url=house.pincite, trust_env=False, headers=headers) as http:
        return {kb["name"] for kb in (await http.get("/api/knowledge-bases")).raise_for_status().json()}
