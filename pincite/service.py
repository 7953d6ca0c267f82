"""What runs beside the requests: recovery after a crash, rebuilding what is outdated, warming up, tidying up."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from embedding_backend import BackendFailure
from pincite.assembly import Parts
from pincite.document_indexing import Target
from pincite.errors import BackendError, IndexMismatch, InvalidSettings, Overloaded, UnknownKnowledgeBase
from pincite.federated_search import NO_RERANKER
from pincite.incoming import SourceOptions, SourceRequest
from pincite.ingestion import UploadedFile
from pincite.jobs import Handler, Running
from pincite.records import Job, KnowledgeBase, Source
from pincite.repairing import is_unfinished
from pincite.settings import KnowledgeBaseSettings, Settings
from pincite.source_listing import shown_path
from pincite.watching import Watcher

OK = "ok"
LOADING = "loading"
BETWEEN_CHECKS_S = 10.0
# A chat's attachments, not a collection.
MOST_URGENT_FILES = 10

log = logging.getLogger(__name__)


class Service:
    """The background of an open data folder."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts
        self._tasks: list[asyncio.Task[None]] = []
        self._models: dict[tuple[str, int | None], dict[str, Any]] = {}
        self._index = LOADING
        self.watcher = Watcher(
            parts.catalog,
            parts.store,
            self._synchronise,
            interval_s=settings.watch_interval_s,
            max_file_bytes=settings.max_file_bytes,
        )

    async def resume(self) -> None:
        """Take up the jobs that an earlier process left, and queue the repair of half-indexed documents before them."""
        parts = self._parts
        left = await asyncio.to_thread(parts.catalog.unfinished_jobs)
        unfinished = {(job.knowledge_base_id, job.kind) for job in left}
        kbs = await asyncio.to_thread(parts.catalog.knowledge_bases)
        if self._settings.index_uri is None:  # what lies elsewhere may be shared
            await parts.generations.discard_unknown(kbs)
        for kb in kbs:
            if (kb.id, "reindex") not in unfinished:
                await parts.reindexing.discard(kb)
        await parts.jobs.begin(
            {
                "add": Handler(self._add, self._added),
                "reindex": Handler(self._rebuild, _nothing),
                "repair": Handler(self._repair, _nothing),
            }
        )
        for kb in kbs:
            records = await asyncio.to_thread(parts.catalog.documents, kb.id)
            if any(is_unfinished(record) for record in records) and (kb.id, "repair") not in unfinished:
                await parts.jobs.submit(kb.id, "repair", priority=0)

    def begin(self) -> None:
        """Start warming up, updating and tidying."""
        works = (self._watch_models(), self._warm_index(), self._tidy(), self.watcher.run())
        self._tasks = [asyncio.create_task(work) for work in works]

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
            await self._parts.jobs.submit(kb.id, "reindex")

    async def add(
        self, kb_id: str, sources: Sequence[str | UploadedFile], options: SourceOptions, *, private_hosts: bool
    ) -> Job:
        """Queue the sources as a job, before larger ones if they are a few files.

        Raises:
            Overloaded: too many jobs wait.
        """
        requests = []
        for source in sources:
            if isinstance(source, UploadedFile):
                requests.append(SourceRequest(upload=source.name, received=source.path.name))
            else:
                requests.append(SourceRequest(source, "", "", options.include, options.exclude, options.watched))
        request = {
            "sources": [asdict(each) for each in requests],
            "private_hosts": private_hosts,
            "remove_vanished": options.remove_vanished,
            "changes_only": options.changes_only,
        }
        urgent = await asyncio.to_thread(self._is_urgent, kb_id, requests) and await self._is_usable(kb_id)
        return await self._parts.jobs.submit(kb_id, "add", request, priority=0 if urgent else 1)

    async def _synchronise(self, source: Source) -> None:
        """Queue what has changed in a watched source, unless a job that has not begun will see it anyway."""
        for job in self._parts.jobs.unfinished(source.knowledge_base_id):
            waiting = (job.request or {}).get("sources", ())
            if job.state == "queued" and any(each["address"] == source.location for each in waiting):
                return
        options = SourceOptions(changes_only=True)
        await self.add(source.knowledge_base_id, [source.location], options, private_hosts=source.private_hosts)

    def _is_urgent(self, kb_id: str, requests: Sequence[SourceRequest]) -> bool:
        """A few files are, unless one of them replaces a file of the same name that waits: the later must win."""
        if len(requests) > MOST_URGENT_FILES:
            return False
        if not all(each.upload or Path(each.address).expanduser().is_file() for each in requests):
            return False
        waiting = [job.request or {} for job in self._parts.jobs.unfinished(kb_id)]
        names = {shown_path(each["upload"]) for request in waiting for each in request.get("sources", ())}
        return not any(shown_path(each.upload) in names for each in requests if each.upload)

    async def _is_usable(self, kb_id: str) -> bool:
        """Say whether the serving index takes documents, or has to be built anew first."""
        kb = await asyncio.to_thread(self._parts.catalog.serving, kb_id)
        try:
            if kb is not None:
                async with self._parts.generations.use(kb):
                    return True
        except IndexMismatch:
            pass
        return False

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

    async def _add(self, job: Job, running: Running) -> None:
        parts = self._parts

        @asynccontextmanager
        async def open_target() -> AsyncIterator[Target]:
            # For each document anew: between two, the next generation may have begun to serve.
            kb = await asyncio.to_thread(parts.catalog.serving, job.knowledge_base_id)
            if kb is None:
                raise UnknownKnowledgeBase("The knowledge base was removed while documents were added to it.")
            parts.generations.put_off_maintenance(kb.table)
            async with parts.generations.use(kb) as index:
                # With the model of its own: a job that builds the next generation may have failed.
                yield Target(index, await parts.embedders.of(index.model), kb.settings, running.report)

        await parts.ingestion.add(job, running, open_target)

    async def _added(self, job: Job) -> None:
        for source in (job.request or {}).get("sources", ()):
            if source["received"]:
                await asyncio.to_thread((self._parts.store.incoming / source["received"]).unlink, missing_ok=True)
        kb = await asyncio.to_thread(self._parts.catalog.serving, job.knowledge_base_id)
        if kb is not None:
            self._parts.generations.maintain_when_quiet(kb.table)

    async def _repair(self, job: Job, running: Running) -> None:
        if (kb := await self._knowledge_base(job.knowledge_base_id)) is not None:
            thorough = bool((job.request or {}).get("thorough"))
            await self._parts.repairing.repair(kb, running, thorough=thorough)

    async def _rebuild(self, job: Job, running: Running) -> None:
        kb = await self._knowledge_base(job.knowledge_base_id)
        # Asked again: the job before this one may have done it.
        if kb is not None and await self._parts.reindexing.is_outdated(kb):
            await self._parts.reindexing.rebuild(kb, running)

    async def _knowledge_base(self, kb_id: str) -> KnowledgeBase | None:
        return await asyncio.to_thread(self._parts.catalog.knowledge_base, kb_id)


async def _nothing(job: Job) -> None:
    """A rebuilt index needs no tidying."""
