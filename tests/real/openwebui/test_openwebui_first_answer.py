"""The page docs/open-webui.md, followed to the letter in a new Open WebUI: from nothing to the first cited answer."""

import hashlib
import os
import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from benchmarks.report import machine
from tests.real.browser import chromium
from tests.real.openwebui.conftest import ARTEFACTS, CHIP, PATIENCE_MS, TELL_WHEN_CONNECTED, cites, opens_page, say
from tests.real.openwebui.running import PASSWORD, ROOT, free_port, openwebui
from tests.real.openwebui.scripted_model import ScriptedModel
from tests.real.openwebui.terminal import terminal
from tests.serving import served

pytestmark = pytest.mark.anyio

PLACE = "http://127.0.0.1:8080"  # in the page; a reader puts the address of their Open WebUI there
NOT_IN_A_NEW_CHECKOUT = {".git", ".venv", ".venv.lock", "data", "artefacts"}


@dataclass(frozen=True)
class Guide:
    """What a page tells its reader to type, to choose and to ask, and which citation it promises."""

    commands: list[str]
    model: str
    question: str
    citation: str


def guide(page: str) -> Guide:
    text = (ROOT / "docs" / page).read_text("utf-8")
    commands = re.findall(r"^```sh\n(.*?)\n```", text, re.MULTILINE | re.DOTALL)
    model, question = re.findall(r"\*(Pincite: [^*]+)\*[^“]*“([^”]+)”", text)[0]
    return Guide(commands, model, question, re.findall(r"\*(handbook\.pdf[^*]+)\*", text)[0])


def test_both_languages_of_the_page_have_the_same_commands() -> None:
    assert guide("open-webui.md").commands == guide("open-webui.zh.md").commands
    assert guide("open-webui.md").commands == ["scripts/run", f".venv/bin/pincite openwebui install --url {PLACE}"]


def new_checkout(folder: Path) -> Path:
    """Return a checkout in which nothing was done but fetching packages, which takes what the network takes."""
    folder.mkdir()
    for each in ROOT.iterdir():
        if each.name == "scripts":
            shutil.copytree(each, folder / each.name)
        elif each.name not in NOT_IN_A_NEW_CHECKOUT:
            (folder / each.name).symlink_to(each)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    of_the_tests = f'#!/bin/sh\nexec "{sys.executable}" {{}}"$@"\n'
    for name, arguments in (("python", ""), ("pincite", "-m pincite.cli ")):
        (programs / name).write_text(of_the_tests.format(arguments))
        (programs / name).chmod(0o755)
    made_from = hashlib.sha256((ROOT / "requirements.txt").read_bytes() + sys.version.encode()).hexdigest()
    (folder / ".venv" / ".made-from").write_text(made_from)
    return folder


async def sign_in(page: Page, address: str, email: str) -> None:
    """Sign in as a person does."""
    await page.goto(f"{address}/auth")
    await page.fill("input[type=email]", email)
    await page.fill("input[type=password]", PASSWORD)
    await page.press("input[type=password]", "Enter")
    await page.wait_for_selector("#chat-input")


async def test_the_page_followed_to_the_letter_ends_with_the_cited_page(
    openwebui_environment: Path, tmp_path: Path
) -> None:
    english, chinese = guide("open-webui.md"), guide("open-webui.zh.md")
    run, install = english.commands
    checkout = new_checkout(tmp_path / "pincite")
    variables = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(checkout),
        "PINCITE_PYTHON": sys.executable,
        "PINCITE_PORT": str(free_port()),
        "PINCITE_PARSER_WORKERS": "1",
    }
    took: dict[str, float] = {}
    (tmp_path / "openwebui").mkdir()
    async with (
        served(ScriptedModel().app()) as model,
        openwebui(openwebui_environment, tmp_path / "openwebui", model) as chat,
        chromium() as browser,
    ):
        began = time.monotonic()
        async with terminal(run, checkout, variables) as server:
            await server.shows("Pincite is running on the knowledge base")
            took[run] = time.monotonic() - began

            began = time.monotonic()
            async with terminal(install.replace(PLACE, chat.address), checkout, variables) as second:
                await second.shows("E-mail address")
                second.types(chat.admin.email)
                await second.shows("Password: ")  # with the space: what is typed before is thrown away
                second.types(PASSWORD)
                assert await second.ends() == 0, second.shown
                assert "made the model Pincite: samples" in second.shown
                assert PASSWORD not in second.shown
            took["pincite openwebui install"] = time.monotonic() - began

            began = time.monotonic()
            page = await browser.new_page(viewport={"width": 1500, "height": 860}, locale="en-US")
            page.set_default_timeout(PATIENCE_MS)
            await page.add_init_script(TELL_WHEN_CONNECTED)
            await sign_in(page, chat.address, chat.admin.email)
            await page.click("#model-selector-0-button, #model-selector-model-button")
            await page.fill("#model-search-input", english.model)
            await page.click(f'[role=option]:has-text("{english.model}"), button[aria-label="model-item"]')
            await say(page, english.question)
            await cites(page, english.citation)
            took["sign in, choose the model, ask, see the citation"] = time.monotonic() - began
            await page.locator(CHIP).first.click()
            await opens_page(page, "12")
            await say(page, chinese.question)
            told = page.locator(".chat-assistant").nth(1).locator(CHIP.removeprefix(".chat-assistant "))
            await expect(told.first).to_have_text(chinese.citation)
    ARTEFACTS.mkdir(exist_ok=True)
    (ARTEFACTS / "openwebui-first-answer.md").write_text(table(took), "utf-8")


def table(took: dict[str, float]) -> str:
    """Return what docs/measurements/openwebui-first-answer.md says."""
    rows = "".join(f"| {step} | {seconds:.0f} |\n" for step, seconds in (took | {"all": sum(took.values())}).items())
    return f"""# From nothing to the first cited answer in Open WebUI

Written by `scripts/test-real openwebui` to `artefacts/openwebui-first-answer.md` on {machine()},
load {os.getloadavg()[0]:.0f} at the end. A program follows [the page](../open-webui.md) to the letter, in a new
Open WebUI and a real browser; what a person reads and types comes on top. Pincite's packages were there already:
fetching them takes what the network takes, and `scripts/run` says how long. So does fetching Open WebUI itself, which
is there before.

| step | seconds |
|---|---|
{rows}"""
