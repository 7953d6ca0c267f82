"""What of a knowledge base does not fit together, told in words and mended: catalog, index, and stored files."""

import asyncio
import shutil
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path

from pincite.accounts import MEND, account_of
from pincite.catalog import Catalog
from pincite.document_codec import open_stored
from pincite.document_indexing import Target
from pincite.embedders import Embedders
from pincite.errors import CorruptDocument, IndexMismatch
from pincite.generations import Generations
from pincite.index import Index, examine
from pincite.ingestion import failure
from pincite.jobs import Running
from pincite.records import SERVED, DocumentRecord, KnowledgeBase
from pincite.reindexing import LOST, Reindexing
from pincite.restoring import UNFINISHED
from pincite.snapshot import abandoned_snapshots
from pincite.store import Store, sha256_of_file

INTERRUPTED = {"code": "interrupted", "message": "The server stopped while indexing this document; add it again."}
_INDEXES = {"lexical": "the index of words", "naming": "the index of names", "vector": "the index of vectors"}


@dataclass(frozen=True, slots=True)
class Damage:
    """What was found: whether the table's rows can be read, which of its indexes do not answer, and documents by id.

    The account of those that are `differing` does not add up; `strays` are in the index alone, by path. Of others the
    `originals` or the stored `parses` are missing or not whole.
    """

    unreadable: bool = False
    missing: bool = False
    broken: tuple[str, ...] = ()
    differing: frozenset[str] = frozenset()
    strays: dict[str, str] = field(default_factory=dict)
    originals: frozenset[str] = frozenset()
    parses: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self != Damage()

    def lines(self) -> list[str]:
        """Return it in words, without what is said of each document."""
        lines = []
        if self.unreadable:
            lines.append("the index cannot be read: files of it are missing or damaged")
        if self.missing:
            lines.append("the index is missing")
        lines += [f"{_INDEXES.get(c, f'the index of the column {c}')} is missing or damaged" for c in self.broken]
        if self.strays:
            lines.append(f"the index holds passages of {len(self.strays)} documents that are not in the catalog")
        return [f"{line}; {MEND}" for line in lines]


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What lies in the data folder and belongs to nothing: files and folders, their bytes, and tables of the index."""

    files: int
    size: int
    tables: tuple[str, ...]


class Repairing:
    """Looks for damage, and mends what the stored files allow."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        embedders: Embedders,
        generations: Generations,
        reindexing: Reindexing,
        uri: str,
        *,
        shared: bool,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._embedders = embedders
        self._generations = generations
        self._reindexing = reindexing
        self._uri = uri
        self._shared = shared  # tables beside ours may be another's

    async def examine(self, kb: KnowledgeBase) -> Damage:
        """Return what does not fit together; a document that is being indexed at this moment is left out."""
        found = await examine(self._uri, kb.table)
        records = await asyncio.to_thread(self._catalog.documents, kb.id)
        served = [record for record in records if record.status in SERVED]
        originals, parses = await asyncio.to_thread(self._lost, served)
        damage = Damage(originals=originals, parses=parses)
        if found.unreadable:
            return replace(damage, unreadable=True)
        known = {record.id for record in records if record.status != "failed"}
        return replace(
            damage,
            missing=not found.exists and any(record.passages for record in served),
            broken=found.broken,
            differing=frozenset(r.id for r in served if r.recipe and account_of(r, found.passages).differences),
            strays={document_id: path for document_id, path in found.paths.items() if document_id not in known},
        )

    async def leftovers(self) -> Leftovers:
        """Return what the next start would remove; nothing where a job is on its way, whose files look the same."""
        if await asyncio.to_thread(self._catalog.unfinished_jobs):
            return Leftovers(0, 0, ())
        serving = {kb.table for kb in await asyncio.to_thread(self._catalog.knowledge_bases)}
        tables = [] if self._shared else [table for table in await Index.names(self._uri) if table not in serving]
        files, size = await asyncio.to_thread(self._unnamed)
        return Leftovers(files, size, tuple(tables))

    def _unnamed(self) -> tuple[int, int]:
        paths = list(self._store.unnamed(*self._catalog.references()))
        if self._store.incoming.is_dir():
            paths += self._store.incoming.iterdir()
        data = self._store.incoming.parent
        paths += [*abandoned_snapshots(data), *(data / name for name in UNFINISHED if (data / name).exists())]
        return len(paths), sum(path.stat().st_size for path in paths if path.is_file())

    async def repair(self, kb: KnowledgeBase, running: Running, *, thorough: bool) -> None:
        """Bring back what a crash left half-indexed: older versions as they were, and no trace of new ones.

        A `thorough` repair also looks for damage, and mends it: what is missing or differs is made again from the
        stored originals and parses, what nothing refers to is removed, and a table that cannot be read is built anew.
        """
        running.report.enter_stage("examining")
        damage = Damage()
        if thorough:
            async with running.turn():  # no document is on its way meanwhile
                damage = await self.examine(kb)
        running.report.enter_stage("repairing")
        async with running.turn():
            lost = await self._find_originals(damage.originals, running)
        if damage.unreadable:
            kb, damage = await self._rebuilt(kb, running), Damage()
        try:
            await self._mend(kb, damage, lost, running)
        except IndexMismatch:  # of another version: what serves next is made from the documents
            if not thorough:
                raise
            await self._rebuilt(kb, running)

    async def _rebuilt(self, kb: KnowledgeBase, running: Running) -> KnowledgeBase:
        await self._reindexing.rebuild(kb, running)
        return await asyncio.to_thread(self._catalog.serving, kb.id) or kb

    async def _mend(self, kb: KnowledgeBase, damage: Damage, lost: frozenset[str], running: Running) -> None:
        async with self._generations.use(kb) as index:
            if damage.broken:
                await index.rebuild_indexes(damage.broken)
            for document_id, path in damage.strays.items():
                async with running.turn():
                    await self._remove_stray(document_id, path, index, running)
            target = Target(index, await self._embedders.of(index.model), kb.settings, running.report)
            records = await asyncio.to_thread(self._catalog.documents, kb.id)
            # Without its original and its parse, a document that can still be found is better than one that has failed.
            chosen = damage.differing | (damage.parses - lost)
            todo = [record.id for record in records if record.id in chosen or is_unfinished(record)]
            running.report.expect(running.report.job.done + len(todo))
            for document_id in todo:
                async with running.turn():
                    # Read again: a job that was taken up before this one may have finished it.
                    record = await asyncio.to_thread(self._catalog.document, document_id)
                    if record is not None and (document_id in chosen or is_unfinished(record)):
                        await self._bring_back(record, target)

    async def _bring_back(self, record: DocumentRecord, target: Target) -> None:
        if record.status == "indexing":
            await target.index.remove_document(record.id)
            failed = replace(record, status="failed", error=INTERRUPTED)
            await asyncio.to_thread(self._catalog.put_document, failed)
        elif record.status in SERVED:
            await self._reindexing.reindex(record, target)

    async def _remove_stray(self, document_id: str, path: str, index: Index, running: Running) -> None:
        record = await asyncio.to_thread(self._catalog.document, document_id)
        if record is None or record.status == "failed":
            await index.remove_document(document_id)
            await running.report.add_result(failure(path, document_id, None) | {"status": "removed"})

    async def _find_originals(self, documents: frozenset[str], running: Running) -> frozenset[str]:
        """Take the originals again from where the documents came from; return the documents of which there is none."""
        lost = set()
        for document_id in documents:
            record = await asyncio.to_thread(self._catalog.document, document_id)
            if record is not None and not await asyncio.to_thread(self._find_original, record):
                lost.add(document_id)
                await running.report.add_result(failure(record.path, document_id, LOST))
        return frozenset(lost)

    def _find_original(self, record: DocumentRecord) -> bool:
        source = Path(record.location)
        if not source.is_absolute() or not source.is_file():
            return False
        received = self._store.incoming / f"repair-{uuid.uuid4().hex}"
        try:
            shutil.copyfile(source, received)
            if sha256_of_file(received) != record.sha256:
                return False
            self._store.remove(sha256=record.sha256)  # what is there is not whole
            self._store.keep_original(record.sha256, received)
        except OSError:
            return False
        finally:
            received.unlink(missing_ok=True)
        return True

    def _lost(self, records: list[DocumentRecord]) -> tuple[frozenset[str], frozenset[str]]:
        """Return the documents whose original, and those whose stored parse, is missing or not whole."""
        originals = {record.id for record in records if not self._store.has_original(record.sha256, record.size)}
        parses = {record.id for record in records if not _opens(self._store.parsed(record.parsed))}
        return frozenset(originals), frozenset(parses)


def is_unfinished(record: DocumentRecord) -> bool:
    """Say whether a crash may have left the index rows of a document behind or ahead of its record."""
    return record.status == "indexing" or (record.status in SERVED and not record.recipe)


def _opens(parse: Path) -> bool:
    try:
        open_stored(parse).close()
    except (CorruptDocument, OSError):
        return False
    return True
