"""The server as a plain connection of Open WebUI, with nothing installed there: answers, citations, the page."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from tests.real.openwebui.conftest import CHIP, QUESTION, House, cites, opens_page, opens_passage, say, screenshot
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
        await cites(page, "handbook.pdf, p. 12")
        await expect(page.locator(".chat-assistant").first).to_contain_text("within one hour")
        await screenshot(page, "connection")
        await page.locator(CHIP).first.click()
        await opens_page(page, "12")
        await page.reload()
        await cites(page, "handbook.pdf, p. 12")


async def test_the_passages_of_a_connection_are_shown_with_their_marks(connected: House) -> None:
    async with connected.page(connected.openwebui.admin, "handbook") as page:
        await say(page, QUESTION)
        await cites(page, "handbook.pdf, p. 12")
        await opens_passage(page)
