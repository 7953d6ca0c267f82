"""One Open WebUI, one Pincite and one browser for the whole run, installed by the command."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, FrameLocator, Locator, Page, expect

from tests.real.browser import chromium
from tests.real.openwebui.running import (
    ADMIN_KEY,
    BETWEEN_LOOKS_S,
    ROOT,
    OpenWebUI,
    User,
    free_port,
    openwebui,
    pincite,
    pincite_variables,
)
from tests.real.openwebui.scripted_model import NAME, ScriptedModel
from tests.serving import served

ARTEFACTS = Path(os.environ.get("PINCITE_TEST_ARTEFACTS", ROOT / "artefacts"))
COMMAND_S = 300
QUESTION = "How quickly do I have to report a stolen laptop?"
PANEL = 'iframe[title="Embedded Content"]'
CHIP = '.chat-assistant button[aria-label^="View source: "]'

PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)

# What Open WebUI tells a page comes over a socket, and is lost where the page is not connected yet.
CONNECTED = "window.connectedToOpenWebUI"
TELL_WHEN_CONNECTED = f"""
    window.WebSocket = class extends WebSocket {{
        constructor(...given) {{
            super(...given);
            this.addEventListener("message", ({{data}}) => {{ if (/^40/.test(data)) {CONNECTED} = true; }});
        }}
    }};
"""


@dataclass
class House:
    """Everything that runs."""

    openwebui: OpenWebUI
    pincite: str
    folder: Path
    port: int
    model: ScriptedModel
    browser: Browser
    installed: str = ""

    async def command(self, *arguments: str) -> str:
        """Return what a `pincite` command prints."""
        where = {"OPENWEBUI_URL": self.openwebui.address, "OPENWEBUI_TOKEN": self.openwebui.api_key}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pincite.cli",
            *arguments,
            env=pincite_variables(self.folder, self.port, self.openwebui.address) | where,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await asyncio.wait_for(process.communicate(), COMMAND_S)
        assert process.returncode == 0, printed.decode()
        return printed.decode()

    async def openwebui_command(self, verb: str, *arguments: str) -> str:
        """Return what `pincite openwebui` prints."""
        return await self.command("openwebui", verb, *arguments)

    async def install(self, *arguments: str) -> str:
        """Run the command of docs/open-webui.md."""
        page = (ROOT / "docs" / "open-webui.md").read_text("utf-8")
        (line,) = re.findall(r"^```sh\n(.*openwebui install) --url \S+\n```", page, re.MULTILINE)
        return await self.command(*line.split()[1:], *arguments)

    async def knowledge_bases(self) -> dict[str, dict[str, Any]]:
        """Return what Pincite has, by name."""
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        async with httpx.AsyncClient(base_url=self.pincite, headers=headers, timeout=60, trust_env=False) as http:
            listed = (await http.get("/api/knowledge-bases")).raise_for_status().json()
        return {kb["name"]: kb for kb in listed}

    async def model_id(self, name: str) -> str:
        """Return the id of the model of a knowledge base."""
        listed = await self.openwebui.admin.ask("GET", "/api/models")
        return str(next(model["id"] for model in listed["data"] if model["name"] == f"Pincite: {name}"))

    @asynccontextmanager
    async def page(self, user: User, model: str) -> AsyncIterator[Page]:
        """Yield a page of a browser in which the user is logged in, on a new chat with the model."""
        context = await self.browser.new_context(viewport={"width": 1500, "height": 860}, locale="en-US")
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        await page.add_init_script(f"localStorage.token = {user.token!r}; {TELL_WHEN_CONNECTED}")
        await page.goto(f"{self.openwebui.address}/?models={model}")
        await page.wait_for_selector("#chat-input")
        yield page
        await context.close()


async def say(page: Page, text: str) -> None:
    """Type a message and send it, once the page is connected."""
    await page.wait_for_function(CONNECTED)
    await page.click("#chat-input")
    await page.keyboard.type(text)
    await expect(page.locator("#chat-input")).to_contain_text(text)
    await page.keyboard.press("Enter")


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what another process does, which tells only when it is asked."""
    async with asyncio.timeout(COMMAND_S):
        while not await true():
            await asyncio.sleep(BETWEEN_LOOKS_S)


async def cites(page: Page, name: str) -> None:
    """Wait for a citation in the answer that reads so."""
    await expect(page.locator(CHIP).first).to_have_text(name)


async def opens_page(page: Page, number: str) -> FrameLocator:
    """Wait for the page beside the chat, with the passage marked, and return what is in it."""
    panel = page.frame_locator(PANEL)
    await expect(panel.locator("rect.passage").first).to_be_attached()
    await expect(panel.locator("#number")).to_have_value(number)
    return panel


async def opens_passage(page: Page) -> Locator:
    """Open the first entry of the list of sources, wait for the passage with its marks, and return the dialog."""
    await page.click('button[aria-label^="Toggle"][aria-label*="ource"]')
    await page.locator('button[id^="source-"]').first.click()
    dialog = page.locator("[role=dialog], .modal").first
    passage = dialog.frame_locator("iframe").first
    await expect(passage.locator("mark").first).to_be_attached()
    await expect(passage.locator("body")).to_contain_text("within one hour of noticing")
    return dialog


async def screenshot(page: Page, name: str) -> None:
    """Keep what the page shows."""
    ARTEFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTEFACTS / f"openwebui-{name}.png")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def openwebui_environment() -> Path:
    """The environment that `scripts/test-real openwebui` makes."""
    folder = os.environ.get("PINCITE_TEST_OPENWEBUI")
    if folder is None:
        pytest.fail("there is no Open WebUI; run these tests with scripts/test-real openwebui")
    return Path(folder)


@pytest.fixture(scope="session")
async def house(openwebui_environment: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Open WebUI with Pincite installed in it: the samples for everyone, a board's paper for nobody."""
    model, port = ScriptedModel(), free_port()
    folder, data = tmp_path_factory.mktemp("openwebui"), tmp_path_factory.mktemp("pincite")
    async with AsyncExitStack() as running:
        address = await running.enter_async_context(served(model.app()))
        chat = await running.enter_async_context(openwebui(openwebui_environment, folder, address))
        server = await running.enter_async_context(pincite(data, port, chat.address))
        browser = await running.enter_async_context(chromium())
        house = House(chat, server, data, port, model, browser)
        paper = data / "board.md"
        paper.write_text("# Board\n\nThe merger with Larkspur Instruments is planned for the ninth of November.\n")
        await house.command("add", "handbook", "samples/handbook.pdf", "samples/manual.md")
        await house.command("add", "board", str(paper))
        await house.command("set", "board", "readers=group:board")
        other = {"url": "http://127.0.0.1:9/openapi.json", "path": "", "auth_type": "none", "key": "", "config": {}}
        await chat.admin.ask("POST", "/api/v1/configs/tool_servers", {"TOOL_SERVER_CONNECTIONS": [other]})
        await _let_everyone_use(chat, NAME)
        house.installed = await house.install("--answering-model", NAME)
        yield house


async def _let_everyone_use(chat: OpenWebUI, model: str) -> None:
    everyone: list[dict[str, Any]] = [{"principal_type": "user", "principal_id": "*", "permission": "read"}]
    form: dict[str, Any] = {
        "id": model,
        "base_model_id": None,
        "name": model,
        "params": {},
        "meta": {},
        "access_grants": everyone,
    }
    await chat.admin.ask("POST", "/api/v1/models/create", form | {"is_active": True})
