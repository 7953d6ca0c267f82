"""Documents in: every file of a job through the pipeline, each with a result of its own."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pincite.catalog import Catalog
from pincite.document_indexing import DocumentIndexer, DocumentKey, Prepared, Target, recipe
from pincite.errors import DocumentError, InvalidSource, PinciteError, SourceVanished, UnknownDocument
from pincite.incoming import Content
from pincite.index.grouped_writes import MOST_DOCUMENTS, GroupedWrites
from pincite.job_report import JobReport
from pincite.jobs import Running
from pincite.records import SERVED, DocumentRecord, Job, result_of
from pincite.source_listing import Plan, SourceLister, Synced, Task
from pincite.store import Store

# While the rows of one document are made, the next is embedded.
PREPARED_AT_ONCE = 2
# Files in hand beyond those that the parser processes work on, so that neither side waits for the other.
FILES_AHEAD = 2
# Files that are compared with the catalog at once.
COMPARED_AT_ONCE = 200
INTERNAL_ERROR = {"code": "internal_error", "message": "The document failed inside the server; its log has the reason."}
STOPPED = {"code": "interrupted", "message": "Indexing was stopped before it was finished; add the document again."}
UNREADABLE = "The file could not be read; check that it still exists and may be read."

_DOCUMENT_ERRORS: list[type[DocumentError]] = [DocumentError, *DocumentError.__subclasses__()]
_FAULTS_OF_THE_FILE = frozenset(kind.code for kind in _DOCUMENT_ERRORS)

log = logging.getLogger(__name__)

OpenTarget = Callable[[], AbstractAsyncContextManager[Target]]


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A received file: `name` as its sender calls it, `path` its place in the folder of incoming files."""

    name: str
    path: Path


@dataclass(slots=True)
class _Batch:
    """What the files of one job share."""

    running: Running
    open_target: OpenTarget
    tasks: Iterable[Task]
    in_hand: asyncio.Semaphore
    changes_only: bool = False
    preparing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PREPARED_AT_ONCE))
    writes: GroupedWrites = field(default_factory=GroupedWrites)
    comparing: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: deque[Task] = field(default_factory=deque)

    @property
    def report(self) -> JobReport:
        return self.running.report


class Ingestion:
    """Runs the files of a batch through the pipeline: a few parsed, one embedded and one written at the same time."""

    def __init__(
        self, catalog: Catalog, store: Store, indexer: DocumentIndexer, lister: SourceLister, parser_workers: int
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._indexer = indexer
        self._lister = lister
        self._files_at_once = parser_workers + FILES_AHEAD

    async def add(self, job: Job, running: Running, open_target: OpenTarget) -> None:
        """Index every file of the job's sources; what cannot be read becomes a failed result and the rest goes on.

        Begun again after a crash, it goes on with what has no result yet.

        Raises:
            SourceVanished: more than half of a source is no longer there, and nothing of it was removed.
        """
        report = running.report
        report.enter_stage("listing")
        plan = await asyncio.to_thread(self._lister.plan, job)
        for name, error in plan.failures:
            await report.add_result(failure(name, None, _shape(error)))
        todo = [task for document_id, task in plan.tasks.items() if document_id not in report.settled]
        report.expect(report.job.done + len(todo))
        for synced in plan.synced:  # known from now on, so that what a crash leaves belongs to it
            await asyncio.to_thread(self._catalog.put_source, synced.source)
        report.enter_stage("indexing")
        in_hand = asyncio.Semaphore(self._files_at_once)
        changes_only = bool((job.request or {}).get("changes_only"))
        batch = _Batch(running, open_target, iter(todo), in_hand, changes_only)
        await self._index(batch, min(self._files_at_once + MOST_DOCUMENTS, len(todo)))
        report.enter_stage("removing")
        stopped = await self._remove_vanished(job, plan, running, open_target)
        if stopped:
            raise SourceVanished(" ".join(stopped))

    async def _index(self, batch: _Batch, at_once: int) -> None:
        async def worker() -> None:
            while (task := await self._next(batch)) is not None:
                try:
                    async with AsyncExitStack() as hand:
                        await hand.enter_async_context(batch.in_hand)
                        async with batch.running.turn(), batch.open_target() as target:
                            with batch.writes.underway():
                                result = await self._add_file(task, batch, target, hand)
                            if result is not None:
                                await batch.report.add_result(result)
                    # Until its result is written down, a file that was sent is all there is of it.
                    await batch.report.flush()
                finally:
                    if not batch.report.suspended:
                        task.file.discard()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(worker())
        except BaseExceptionGroup as failed:
            told, others = failed.split(PinciteError)
            if others is None and told is not None:
                raise told.exceptions[0] from None
            raise

    async def _next(self, batch: _Batch) -> Task | None:
        """Return the next file that has changed; those that have not are dealt with on the way, many at a time."""
        async with batch.comparing:
            while not batch.changed:
                tasks = [task for _, task in zip(range(COMPARED_AT_ONCE), batch.tasks, strict=False)]
                if not tasks:
                    return None
                async with batch.open_target() as target:
                    wanted = recipe(target.settings, target.embedder.model)
                unchanged, changed = await asyncio.to_thread(self._compare, tasks, wanted, batch)
                batch.changed.extend(changed)
                if batch.changes_only:
                    batch.report.expect(batch.report.job.total - len(unchanged))
                elif unchanged:
                    await batch.report.add_result(*unchanged)
            return batch.changed.popleft()

    def _compare(self, tasks: list[Task], wanted: str, batch: _Batch) -> tuple[list[dict[str, Any]], list[Task]]:
        """Return the results of the files that have not changed since they were read, and the other files."""
        known = self._catalog.documents_by_id([t.key.document_id for t in tasks if t.file.fingerprint])
        unchanged, changed = [], []
        moved = {}
        for task in tasks:
            record = known.get(task.key.document_id)
            same = record is not None and record.fingerprint == task.file.fingerprint
            if same and record is not None and record.status == "failed" and batch.changes_only:
                unchanged.append(_unchanged(record))
                continue
            if record is None or not same or not self._is_current(task.key, record, wanted):
                changed.append(task)
                continue
            if record.source_id != (task.source_id or record.source_id) or record.error is not None:
                moved[record.id] = {"source_id": task.source_id or record.source_id, "error": None}
            unchanged.append(_unchanged(record))
        if moved:
            self._catalog.put_origins(moved)
        return unchanged, changed

    def _is_current(self, key: DocumentKey, known: DocumentRecord, wanted: str) -> bool:
        """Return whether the same content would make the same passages now."""
        served = known.status in SERVED
        return served and known.recipe == wanted and not self._indexer.may_read_more(key, known)

    async def _add_file(self, task: Task, batch: _Batch, target: Target, hand: AsyncExitStack) -> dict[str, Any] | None:
        """Bring one file in; return its result where that is not written down with its record.

        What `hand` holds is given back as soon as the file only waits to be written, for the next to be read.
        """
        key = task.key
        known = await asyncio.to_thread(self._catalog.document, key.document_id)
        content = None
        try:
            content = await asyncio.to_thread(task.file.read, self._store)
            wanted = recipe(target.settings, target.embedder.model)
            if known and known.sha256 == content.sha256 and self._is_current(key, known, wanted):
                await asyncio.to_thread(self._note_origin, known, task)
                return _unchanged(known)
            await self._replace(task, content, batch, target, hand)
        except UnknownDocument as error:  # removed while it was being indexed: leave no trace of it
            await asyncio.to_thread(self._forget_files, key, content)
            return failure(key.path, key.document_id, _shape(error))
        except PinciteError as error:
            cause = _shape(error)
        except asyncio.CancelledError:
            if not batch.report.suspended:
                await self._stopped(known, task, content, target)
            raise
        except OSError:
            cause = {"code": InvalidSource.code, "message": UNREADABLE}
        except Exception:
            # The file is named by its id: its path may tell what is in it.
            log.exception("document %s failed", key.document_id)
            cause = INTERNAL_ERROR
        else:
            if known is not None:
                await asyncio.to_thread(self._indexer.forget_files, known.sha256, known.parsed)
            return None
        return await asyncio.to_thread(self._note_failure, task, content, cause)

    async def _replace(self, task: Task, content: Content, batch: _Batch, target: Target, hand: AsyncExitStack) -> None:
        with self._store.hold(content.sha256, self._indexer.parsed_name(task.key, content.sha256)):
            prepared = await self._prepare(task, content, batch, target)
            await hand.aclose()
            await batch.writes.put(target.index, prepared.rows)
            await self._indexer.finish(prepared, target)
            await target.index.tidy()

    async def _prepare(self, task: Task, content: Content, batch: _Batch, target: Target) -> Prepared:
        await asyncio.to_thread(task.file.keep, self._store)
        document = await self._indexer.parse(task.key, content.sha256)
        async with batch.preparing:
            return await self._indexer.prepare(task.key, content, document, target, origin=task.origin)

    def _note_origin(self, known: DocumentRecord, task: Task) -> None:
        """Remember what tells the next time, without reading it, that a file has not changed."""
        origin = replace(task.origin, source_id=task.source_id or known.source_id, link=known.link or task.origin.link)
        self._catalog.put_origins({known.id: asdict(origin) | {"error": None}})

    async def _remove_vanished(self, job: Job, plan: Plan, running: Running, open_target: OpenTarget) -> list[str]:
        """Remove the documents whose files are gone; return why nothing was removed, a sentence a source."""
        stopped = []
        for synced in plan.synced:
            vanished = await asyncio.to_thread(synced.vanished, plan.tasks)
            error = None
            if len(vanished) * 2 > len(synced.before) and not (job.request or {}).get("remove_vanished"):
                error = _too_many(synced, vanished)
                stopped.append(error["message"])
            else:
                running.report.expect(running.report.job.total + len(vanished))
                for document_id in vanished:
                    async with running.turn(), open_target() as target:
                        await self._remove(document_id, target)
            done = replace(synced.source, synced_at=datetime.now(UTC), error=error)
            await asyncio.to_thread(self._catalog.put_source, done)
        return stopped

    async def _remove(self, document_id: str, target: Target) -> None:
        record = await asyncio.to_thread(self._catalog.document, document_id)
        if record is not None:
            await self._indexer.remove(record, target.index, target.report)

    async def _stopped(self, known: DocumentRecord | None, task: Task, content: Content | None, target: Target) -> None:
        """Leave a document whose job was cancelled as failed, or as it was before, and nothing of it half-indexed."""
        if known is None or known.status not in SERVED:
            await target.index.remove_document(task.key.document_id)
        if content is not None:
            await asyncio.to_thread(self._note_failure, task, content, STOPPED)

    def _note_failure(self, task: Task, content: Content | None, error: dict[str, str]) -> dict[str, Any]:
        """Record a failure and return its result; an older version that is served stays."""
        key = task.key
        known = self._catalog.document(key.document_id)
        if known is not None and known.status in SERVED:
            record = replace(known, error=error)
        else:
            record = _failed_record(key, content or Content("", 0), error, task)
        self._catalog.put_document(record)
        self._forget_files(key, content)
        return failure(key.path, record.id, error)

    def _forget_files(self, key: DocumentKey, content: Content | None) -> None:
        if content is not None:
            self._indexer.forget_files(content.sha256, self._indexer.parsed_name(key, content.sha256))


def _unchanged(known: DocumentRecord) -> dict[str, Any]:
    return result_of(known) | {"status": "unchanged", "error": None}


def _too_many(synced: Synced, vanished: list[str]) -> dict[str, str]:
    message = (
        f"{len(vanished)} of {len(synced.before)} documents of a source are gone from it, more than half, so that none "
        "was removed; if that is meant, add it again with --remove-vanished (REST: remove_vanished)."
    )
    return {"code": SourceVanished.code, "message": message}


def _shape(error: PinciteError) -> dict[str, str]:
    return {"code": error.code, "message": error.message}


def failure(path: str, document_id: str | None, error: dict[str, str] | None) -> dict[str, Any]:
    """Return the result of what could not be indexed."""
    return {
        "path": path,
        "status": "failed",
        "document_id": document_id,
        "pages": 0,
        "passages": 0,
        "warnings": [],
        "error": error,
    }


def _failed_record(key: DocumentKey, content: Content, error: dict[str, str], task: Task) -> DocumentRecord:
    return DocumentRecord(
        id=key.document_id,
        knowledge_base_id=key.knowledge_base_id,
        location=key.location,
        path=key.path,
        title=key.file_name,
        media_type="",
        sha256=content.sha256,
        size=content.size,
        pages=0,
        pages_without_text=0,
        pages_failed=0,
        passages=0,
        status="failed",
        warnings=(),
        error=error,
        added_at=datetime.now(UTC),
        source_id=task.source_id,
        # With what the file itself is to blame for, trying again helps only once it has changed.
        fingerprint=task.file.fingerprint if error["code"] in _FAULTS_OF_THE_FILE else None,
    )
