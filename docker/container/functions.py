"""Keeps the functions and models in Open WebUI as the knowledge bases are, and tries again where it refuses."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Never

import httpx

import house
from installation import Installation
from openwebui import Refused, installation_key
from supervision import finished

ANSWERING = "answering-model-set"
BETWEEN_LOOKS_S = 15.0
LONGEST_WAIT_S = 600.0
AGAIN = f"It is tried again by itself, at least every {LONGEST_WAIT_S / 60:g} minutes."

KnowledgeBases = list[tuple[str, str, str]]


class Functions:
    """What this installation has in Open WebUI: functions, and a model for each knowledge base."""

    def __init__(
        self,
        installation: Installation,
        administrator: tuple[str, str],
        environment: dict[str, str],
        say: Callable[[str], None],
    ) -> None:
        """Install nothing yet; `environment` is that of `pincite` commands, `say` writes to the container's log."""
        self._installation = installation
        self._administrator = administrator
        self._environment = environment
        self._say = say
        self._installed: KnowledgeBases | None = None
        self._trouble = ""

    async def keep(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> Never:
        """Install whenever a knowledge base is new or has other readers; where that fails, later each time."""
        wait_s = BETWEEN_LOOKS_S
        while True:
            await pause(wait_s)
            found = await self._knowledge_bases()
            if found is None or found == self._installed:
                wait_s = BETWEEN_LOOKS_S
            else:
                wait_s = BETWEEN_LOOKS_S if await self.install() else min(2 * wait_s, LONGEST_WAIT_S)

    async def install(self) -> bool:
        """Install once, and return whether it went well; the same trouble is told once however often it is met."""
        found = await self._knowledge_bases()
        trouble = await self._install()
        if trouble and trouble != self._trouble:
            self._say(f"{trouble} {AGAIN}")
        elif self._trouble and not trouble:
            self._say("Open WebUI has Pincite's functions and models now.")
        self._trouble = trouble
        self._installed = None if trouble else found
        return not trouble

    async def _install(self) -> str:
        """Install the functions and the models, and return "", or what went wrong."""
        try:
            key = await installation_key(house.OPENWEBUI_URL, self._installation, self._administrator)
        except Refused as refused:
            return str(refused)
        answering = ("--answering-model", "pincite") if os.environ.get("PINCITE_LLM_URL") else ()
        if self._installation.kept(ANSWERING):
            answering = ()  # an administrator may have chosen another since
        arguments = ("--url", house.OPENWEBUI_URL, "--pincite-url", house.PINCITE_URL, *answering)
        command = ("pincite", "openwebui", "install", *arguments)
        if await finished(command, self._environment | {"OPENWEBUI_TOKEN": key}):
            return "The functions could not be installed in Open WebUI; the lines above say why."
        if answering:
            self._installation.keep(ANSWERING, "pincite")
        return ""

    async def _knowledge_bases(self) -> KnowledgeBases | None:
        """Return what the models depend on: ids, names, readers; None while Pincite does not answer."""
        headers = {"Authorization": f"Bearer {self._environment['PINCITE_ADMIN_KEY']}"}
        try:
            async with httpx.AsyncClient(base_url=house.PINCITE_URL, headers=headers, trust_env=False) as http:
                listed = (await http.get("/api/knowledge-bases")).raise_for_status().json()
        except httpx.HTTPError:
            return None
        return sorted((kb["id"], kb["name"], str(kb["settings"]["readers"])) for kb in listed)
