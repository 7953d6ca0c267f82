"""What runs beside the requests: recovery after a crash, rebuilding what is outdated, warming up, tidying up."""

import asyncio
import logging
from functools import partial
from typing import Any

from embedding_backend import BackendFailure
from pincite.assembly import Parts
from pincite.errors import BackendError, InvalidSettings, Overloaded
from pincite.federated_search import NO_RERANKER
from pincite.jobs import JobReport
from pincite.records import KnowledgeBase
from pincite.reindexing import is_unfinished
from pincite.settings import KnowledgeBaseSettings, Settings

OK = "ok"
LOADING = "loading"
BETWEEN_CHECKS_S = 10.0

log = logging.getLogger(__name__)


class Service:
    """The background of an open data folder."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts
        self._tasks: list[asyncio.Task[None]] = []
        self._models: dict[tuple[str, int | None], dict[str, Any]] = {}
        self._index = LOADING

    async def resume(self) -> None:
        """Remove what a crash left of an unfinished generation, and queue the repair of half-indexed documents."""
        for kb in await asyncio.to_thread(self._parts.catalog.knowledge_bases):
            await self._parts.generations.discard_others(kb)
            records = await asyncio.to_thread(self._parts.catalog.documents, kb.id)
            if any(is_unfinished(record) for record in records):
                await self._parts.jobs.submit(kb.id, "reindex", partial(self._repair, kb.id), _nothing)

    def begin(self) -> None:
        """Start warming up, updating and tidying."""
        self._tasks = [asyncio.create_task(work) for work in (self._watch_models(), self._warm_index(), self._tidy())]

    async def close(self) -> None:
        """Stop it all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def update_if_outdated(self, kb_id: str) -> None:
        """Queue a rebuild of a knowledge base whose passages were made by another recipe than its settings ask for.

        Without the model to do it with, the log says so, and what there is goes on serving.
        """
        kb = await self._knowledge_base(kb_id)
        try:
            if kb is None or not await self._parts.reindexing.is_outdated(kb):
                return
        except (BackendError, InvalidSettings) as error:
            log.warning("knowledge base %s cannot be brought up to date: %s", kb_id, error.message)
            return
        unfinished = self._parts.jobs.unfinished(kb.id)
        if not any(job.kind == "reindex" and job.state == "queued" for job in unfinished):
            await self._parts.jobs.submit(kb.id, "reindex", partial(self._rebuild, kb.id), _nothing)

    async def health(self) -> dict[str, Any]:
        """Say whether questions can be answered: `ready`, and `catalog`, `model` and `index` each "ok" or why not.

        `models` are the embedding models in use: `backend`, `model`, `dimensions`, and `state`, "ok" or why not.
        """
        try:
            await asyncio.to_thread(self._parts.catalog.ping)
        except Exception:
            log.exception("the catalog does not answer")
            catalog = "the catalog does not answer; see the server's log"
        else:
            catalog = OK
        models = list(self._models.values())
        model = next((known["state"] for known in models if known["state"] != OK), OK) if models else LOADING
        states = {"catalog": catalog, "model": model, "index": self._index}
        return {"ready": all(state == OK for state in states.values())} | states | {"models": models}

    async def check_backends(self) -> list[dict[str, Any]]:
        """Ask the models in use how they are, the reranker too: `backend`, `model`, `dimensions`, `state`."""
        await self._check_models()
        known = list(self._models.values())
        settings = [kb.settings for kb in await asyncio.to_thread(self._parts.catalog.knowledge_bases)]
        if self._parts.reranking is not None:
            known.append({"backend": "reranker", "state": await self._parts.reranking.problem() or OK})
        elif any(kb.rerank for kb in settings):
            known.append({"backend": "reranker", "state": NO_RERANKER})
        return known

    async def _watch_models(self) -> None:
        while True:
            try:
                await self._check_models()
            except Exception:
                log.exception("checking the embedding models failed")
            await asyncio.sleep(BETWEEN_CHECKS_S)

    async def _check_models(self) -> None:
        """Load every model that a knowledge base asks for and the one that the next would, and note how they are."""
        asked = [KnowledgeBaseSettings(embedding_model=self._parts.embedders.default)]
        asked += [kb.settings for kb in await asyncio.to_thread(self._parts.catalog.knowledge_bases)]
        different = {(settings.embedding_model, settings.dimensions): settings for settings in asked}
        self._models = {
            key: await self._checked(settings, self._models.get(key, {})) for key, settings in different.items()
        }

    async def _checked(self, settings: KnowledgeBaseSettings, before: dict[str, Any]) -> dict[str, Any]:
        known: dict[str, Any] = {"backend": settings.embedding_model}
        try:
            embedder = await self._parts.embedders.wanted(settings)
            known |= {"model": embedder.model.id, "dimensions": embedder.model.dimensions}
            if settings.embedding_model == "hosted" and not self._parts.embedders.available:
                return known | {"state": "no embedding server takes requests now; see the server's log"}
            if before.get("state") != OK:
                await embedder.embed_queries(["warm-up"])
        except (BackendError, BackendFailure, InvalidSettings) as error:
            return known | {"state": str(error)}
        except Exception:
            log.exception("the embedding model could not be loaded")
            return known | {"state": "the embedding model could not be loaded; see the server's log"}
        return known | {"state": OK}

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
            async with self._parts.generations.use(kb) as index:
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
