"""What goes wrong in a real Open WebUI: each time the person reads one clear line, and nothing hangs."""

import pytest

from tests.real.openwebui.conftest import QUESTION, House, chip_of, say, screenshot

pytestmark = pytest.mark.anyio


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
        assert await chip_of(page) == "handbook.pdf, p. 12"
