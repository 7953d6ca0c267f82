"""The server as a plain connection of Open WebUI, with nothing installed there: answers, citations, the page."""

from collections.abc import AsyncIterator

import pytest

from tests.real.openwebui.conftest import CHIP, PANEL, QUESTION, House, chip_of, framed, say, screenshot
from tests.real.openwebui.running import ADMIN_KEY

pytestmark = pytest.mark.anyio


@pytest.fixture
async def connected(house: House) -> AsyncIterator[House]:
    """Open WebUI with Pincite added as a connection, as an administrator does it in the settings."""
    admin = house.openwebui.admin
    before = await admin.ask("GET", "/openai/config")
    added = {
        "OPENAI_API_BASE_URLS": [*before["OPENAI_API_BASE_URLS"], f"{house.pincite}/v1"],
        "OPENAI_API_KEYS": [*before["OPENAI_API_KEYS"], ADMIN_KEY],
    }
    await admin.ask("POST", "/openai/config/update", before | added)
    yield house
    await admin.ask("POST", "/openai/config/update", before)


async def test_a_connection_shows_the_cited_page_beside_the_chat_and_keeps_it(connected: House) -> None:
    async with connected.page(connected.openwebui.admin, "handbook") as page:
        await say(page, QUESTION)
        assert await chip_of(page) == "handbook.pdf, p. 12"
        assert "within one hour" in await page.inner_text(".chat-assistant")
        await screenshot(page, "connection")
        await page.click(f"{CHIP} >> nth=0")
        panel = await framed(page, PANEL)
        await panel.wait_for_selector("rect.passage", state="attached")
        assert await panel.input_value("#number") == "12"
        await page.reload()
        assert await chip_of(page) == "handbook.pdf, p. 12"


async def test_the_passages_of_a_connection_are_shown_with_their_marks(connected: House) -> None:
    async with connected.page(connected.openwebui.admin, "handbook") as page:
        await say(page, QUESTION)
        await chip_of(page)
        await page.click('button[aria-label^="Toggle"][aria-label*="ource"]')
        entries = page.locator('button[id^="source-"]')
        await entries.first.click()
        modal = await page.wait_for_selector("[role=dialog], .modal")
        assert modal is not None
        frame = await framed(modal, "iframe")
        await frame.wait_for_selector("mark")
        assert "within one hour of noticing" in await frame.inner_text("body")
