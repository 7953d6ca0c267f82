"""A knowledge base indexed anew from its stored documents beside what serves, and single documents in place."""

import asyncio
from dataclasses import replace

from pincite.catalog import Catalog
from pincite.document_indexing import DocumentIndexer, DocumentKey, Target, recipe
from pincite.embedders import Embedders
from pincite.errors import DocumentError, IndexMismatch, NotFound
from pincite.generations import Generations, next_generation
from pincite.incoming import Content
from pincite.jobs import Running
from pincite.records import SERVED, DocumentRecord, KnowledgeBase

LOST = {"code": "unknown_document", "message": "The original file is missing from the data folder; add it again."}


class Reindexing:
    """Brings the passages of a knowledge base in line with its settings and with its catalog."""

    def __init__(
        self, catalog: Catalog, embedders: Embedders, generations: Generations, indexer: DocumentIndexer
    ) -> None:
        self._catalog = catalog
        self._embedders = embedders
        self._generations = generations
        self._indexer = indexer

    async def rebuild(self, kb: KnowledgeBase, running: Running) -> None:
        """Build the next generation beside the one that serves, and let it serve when it is complete.

        Begun again after a crash, it goes on with the documents that are not in the new table yet; what was added,
        changed or removed meanwhile is followed.

        Raises:
            InvalidSettings, BackendError: there is no such model now, or it fails; the old generation goes on serving.
        """
        embedder = await self._embedders.wanted(kb.settings)
        table = next_generation(kb.table)
        built = await asyncio.to_thread(self._catalog.built_documents, table)
        wanted = recipe(kb.settings, embedder.model)
        if {record.recipe for record in built.values() if record.status in SERVED} != {wanted}:
            built = {}
            await self.discard(kb)
        running.report.enter_stage("indexing")
        async with self._generations.use(replace(kb, table=table)) as index:
            target = Target(index, embedder, kb.settings, running.report, generation=table)
            there = await index.passages_by_document()
            built = {r.id: r for r in built.values() if r.status not in SERVED or there.get(r.id, 0) == r.passages}
            while True:
                served, missing = await self._missing(kb, built)
                if not missing:
                    async with running.turn():  # nobody adds a document between the last look and the swap
                        served, missing = await self._missing(kb, built)
                        if not missing:
                            running.report.enter_stage("tidying")
                            await index.maintain()
                            await self._indexer.swap(kb.id, table, built, index)
                            break
                running.report.expect(running.report.job.done + len(missing))
                for record in missing:
                    async with running.turn():
                        new = await self.reindex(record, target)
                        if new is not None:
                            built[record.id] = new
                        await index.tidy()
        await self._generations.drop(kb.table)
        for old in served:
            await asyncio.to_thread(self._indexer.forget_files, old.sha256, old.parsed)

    async def discard(self, kb: KnowledgeBase) -> None:
        """Remove what was built beside the table that serves a knowledge base."""
        await self._generations.discard_others(kb)
        await asyncio.to_thread(self._catalog.forget_built, next_generation(kb.table))

    async def _missing(
        self, kb: KnowledgeBase, built: dict[str, DocumentRecord]
    ) -> tuple[list[DocumentRecord], list[DocumentRecord]]:
        """Return the documents that are served, and those of them whose version is not among the built ones."""
        records = await asyncio.to_thread(self._catalog.documents, kb.id)
        served = [record for record in records if record.status in SERVED]
        missing = []
        for record in served:
            there = built.get(record.id)
            if there is None or (there.sha256, there.path) != (record.sha256, record.path):
                missing.append(record)
        return served, missing

    async def is_outdated(self, kb: KnowledgeBase) -> bool:
        """Say whether passages or index were made by another recipe than the settings and the model ask for now.

        Raises:
            InvalidSettings, BackendError: there is no such model now.
        """
        model = (await self._embedders.wanted(kb.settings)).model
        wanted = recipe(kb.settings, model)
        records = await asyncio.to_thread(self._catalog.documents, kb.id)
        if any(record.status in SERVED and record.recipe not in {"", wanted} for record in records):
            return True
        try:
            async with self._generations.use(kb) as index:
                return index.model != model
        except IndexMismatch:
            return True

    async def reindex(self, record: DocumentRecord, target: Target) -> DocumentRecord | None:
        """Index a stored document anew and return its record; None if it was removed meanwhile."""
        key = DocumentKey(record.knowledge_base_id, record.location, record.path)
        try:
            document = await self._indexer.parse(key, record.sha256)
            content = Content(record.sha256, record.size)
            return await self._indexer.index(key, content, document, target, known=record)
        except NotFound:
            if await asyncio.to_thread(self._catalog.document, record.id) is None:
                return None
            error = LOST
        except DocumentError as failed:
            error = {"code": failed.code, "message": failed.message}
        new = replace(record, status="failed", passages=0, error=error)
        await target.index.remove_document(new.id)
        await target.report.finish(new, target.generation)
        return new
