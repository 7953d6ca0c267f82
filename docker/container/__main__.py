"""Starts the house in one container, and says in the log what runs and how to get in.

What it says goes to standard output, in order; what the parts say themselves goes to standard error.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Never

import httpx

import house
from installation import Installation
from openwebui import Refused, installation_key
from supervision import PartFailed, process, ready, supervise

DATA = Path("/data")
SAMPLES = Path("/opt/pincite/samples")
SAMPLE_FILES = ("handbook.pdf", "contract.zh.pdf", "manual.md")
KNOWLEDGE_BASE = "samples"
QUESTION = "How quickly do I have to report a stolen laptop?"
SAMPLES_DONE, GREETED, ANSWERING = "samples-added", "greeted", "answering-model-set"
BETWEEN_LOOKS_S = 15.0


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
        known = await install(installation, administrator, environment)
        greet(installation, administrator)
        while True:
            await asyncio.sleep(BETWEEN_LOOKS_S)
            # A knowledge base made since, or one with other readers, shows in Open WebUI without anyone's doing.
            if await knowledge_bases(environment) not in (known, None):
                known = await install(installation, administrator, environment)


async def add_samples(installation: Installation, environment: dict[str, str]) -> None:
    """Index the samples, once: whoever removes them has removed them."""
    if installation.kept(SAMPLES_DONE):
        return
    if await command(environment, "add", KNOWLEDGE_BASE, *(f"{SAMPLES}/{name}" for name in SAMPLE_FILES)):
        say("The samples could not be indexed; the lines above say why.")
    else:
        installation.keep(SAMPLES_DONE, KNOWLEDGE_BASE)


async def install(
    installation: Installation, administrator: tuple[str, str], environment: dict[str, str]
) -> list[tuple[str, str, str]] | None:
    """Install the functions and the models in Open WebUI, and return the knowledge bases they are of."""
    found = await knowledge_bases(environment)
    try:
        key = await installation_key(house.OPENWEBUI_URL, installation, administrator)
    except Refused as refused:
        say(str(refused))
        return found
    answering = ("--answering-model", "pincite") if os.environ.get("PINCITE_LLM_URL") else ()
    if installation.kept(ANSWERING):
        answering = ()  # an administrator may have chosen another since
    arguments = ("--url", house.OPENWEBUI_URL, "--pincite-url", house.PINCITE_URL, *answering)
    if await command(environment | {"OPENWEBUI_TOKEN": key}, "openwebui", "install", *arguments):
        say("The functions could not be installed in Open WebUI; the lines above say why.")
    elif answering:
        installation.keep(ANSWERING, "pincite")
    return found


async def knowledge_bases(environment: dict[str, str]) -> list[tuple[str, str, str]] | None:
    """Return what the models depend on: ids, names, readers; None while Pincite does not answer."""
    headers = {"Authorization": f"Bearer {environment['PINCITE_ADMIN_KEY']}"}
    try:
        async with httpx.AsyncClient(base_url=house.PINCITE_URL, headers=headers, trust_env=False) as http:
            listed = (await http.get("/api/knowledge-bases")).raise_for_status().json()
    except httpx.HTTPError:
        return None
    return sorted((kb["id"], kb["name"], str(kb["settings"]["readers"])) for kb in listed)


async def command(environment: dict[str, str], *arguments: str) -> int:
    """Run a `pincite` command and return its exit status."""
    async with process(("pincite", *arguments), environment) as running:
        return await running.wait()


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
