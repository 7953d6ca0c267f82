"""What goes wrong in a real Open WebUI: each time the person reads one clear line, and nothing hangs."""

import asyncio
from typing import Any

import pytest

from tests.real.openwebui.conftest import QUESTION, House, cites, say, screenshot

pytestmark = pytest.mark.anyio

VALVES = "/api/v1/functions/id/pincite/valves"


async def told(house: House, model: str, line: str, **valves: Any) -> None:
    """Ask with other valves, and wait for a line in the chat."""
    admin = house.openwebui.admin
    set_before = await admin.ask("GET", VALVES)
    try:
        await admin.ask("POST", f"{VALVES}/update", set_before | valves)
        async with house.page(admin, model) as page:
            await say(page, QUESTION)
            await page.wait_for_selector(f".chat-assistant >> text={line}")
    finally:
        await admin.ask("POST", f"{VALVES}/update", set_before)


async def test_a_wrong_key_is_one_line_in_the_chat(house: House) -> None:
    model = await house.model_id("handbook")
    await told(house, model, "Pincite does not accept this plugin's key", pincite_key="pc_wrong")


async def test_a_server_that_is_slow_is_one_line_in_the_chat(house: House) -> None:
    model, held = await house.model_id("handbook"), list[asyncio.StreamWriter]()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as silent:
        address = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        line = "Pincite did not answer within 1 seconds"
        await told(house, model, line, pincite_url=address, search_timeout_s=1)
        for writer in held:
            writer.close()


async def test_a_knowledge_base_that_is_gone_is_one_line_in_the_chat(house: House) -> None:
    paper = house.folder / "gone.md"
    paper.write_text("# Gone\n\nThis is removed while its chat is open.\n")
    await house.command("add", "gone", str(paper))
    async with house.page(house.openwebui.admin, await house.model_id("gone")) as page:
        await house.command("remove", "gone", "--all")
        await say(page, QUESTION)
        # The pipe says the one, Open WebUI itself the other, where it has looked at the list of models in between.
        lines = "/This knowledge base is not there any more|Model not found/"
        await page.wait_for_selector(f".chat-assistant >> text={lines}")


async def test_an_open_webui_that_is_restarted_in_mid_answer_says_so_and_answers_again(house: House) -> None:
    async with house.page(house.openwebui.admin, await house.model_id("handbook")) as page:
        house.model.goes_on.clear()
        await say(page, QUESTION)
        await page.wait_for_selector(".chat-assistant >> text=Report it to")
        await house.openwebui.crash()
        house.model.goes_on.set()
        await house.openwebui.start()
        await page.reload()
        await page.wait_for_selector("#chat-input")
        await screenshot(page, "restarted")
        await page.wait_for_selector(".chat-assistant >> text=Open WebUI was restarted in mid-answer")
        await say(page, QUESTION)
        await cites(page, "handbook.pdf, p. 12")
