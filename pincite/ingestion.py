"""Documents in: every file of the sources through the pipeline, each with a result of its own."""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from pincite.catalog import Catalog
from pincite.document_indexing import (
    PARSER_VERSION,
    TIDY_EVERY,
    Content,
    DocumentIndexer,
    DocumentKey,
    Target,
    recipe,
)
from pincite.errors import InvalidSource, PinciteError, UnknownDocument
from pincite.records import SERVED, DocumentRecord, KnowledgeBase, result_of
from pincite.sources import SourceFile, expand, is_git_url, text_name
from pincite.store import Store, parsed_name, sha256_of_file

# While one document is being written to the index, the next is embedded.
INDEXED_AT_ONCE = 2
# Files in hand beyond those that the parser processes work on, so that neither side waits for the other.
FILES_AHEAD = 2
MAX_PATH_LENGTH = 500
INTERNAL_ERROR = {"code": "internal_error", "message": "The document failed inside the server; its log has the reason."}
STOPPED = {"code": "interrupted", "message": "Indexing was stopped before it was finished; add the document again."}
UNREADABLE = "The file could not be read; check that it still exists and may be read."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A received file: `name` as its sender calls it, `path` a temporary file that will be moved into the store."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """What a source may be: `private_hosts` allows repositories in private networks."""

    max_file_bytes: int
    private_hosts: bool


class Ingestion:
    """Runs the files of a batch through the pipeline: a few parsed, one embedded and one written at the same time."""

    def __init__(self, catalog: Catalog, store: Store, indexer: DocumentIndexer, parser_workers: int) -> None:
        self._catalog = catalog
        self._store = store
        self._indexer = indexer
        self._files_at_once = parser_workers + FILES_AHEAD

    async def add(
        self, kb: KnowledgeBase, target: Target, sources: Sequence[str | UploadedFile], limits: SourceLimits
    ) -> None:
        """Index every file of the sources; what cannot be read becomes a failed result and the rest goes on."""
        report = target.report
        files: dict[str, _File] = {}
        for source in sources:
            try:
                for file in await asyncio.to_thread(_files_of, kb.id, source, limits):
                    files[file.key.document_id] = file
            except PinciteError as error:
                await report.add_result(_failure(_display_name(source), None, _shape(error)))
        report.expect(len(report.job.results) + len(files))
        waiting = iter(files.values())
        batch = _Batch(target, asyncio.Semaphore(INDEXED_AT_ONCE))

        async def worker() -> None:
            for file in waiting:
                await report.add_result(await self._add_file(file, batch))

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._files_at_once, len(files))):
                group.create_task(worker())

    async def _add_file(self, file: "_File", batch: "_Batch") -> dict[str, Any]:
        """Bring one file in and return its result."""
        known = await asyncio.to_thread(self._catalog.document, file.key.document_id)
        content = None
        try:
            content = await asyncio.to_thread(file.read)
            if known and self._is_current(known, content, batch):
                return await self._unchanged(known)
            record = await self._replace(file, content, batch)
        except UnknownDocument as error:  # removed while it was being indexed: leave no trace of it
            await asyncio.to_thread(self._forget_files, file.key, content)
            return _failure(file.key.path, file.key.document_id, _shape(error))
        except PinciteError as error:
            cause = _shape(error)
        except asyncio.CancelledError:
            await self._stopped(known, file.key, content, batch)
            raise
        except OSError:
            cause = {"code": InvalidSource.code, "message": UNREADABLE}
        except Exception:
            # The file is named by its id: its path may tell what is in it.
            log.exception("document %s failed", file.key.document_id)
            cause = INTERNAL_ERROR
        else:
            if known is not None:
                await asyncio.to_thread(self._indexer.forget_files, known.sha256, known.parsed)
            return result_of(record)
        finally:
            await asyncio.to_thread(file.discard)
        return await asyncio.to_thread(self._note_failure, file.key, content, cause)

    async def _replace(self, file: "_File", content: Content, batch: "_Batch") -> DocumentRecord:
        with self._store.hold(content.sha256, parsed_name(content.sha256, file.key.file_name, PARSER_VERSION)):
            await asyncio.to_thread(file.keep, self._store)
            document = await self._indexer.parse(file.key, content.sha256)
            async with batch.indexing:
                record = await self._indexer.index(file.key, content, document, batch.target)
            batch.written += 1
            if batch.written % TIDY_EVERY == 0:
                await batch.target.index.maintain()
            return record

    def _is_current(self, known: DocumentRecord, content: Content, batch: "_Batch") -> bool:
        wanted = recipe(batch.target.settings, batch.target.embedder.model)
        return known.status in SERVED and known.sha256 == content.sha256 and known.recipe == wanted

    async def _unchanged(self, known: DocumentRecord) -> dict[str, Any]:
        if known.error is not None:  # a broken version was tried since, and now the one that is served is back
            known = replace(known, error=None)
            await asyncio.to_thread(self._catalog.put_document, known)
        return result_of(known) | {"status": "unchanged"}

    async def _stopped(
        self, known: DocumentRecord | None, key: DocumentKey, content: Content | None, batch: "_Batch"
    ) -> None:
        """Leave a document whose job was cancelled as failed, or as it was before, and nothing of it half-indexed."""
        if known is None or known.status not in SERVED:
            await batch.target.index.remove_document(key.document_id)
        if content is not None:
            await asyncio.to_thread(self._note_failure, key, content, STOPPED)

    def _note_failure(self, key: DocumentKey, content: Content | None, error: dict[str, str]) -> dict[str, Any]:
        """Record a failure and return its result; an older version that is served stays."""
        known = self._catalog.document(key.document_id)
        if known is not None and known.status in SERVED:
            record = replace(known, error=error)
        else:
            record = _failed_record(key, content or Content("", 0), error)
        self._catalog.put_document(record)
        self._forget_files(key, content)
        return _failure(key.path, record.id, error)

    def _forget_files(self, key: DocumentKey, content: Content | None) -> None:
        if content is not None:
            parsed = parsed_name(content.sha256, key.file_name, PARSER_VERSION)
            self._indexer.forget_files(content.sha256, parsed)


@dataclass(slots=True)
class _Batch:
    """What the files of one job share; `written` counts the documents that went into the index."""

    target: Target
    indexing: asyncio.Semaphore
    written: int = 0


class _File(Protocol):
    """One file of a batch, wherever it comes from. Every call blocks."""

    @property
    def key(self) -> DocumentKey: ...

    def read(self) -> Content:
        """Return what identifies the file's content."""

    def keep(self, store: Store) -> None:
        """Put the file into the store as an original."""

    def discard(self) -> None:
        """Let go of what was read or received."""


class _Listed:
    """A file that a folder or a repository lists."""

    def __init__(self, key: DocumentKey, file: SourceFile) -> None:
        self.key = key
        self._file = file
        self._content: tuple[str, bytes] | None = None

    def read(self) -> Content:
        data = self._file.read()
        self._content = hashlib.sha256(data).hexdigest(), data
        return Content(self._content[0], len(data))

    def keep(self, store: Store) -> None:
        assert self._content is not None
        store.put_original(*self._content)
        self._content = None

    def discard(self) -> None:
        self._content = None


class _Received:
    """An uploaded file, already on the disk."""

    def __init__(self, key: DocumentKey, path: Path) -> None:
        self.key = key
        self._path = path
        self._sha256 = ""

    def read(self) -> Content:
        self._sha256 = sha256_of_file(self._path)
        return Content(self._sha256, self._path.stat().st_size)

    def keep(self, store: Store) -> None:
        store.adopt_original(self._sha256, self._path)

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)


def _files_of(knowledge_base_id: str, source: str | UploadedFile, limits: SourceLimits) -> list[_File]:
    if isinstance(source, UploadedFile):
        path = shown_path(source.name)
        return [_Received(DocumentKey(knowledge_base_id, f"upload/{path}", path), source.path)]
    files: list[_File] = []
    taken: set[str] = set()
    for file in expand(source, max_bytes=limits.max_file_bytes, private_hosts=limits.private_hosts):
        # A source that is one file is its own location.
        alone = not is_git_url(source) and PurePosixPath(file.source).name == file.path and Path(file.source).is_file()
        location = file.source if alone else f"{file.source}/{file.path}"
        location = text_name(location)
        # Names are bytes to a file system: two that differ in what is no UTF-8 read the same, and are two files.
        while location in taken:
            location += "~"
        taken.add(location)
        files.append(_Listed(DocumentKey(knowledge_base_id, location, file.path), file))
    return files


def shown_path(name: str) -> str:
    """Return the name a sender gave a file as a relative path that is safe to show and to compare."""
    visible = "".join(c for c in name.replace("\\", "/") if c.isprintable())
    parts = [part for part in PurePosixPath(visible).parts if part not in {"/", "..", "."}]
    return "/".join(parts)[-MAX_PATH_LENGTH:] or "unnamed"


def _display_name(source: str | UploadedFile) -> str:
    return shown_path(source.name) if isinstance(source, UploadedFile) else text_name(source)


def _shape(error: PinciteError) -> dict[str, str]:
    return {"code": error.code, "message": error.message}


def _failure(path: str, document_id: str | None, error: dict[str, str]) -> dict[str, Any]:
    return {
        "path": path,
        "status": "failed",
        "document_id": document_id,
        "pages": 0,
        "passages": 0,
        "warnings": [],
        "error": error,
    }


def _failed_record(key: DocumentKey, content: Content, error: dict[str, str]) -> DocumentRecord:
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
    )
