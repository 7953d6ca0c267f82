"""Starts the house in one container, and says in the log what runs and how to get in.

What it says goes to standard output, in order; what the parts say themselves goes to standard error.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Never

import house
from functions import Functions
from installation import Installation
from supervision import PartFailed, finished, ready, supervise

DATA = Path("/data")
SAMPLES = Path("/opt/pincite/samples")
SAMPLE_FILES = ("handbook.pdf", "contract.zh.pdf", "manual.md")
KNOWLEDGE_BASE = "samples"
QUESTION = "How quickly do I have to report a stolen laptop?"
SAMPLES_DONE, GREETED = "samples-added", "greeted"


def say(line: str) -> None:
    """Write a line to the container's log."""
    print(line, flush=True)


async def main() -> int:
    """Run until stopped; return 1 when a part keeps dying."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        installation = Installation(DATA / "installation")
    except OSError as error:
        say(f"{DATA} cannot be written ({error.strerror}): give it to user {os.getuid()}, or mount a named volume.")
        return 1
    status = 0
    try:
        await run(installation)
    except* PartFailed as failures:
        for failure in failures.exceptions:
            say(f"{failure} What it said is above. The container ends.")
        status = 1
    except* asyncio.CancelledError:
        say("Stopped.")
    return status


async def run(installation: Installation) -> Never:
    """Start the parts one after the other, set them up, and keep them until cancelled."""
    backend = await house.choose_backend(os.environ)
    administrator = (
        os.environ.get("WEBUI_ADMIN_EMAIL") or "admin@localhost",
        os.environ.get("WEBUI_ADMIN_PASSWORD") or installation.secret("first-admin-password"),
    )
    environment = house.pincite_environment(backend, installation)
    backend_part = house.backend_part(backend, installation)
    pincite = house.pincite_part(environment)
    chat = house.openwebui_part(backend, installation, administrator, DATA)
    async with asyncio.TaskGroup() as parts:
        say(f"Embedding backend: {backend.model}, {backend.why}")
        parts.create_task(supervise(backend_part, say))
        parts.create_task(supervise(chat, say))
        await ready(backend_part)
        say("The embedding backend is ready.")
        parts.create_task(supervise(pincite, say))
        await ready(pincite)
        await add_samples(installation, environment)
        say("Pincite is ready.")
        await ready(chat)
        functions = Functions(installation, administrator, environment, say)
        await functions.install()
        greet(installation, administrator)
        await functions.keep()


async def add_samples(installation: Installation, environment: dict[str, str]) -> None:
    """Index the samples, once: whoever removes them has removed them."""
    if installation.kept(SAMPLES_DONE):
        return
    files = (f"{SAMPLES}/{name}" for name in SAMPLE_FILES)
    if await finished(("pincite", "add", KNOWLEDGE_BASE, *files), environment):
        say("The samples could not be indexed; the lines above say why.")
    else:
        installation.keep(SAMPLES_DONE, KNOWLEDGE_BASE)


def greet(installation: Installation, administrator: tuple[str, str]) -> None:
    """Say where everything is; passwords and keys only the first time, later where they are kept."""
    email, password = administrator
    secrets = {
        "first-admin-password": password,
        "pincite-admin-key": house.pincite_key(installation),
        "backend-key": house.backend_key(installation),
    }
    if installation.kept(GREETED):
        secrets = {name: f"in {installation.path(name)}, if it was not given" for name in secrets}
    public = os.environ.get("PINCITE_PUBLIC_URL", "http://localhost:7861").rstrip("/")
    say(f"""Everything is ready. In Open WebUI, ask the model “Pincite: {KNOWLEDGE_BASE}”: “{QUESTION}”

  Open WebUI          http://localhost:7860
    administrator     {email}
    first password    {secrets["first-admin-password"]}
  Pincite             {public}  (REST {public}/api, viewer {public}/view, MCP {public}/mcp)
    API key           {secrets["pincite-admin-key"]}
  Embedding backend   http://localhost:8000/v1
    API key           {secrets["backend-key"]}
""")
    installation.keep(GREETED, "yes")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
