"""The pipe's file pasted into Open WebUI's own editor, with nothing else installed, works as the installed one does."""

import pytest

from tests.real.openwebui.conftest import QUESTION, House, cites, say, screenshot
from tests.real.openwebui.running import ADMIN_KEY, ROOT
from tests.real.openwebui.scripted_model import NAME

pytestmark = pytest.mark.anyio


async def test_a_pasted_pipe_answers_everyone_with_the_cited_page(house: House) -> None:
    admin, frank = house.openwebui.admin, await house.openwebui.add_user("Frank")
    await house.openwebui_command("uninstall")
    try:
        async with house.page(admin, NAME) as page:
            await page.goto(f"{house.openwebui.address}/admin/functions/create")
            await page.click(".cm-content")
            await page.keyboard.press("ControlOrMeta+a")
            await page.evaluate(
                """text => { const data = new DataTransfer(); data.setData("text/plain", text);
                    document.querySelector(".cm-content").dispatchEvent(
                        new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})); }""",
                (ROOT / "plugin" / "pincite_pipe.py").read_text("utf-8"),
            )
            await page.fill('[placeholder="Function Name"]', "Pincite")
            await page.fill('[placeholder="Function Description"]', "Knowledge bases as models")
            await screenshot(page, "editor")
            await page.click('button:has-text("Save & Create")')
            await page.click('[role=dialog] button:has-text("Confirm"), .modal button:has-text("Confirm")')
            await page.wait_for_url("**/admin/functions")
            async with page.expect_response("**/toggle"):
                await page.locator("[role=switch]").first.click()
            await page.locator('button[aria-label="Valves"]').first.click()
            valves = {"Pincite Url": house.pincite, "Pincite Key": ADMIN_KEY, "Answering Model": NAME}
            for valve, value in valves.items():
                row = page.get_by_text(valve, exact=True).locator("xpath=../..")
                await row.locator("button").first.click()
                await row.locator("textarea, input").first.fill(value)
            await screenshot(page, "valves")
            await page.get_by_role("button", name="Save", exact=True).click()
            await page.get_by_text("Valves updated successfully").wait_for()
        async with house.page(frank, await house.model_id("handbook")) as page:
            await say(page, QUESTION)
            await cites(page, "handbook.pdf, p. 12")
        listed = {model["name"] for model in (await frank.ask("GET", "/api/models"))["data"]}
        assert "Pincite: board" not in listed
    finally:
        await house.install("--answering-model", NAME)
