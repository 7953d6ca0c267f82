"""What runs beside the requests: recovery after a crash, rebuilding what is outdated, warming up, tidying up."""

import asyncio
import logging
from functools import partial
from typing import Any

from pincite.assembly import Parts
from pincite.errors import Overloaded
from pincite.jobs import JobReport
from pincite.records import KnowledgeBase
from pincite.reindexing import is_unfinished
from pincite.settings import Settings

OK = "ok"
LOADING = "loading"

log = logging.getLogger(__name__)


class Service:
    """The background of an open data folder."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts
        self._tasks: list[asyncio.Task[None]] = []
        self._model = LOADING
        self._index = LOADING

    async def resume(self) -> None:
        """Queue the repair of what a crash left half-indexed."""
        for kb in await asyncio.to_thread(self._parts.catalog.knowledge_bases):
            records = await asyncio.to_thread(self._parts.catalog.documents, kb.id)
            if any(is_unfinished(record) for record in records):
                await self._parts.jobs.submit(kb.id, "reindex", partial(self._repair, kb.id), _nothing)

    def begin(self) -> None:
        """Start warming up, updating and tidying."""
        self._tasks = [asyncio.create_task(work) for work in (self._warm_model(), self._warm_index(), self._tidy())]

    async def close(self) -> None:
        """Stop it all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def update_if_outdated(self, kb_id: str) -> None:
        """Queue a rebuild of a knowledge base whose passages were made by another recipe than its settings ask for."""
        kb = await self._knowledge_base(kb_id)
        if kb is None or not await self._parts.reindexing.is_outdated(kb):
            return
        unfinished = self._parts.jobs.unfinished(kb.id)
        if not any(job.kind == "reindex" and job.state == "queued" for job in unfinished):
            await self._parts.jobs.submit(kb.id, "reindex", partial(self._rebuild, kb.id), _nothing)

    async def health(self) -> dict[str, Any]:
        """Say whether questions can be answered: `ready`, and `catalog`, `model` and `index` each "ok" or why not."""
        try:
            await asyncio.to_thread(self._parts.catalog.ping)
        except Exception:
            log.exception("the catalog does not answer")
            catalog = "the catalog does not answer; see the server's log"
        else:
            catalog = OK
        states = {"catalog": catalog, "model": self._model, "index": self._index}
        return {"ready": all(state == OK for state in states.values())} | states

    async def _warm_model(self) -> None:
        try:
            await self._parts.embedder.embed_queries(["warm-up"])
        except Exception:
            log.exception("the embedding model could not be loaded")
            self._model = "the embedding model could not be loaded; see the server's log"
        else:
            self._model = OK

    async def _warm_index(self) -> None:
        state = OK
        for kb in await asyncio.to_thread(self._parts.catalog.knowledge_bases):
            try:
                await self.update_if_outdated(kb.id)  # opens the index as well
            except Overloaded:
                log.warning("knowledge base %s is outdated, and too many jobs wait to rebuild it now", kb.id)
            except Exception:
                log.exception("the index of knowledge base %s does not open", kb.id)
                state = "an index does not open; see the server's log"
        self._index = state

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(self._settings.maintenance_interval_s)
            try:
                await self._parts.generations.maintain()
            except Exception:
                log.exception("cleaning up the index failed")

    async def _repair(self, kb_id: str, report: JobReport) -> None:
        if (kb := await self._knowledge_base(kb_id)) is not None:
            async with self._parts.generations.use(kb.table) as index:
                await self._parts.reindexing.repair(kb, index, report)

    async def _rebuild(self, kb_id: str, report: JobReport) -> None:
        kb = await self._knowledge_base(kb_id)
        # Asked again: the job before this one may have done it.
        if kb is not None and await self._parts.reindexing.is_outdated(kb):
            await self._parts.reindexing.rebuild(kb, report)

    async def _knowledge_base(self, kb_id: str) -> KnowledgeBase | None:
        return await asyncio.to_thread(self._parts.catalog.knowledge_base, kb_id)


async def _nothing() -> None:
    """A rebuilt index needs no tidying."""
