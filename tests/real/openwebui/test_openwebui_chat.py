"""A person asks in a real Open WebUI and a real browser: the chip, the page beside the chat, the passage, a reload."""

import json
import re

import pytest
from playwright.async_api import expect

from tests.real.openwebui.conftest import (
    CHIP,
    QUESTION,
    House,
    cites,
    opens_page,
    opens_passage,
    say,
    screenshot,
    until,
)
from tests.real.openwebui.running import ROOT
from tests.real.openwebui.scripted_model import NAME

pytestmark = pytest.mark.anyio


async def test_the_command_installed_everything_and_a_second_time_changes_nothing(house: House) -> None:
    assert "installed the function pincite" in house.installed
    assert "made the model Pincite: handbook" in house.installed
    again = await house.install("--answering-model", NAME)
    assert not re.search(r"^  (installed|updated|made|set|added|removed)", again, re.MULTILINE), again
    status = await house.openwebui_command("status")
    assert re.search(r"function pincite: version [\d.]+ \(as here\), on", status)
    servers = (await house.openwebui.admin.ask("GET", "/api/v1/configs/tool_servers"))["TOOL_SERVER_CONNECTIONS"]
    assert [(server.get("info") or {}).get("id") for server in servers] == [None, "pincite"]


def test_the_page_that_leads_there_asks_and_promises_the_same() -> None:
    page = (ROOT / "docs" / "open-webui.md").read_text("utf-8")
    assert f"ask “{QUESTION}”" in page
    assert "*handbook.pdf, p. 12* opens the page" in page


async def test_an_answer_opens_the_cited_page_beside_the_chat_and_is_there_after_a_reload(house: House) -> None:
    async with house.page(house.openwebui.admin, await house.model_id("handbook")) as page:
        await say(page, QUESTION)
        await cites(page, "handbook.pdf, p. 12")
        answer = page.locator(".chat-assistant").first
        await expect(answer).to_contain_text("Report it to the security desk within one hour")
        await expect(page.locator("text=/\\d+ passages? from \\d+ documents?/").first).to_be_attached()
        await screenshot(page, "chip")

        await page.locator(CHIP).first.click()
        panel = await opens_page(page, "12")
        await expect(panel.locator("rect.term, rect.sentence").first).to_be_attached()

        async def drawn() -> bool:
            return bool(await panel.locator("#picture").evaluate("e => e.complete && e.naturalWidth > 300"))

        await until(drawn)
        await screenshot(page, "page-beside-chat")

        await page.reload()
        await cites(page, "handbook.pdf, p. 12")


async def test_the_list_of_sources_has_only_what_is_cited_and_shows_the_passage_with_marks(house: House) -> None:
    async with house.page(house.openwebui.admin, await house.model_id("handbook")) as page:
        await say(page, QUESTION)
        await cites(page, "handbook.pdf, p. 12")
        dialog = await opens_passage(page)
        await expect(page.locator('button[id^="source-"]')).to_have_count(1)
        await expect(dialog).to_contain_text(re.compile(r"\d+(\.\d+)?%"))
        await screenshot(page, "passage")


async def test_a_follow_up_is_searched_as_a_whole_question(house: House) -> None:
    async with house.page(house.openwebui.admin, await house.model_id("handbook")) as page:
        await say(page, QUESTION)
        await cites(page, "handbook.pdf, p. 12")
        await say(page, "And to whom?")
        await page.locator(CHIP).nth(1).wait_for()
        asked = [str(messages[-1]["content"]) for messages in house.model.asked]
        assert any("<conversation>" in question and "And to whom?" in question for question in asked)
        assert any(
            question.endswith("Question: How quickly must a stolen laptop be reported to the security desk?")
            for question in asked
        )


async def test_a_caller_of_the_api_gets_the_citations_streamed_and_at_once(house: House) -> None:
    model, messages = await house.model_id("handbook"), [{"role": "user", "content": QUESTION}]
    body = {"model": model, "messages": messages}
    once = await house.openwebui.admin.ask("POST", "/api/chat/completions", body | {"stream": False})
    assert once["choices"][0]["message"]["content"].endswith("noticing [1].")
    assert [source["source"]["name"] for source in once["sources"]] == ["handbook.pdf, p. 12"]
    streamed = await house.openwebui.admin.http.post("/api/chat/completions", json=body | {"stream": True})
    events = [json.loads(line[5:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
    sources = [event["event"]["data"] for event in events if "event" in event]
    assert [source["source"]["name"] for source in sources] == ["handbook.pdf, p. 12"]


async def test_someone_without_rights_sees_neither_the_model_nor_a_passage_nor_the_page(house: House) -> None:
    bob = await house.openwebui.add_user("Bob")
    listed = {model["name"] for model in (await bob.ask("GET", "/api/models"))["data"]}
    assert "Pincite: handbook" in listed
    assert "Pincite: board" not in listed
    board, question = await house.model_id("board"), "When is the merger with Larkspur Instruments?"
    messages = [{"role": "user", "content": question}]
    refused = await bob.http.post("/api/chat/completions", json={"model": board, "messages": messages})
    assert "Larkspur" not in refused.text.replace(question, "")
    assert not refused.is_success
    everything = {"model": "pincite.everything", "messages": messages, "stream": False}
    answer = await bob.ask("POST", "/api/chat/completions", everything)
    assert all("board" not in source["source"]["name"] for source in answer.get("sources", []))

    # The administrator joins the board; the link that he gets shows nothing more once he has left it.
    admin = house.openwebui.admin
    group = await admin.ask("POST", "/api/v1/groups/create", {"name": "board", "description": ""})
    me = (await admin.ask("GET", "/api/v1/auths/"))["id"]
    await admin.ask("POST", f"/api/v1/groups/id/{group['id']}/users/add", {"user_ids": [me]})
    answer = await admin.ask("POST", "/api/chat/completions", everything | {"model": board})
    link = answer["sources"][0]["source"]["embed_url"]
    async with house.page(admin, board) as page:
        assert (await page.request.get(link)).status == 200
        await admin.ask("POST", f"/api/v1/groups/id/{group['id']}/users/remove", {"user_ids": [me]})
        await admin.ask("POST", "/api/chat/completions", everything)
        assert (await page.request.get(link)).status == 404


async def test_any_model_gets_the_evidence_when_its_switch_is_on(house: House) -> None:
    async with house.page(house.openwebui.admin, NAME) as page:
        await page.click("#integration-menu-button")
        await page.click("text=Pincite evidence")
        await page.keyboard.press("Escape")
        await say(page, QUESTION)
        await cites(page, "handbook.pdf, p. 12")
        await expect(page.locator(CHIP)).to_have_count(1)
        await screenshot(page, "switch")


async def test_a_server_that_is_away_is_told_in_the_chat_in_one_line(house: House) -> None:
    valves = "/api/v1/functions/id/pincite/valves"
    admin, model = house.openwebui.admin, await house.model_id("handbook")
    set_before = await admin.ask("GET", valves)
    try:
        await admin.ask("POST", f"{valves}/update", set_before | {"pincite_url": "http://127.0.0.1:9"})
        async with house.page(admin, model) as page:
            await say(page, "员工年假有几天？")
            await page.wait_for_selector(".chat-assistant >> text=无法连接 Pincite")
            await screenshot(page, "away")
    finally:
        await admin.ask("POST", f"{valves}/update", set_before)


async def test_what_was_installed_is_taken_back_and_nothing_else(house: House) -> None:
    admin = house.openwebui.admin
    printed = await house.openwebui_command("uninstall")
    assert "removed the function pincite" in printed
    assert "took back the key" in printed
    try:
        assert await admin.ask("GET", "/api/v1/functions/") == []
        assert [model["id"] for model in (await admin.ask("GET", "/api/v1/models/base"))] == [NAME]
        servers = (await admin.ask("GET", "/api/v1/configs/tool_servers"))["TOOL_SERVER_CONNECTIONS"]
        assert [server["url"] for server in servers] == ["http://127.0.0.1:9/openapi.json"]
        assert await house.openwebui_command("uninstall") == ""
    finally:
        await house.install("--answering-model", NAME)
