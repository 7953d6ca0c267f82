"""A knowledge base indexed anew from its stored documents: in place after a crash, beside the old after a change."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from pincite.catalog import Catalog
from pincite.document_indexing import TIDY_EVERY, Content, DocumentIndexer, DocumentKey, Target, recipe
from pincite.embedders import Embedders
from pincite.errors import DocumentError, IndexMismatch, NotFound
from pincite.generations import Generations, next_generation
from pincite.index import Index
from pincite.jobs import JobReport
from pincite.records import SERVED, DocumentRecord, KnowledgeBase, result_of

INTERRUPTED = {"code": "interrupted", "message": "The server stopped while indexing this document; add it again."}

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

    async def rebuild(self, kb: KnowledgeBase, report: JobReport) -> None:
        """Build the next generation beside the one that serves, and let it serve when it is complete.

        Raises:
            InvalidSettings, BackendError: there is no such model now, or it fails; the old generation goes on serving.
        """
        records = [r for r in await asyncio.to_thread(self._catalog.documents, kb.id) if r.status in SERVED]
        embedder = await self._embedders.wanted(kb.settings)
        await self._generations.discard_others(kb)
        table = next_generation(kb.table)
        async with self._generations.use(replace(kb, table=table)) as index:
            built = await self._index(records, Target(index, embedder, kb.settings, report, serving=False))
            await index.maintain()
            await self._indexer.swap(kb.id, table, built, index)
        await self._generations.drop(kb.table)
        for old in records:
            await asyncio.to_thread(self._indexer.forget_files, old.sha256, old.parsed)

    async def repair(self, kb: KnowledgeBase, index: Index, report: JobReport) -> None:
        """Bring back what a crash left half-indexed: older versions as they were, and no trace of new ones."""
        records = [r for r in await asyncio.to_thread(self._catalog.documents, kb.id) if is_unfinished(r)]
        for record in records:
            if record.status == "indexing":
                await index.remove_document(record.id)
                await asyncio.to_thread(self._catalog.put_document, replace(record, status="failed", error=INTERRUPTED))
        embedder = await self._embedders.of(index.model)
        await self._index([r for r in records if r.status in SERVED], Target(index, embedder, kb.settings, report))

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

    async def _index(self, records: Sequence[DocumentRecord], target: Target) -> dict[str, DocumentRecord]:
        target.report.expect(len(records))
        built: dict[str, DocumentRecord] = {}
        for record in records:
            key = DocumentKey(record.knowledge_base_id, record.location, record.path)
            try:
                document = await self._indexer.parse(key, record.sha256)
                new = await self._indexer.index(key, Content(record.sha256, record.size), document, target)
                new = replace(new, added_at=record.added_at, error=record.error)
            except NotFound:
                if await asyncio.to_thread(self._catalog.document, record.id) is None:
                    continue  # removed meanwhile
                new = replace(record, status="failed", passages=0, error=LOST)
            except DocumentError as error:
                new = replace(record, status="failed", passages=0, error={"code": error.code, "message": error.message})
            if target.serving:
                await asyncio.to_thread(self._catalog.put_document, new)
            if new.status == "failed":
                await target.index.remove_document(new.id)
            built[record.id] = new
            await target.report.add_result(result_of(new))
            if len(built) % TIDY_EVERY == 0:
                await target.index.maintain()
        return built


def is_unfinished(record: DocumentRecord) -> bool:
    """Say whether a crash may have left the index rows of a document behind or ahead of its record."""
    return record.status == "indexing" or (record.status in SERVED and not record.recipe)
