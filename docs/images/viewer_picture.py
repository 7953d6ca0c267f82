"""Take the README's picture of the viewer: the samples, its own question, the best passage, in a real browser.

Run it where Chromium is, with the development environment: `python docs/images/viewer_picture.py`.
"""

import asyncio
import re
import shutil
import socket
import tempfile
from pathlib import Path

import uvicorn
from playwright.async_api import ViewportSize, async_playwright

from http_server.app import create_app
from pincite.access import Principal
from pincite.settings import load_settings
from pincite.workspace import Workspace

ROOT = Path(__file__).parents[2]
SAMPLES = ("handbook.pdf", "contract.zh.pdf", "manual.md")
PICTURE = ROOT / "docs" / "images" / "viewer.png"
SIZE: ViewportSize = {"width": 1060, "height": 640}
PIXELS_PER_POINT = 1.5


async def main() -> None:
    """Index the samples, ask the README's question and write `viewer.png`."""
    question = re.search(r'pincite search samples "([^"]+)"', (ROOT / "README.md").read_text("utf-8"))
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if question is None or chromium is None:
        raise SystemExit("The README has no question, or there is no Chromium.")
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with Workspace(load_settings(data=Path(folder), public_url=base)) as workspace:
            owner = Principal.system()
            job = await workspace.add(owner, "samples", [str(ROOT / "samples" / name) for name in SAMPLES], create=True)
            async for _ in workspace.job_events(owner, job.id):
                pass
            found = await workspace.search(owner, "samples", question[1])
            server = uvicorn.Server(uvicorn.Config(create_app(workspace), log_level="warning", access_log=False))
            serving = asyncio.create_task(server.serve([listener]))
            await photograph(chromium, workspace.view_url(owner, found.passages[0]))
            server.should_exit = True
            await serving


async def photograph(chromium: str, address: str) -> None:
    """Open an address and write what is seen."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        context = await browser.new_context(viewport=SIZE, device_scale_factor=PIXELS_PER_POINT, locale="en-GB")
        page = await context.new_page()
        await page.goto(address, wait_until="networkidle")
        await page.screenshot(path=PICTURE)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
