"""The Event function: files that people attach, or put into Open WebUI's Knowledge, become part of the index."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from pydantic import BaseModel, Field

from plugin.function.interrupted import tell_interrupted
from plugin.function.mirroring import Mirror
from plugin.function.offering import offer
from plugin.function.openwebui import Inside
from plugin.function.storing import Store, StoreFailure

LOG = logging.getLogger("pincite")
EVERY_COLLECTION = "*"
LOOK_AGAIN_S = 0.5
LONGEST_READING_S = 3600.0
# Between two tries while Pincite is away; then the next event, the next start or `pincite openwebui sync` repairs it.
PAUSES_S = (2.0, 10.0, 60.0, 300.0)
# With these it changes who may read what.
PEOPLE = {"user.created", "user.updated", "user.deleted", "user.role_updated", "group.updated", "group.deleted"}
STARTED = "system.startup.completed"
SET_UP = "function.valves_updated"
# A person took away what is missing after these; after others it may be missing by mistake.
MEANT = (".deleted", ".deleted_all", ".removed", ".reset")

Work = Callable[[Mirror], AsyncIterator[str]]


class Event:
    """What Open WebUI loads and tells of everything that happens there."""

    class Valves(BaseModel):
        """What an administrator sets."""

        pincite_url: str = Field(default="http://127.0.0.1:7861", description="Address of the Pincite server.")
        pincite_key: str = Field(
            default="",
            description="API key of the Pincite server, with the admin scope, as knowledge bases are made. Without it "
            "nothing is mirrored.",
            json_schema_extra={"input": {"type": "password"}},
        )
        attachments: bool = Field(
            default=True, description="Index what people attach to their chats; nobody else can search it."
        )
        collections: str = Field(
            default=EVERY_COLLECTION,
            description="Collections of Knowledge to mirror, by name, separated by commas; *: all; empty: none.",
        )

    def __init__(self) -> None:
        self.valves = self.Valves()
        self._turns: dict[tuple[object, ...], asyncio.Lock] = {}
        self._waiting: set[tuple[object, ...]] = set()

    async def event(self, event: dict[str, Any], __id__: str = "") -> None:
        """Follow an event, if it is about files, collections or people, or about this function itself."""
        name, data = str(event.get("event")), event.get("data") or {}
        subject = str((event.get("subject") or {}).get("id") or "")
        if name == STARTED:
            await tell_interrupted()
        if not self.valves.pincite_key:
            return
        if name == "file.uploaded":
            await self._uploaded(subject)
        elif name in PEOPLE or name == STARTED or (name == SET_UP and subject == __id__):
            await self._collections()
            await self._attachments()
            if name in PEOPLE:
                await self._once("models", None, self._models)
        elif name.startswith("file."):
            await self._attachments()
            await self._collections(meant=name.endswith(MEANT))
        elif name.startswith("knowledge."):
            whole = name in {"knowledge.deleted", "knowledge.reindexed"}
            changed = None if whole else str(data.get("knowledge_id") or subject)
            await self._collections(changed, meant=name.endswith(MEANT))
            await self._attachments()

    async def _uploaded(self, file_id: str) -> None:
        file = await Inside().upload(file_id)
        if file is not None and file["collection_id"] is None:
            await self._attachments(str(file["user_id"]))
            return
        # Open WebUI reads it first, and only then puts it into its collection, without a word.
        async with asyncio.timeout(LONGEST_READING_S):
            while file is not None and file["status"] not in {"completed", "failed"}:
                await asyncio.sleep(LOOK_AGAIN_S)
                file = await Inside().upload(file_id)
        if file is not None:
            await self._collections(str(file["collection_id"]))

    async def _attachments(self, user_id: str | None = None) -> None:
        if self.valves.attachments:
            await self._once("attachments", user_id, lambda mirror: mirror.attachments(user_id))

    async def _collections(self, changed: str | None = None, *, meant: bool = False) -> None:
        """Bring one collection up to date, named by its id, or all that are to be mirrored."""
        chosen = [name.strip() for name in self.valves.collections.split(",") if name.strip()]
        if not chosen:
            return
        names = [] if EVERY_COLLECTION in chosen else chosen
        if changed is not None:
            found = [each["name"] for each in await Inside().collections() if each["id"] == changed]
            names = [name for name in found if not names or name in names]
            if not names:
                return
        await self._once("collections", (*names, meant), lambda mirror: mirror.collections(names, force=meant))

    async def _models(self, mirror: Mirror) -> AsyncIterator[str]:
        async for line in offer(Inside(), await mirror.store.knowledge_bases()):
            yield line

    async def _once(self, kind: str, what: object, work: Work) -> None:
        """Do a piece of work, once at a time; where it waits already, it will see this change as well."""
        if (kind, what) in self._waiting:
            return
        self._waiting.add((kind, what))
        async with self._turns.setdefault((kind, what), asyncio.Lock()):
            self._waiting.discard((kind, what))
            for pause_s in (*PAUSES_S, None):
                try:
                    async with Store(self.valves.pincite_url, self.valves.pincite_key) as store:
                        async for line in work(Mirror(Inside(), store)):
                            LOG.info("Pincite: %s", line)
                    return
                except StoreFailure as failure:
                    LOG.warning("Pincite could not follow Open WebUI's files: %s", failure)
                if pause_s is not None:
                    await asyncio.sleep(pause_s)
