"""One document at a time: parse it or find its stored parse, cut it, embed it, and let it replace its older version."""

import asyncio
import hashlib
from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from embedding_backend import BackendFailure, Embedder, EmbeddingModel
from pincite.catalog import Catalog
from pincite.chunking import CountTokens, chunk
from pincite.document import Document
from pincite.document_codec import open_stored
from pincite.errors import BackendError, CorruptDocument, UnknownDocument
from pincite.incoming import Content
from pincite.index import DocumentRows, Index
from pincite.job_report import JobReport
from pincite.parsing.worker import ParserPool
from pincite.passage import DocumentReference
from pincite.records import DocumentRecord, DocumentStatus, result_of
from pincite.settings import KnowledgeBaseSettings
from pincite.store import Store, parsed_name

# Raise one when its code makes other text or other passages of the same file: what was made before is then made anew.
PARSER_VERSION = "2"
CHUNKING_VERSION = "3"
PAGE_FAILED = "page_failed"
# Warnings that say some of the document's text is not what its author wrote, or not there.
INCOMPLETE = frozenset(
    {
        "formulas_without_value",
        "misplaced_shape",
        "missing_parts",
        "mixed_encodings",
        "sheet_failed",
        "truncated",
        "undecoded_bytes",
    }
)


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """Which document a file is: its knowledge base and its location; `path` is its name in the source it came by.

    The location (an absolute path, an address in a repository, the name of an upload) is the identity: a file is the
    same document whether it was added by itself or with its folder.
    """

    knowledge_base_id: str
    location: str
    path: str

    @property
    def document_id(self) -> str:
        """The document's id, the same for every version of the file."""
        identity = f"{self.knowledge_base_id}\0{self.location}".encode("utf-8", "surrogatepass")
        return f"doc_{hashlib.sha256(identity).hexdigest()[:24]}"

    @property
    def file_name(self) -> str:
        """The last part of the path, which parsers look at."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True, slots=True)
class Target:
    """Where passages go and how they are made; `generation` is the index's table where it does not serve yet."""

    index: Index
    embedder: Embedder
    settings: KnowledgeBaseSettings
    report: JobReport
    generation: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document's content comes from: its source, what tells that it is unchanged, where it can be seen."""

    source_id: str | None = None
    fingerprint: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document's rows, and the record that it has once they are in the index.

    `removals` is how often it had been removed when its work began.
    """

    record: DocumentRecord
    rows: DocumentRows
    removals: int


class DocumentIndexer:
    """Parses and indexes single documents, and keeps index, catalog and store in agreement.

    The catalog row of a document whose index rows may not be those of its record has an empty recipe: written before
    the index is touched and replaced after, it tells the next start what a crash left unfinished.
    """

    def __init__(self, catalog: Catalog, store: Store, pool: ParserPool) -> None:
        self._catalog = catalog
        self._store = store
        self._pool = pool
        self._removals: Counter[str] = Counter()
        self._deciding = asyncio.Lock()

    def parsed_name(self, key: DocumentKey, sha256: str) -> str:
        """Return the name under which the parse of an original is stored, as it would be parsed now."""
        return parsed_name(sha256, key.file_name, "-".join([PARSER_VERSION, *self._pool.ocr_languages]))

    def may_read_more(self, key: DocumentKey, known: DocumentRecord) -> bool:
        """Return whether pages had no text, and would be read otherwise now: scans, say, in other languages."""
        return bool(known.pages_without_text) and known.parsed != self.parsed_name(key, known.sha256)

    async def parse(self, key: DocumentKey, sha256: str) -> Document:
        """Return the document an original holds, from its stored parse or from a parser process.

        Raises:
            DocumentError: it cannot be parsed.
        """
        name = self.parsed_name(key, sha256)
        stored = await asyncio.to_thread(self._stored_parse, name)
        if stored is not None:
            return stored
        original = await asyncio.to_thread(self._store.original, sha256)
        document, encoded = await self._pool.parse_to_store(original, key.file_name)
        await asyncio.to_thread(self._store.put_parsed, name, encoded)
        return document

    async def index(
        self,
        key: DocumentKey,
        content: Content,
        document: Document,
        target: Target,
        *,
        origin: Origin | None = None,
        known: DocumentRecord | None = None,
    ) -> DocumentRecord:
        """Index a document in place of its older version, and finish it; raises what `prepare` and `finish` raise."""
        prepared = await self.prepare(key, content, document, target, origin=origin, known=known)
        await target.index.put(prepared.rows)
        return await self.finish(prepared, target)

    async def prepare(
        self,
        key: DocumentKey,
        content: Content,
        document: Document,
        target: Target,
        *,
        origin: Origin | None = None,
        known: DocumentRecord | None = None,
    ) -> Prepared:
        """Cut and embed a document, and write down that its passages are about to change.

        `known` is the record of the same content, whose date, origin and error the new one keeps.

        Raises:
            BackendError: the embedding model failed.
        """
        async with self._deciding:  # not in the middle of a removal
            removals = self._removals[key.document_id]
        max_tokens = _max_tokens(target.settings, target.embedder.model)
        count_tokens = measure(target.embedder, max_tokens)
        try:
            chunks = await asyncio.to_thread(
                chunk,
                document,
                max_tokens=max_tokens,
                count_tokens=count_tokens,
                window_tokens=target.embedder.model.window_tokens,
            )
        except BackendFailure as failure:
            raise BackendError(str(failure)) from failure
        parsed = self.parsed_name(key, content.sha256)
        record = _record(key, content, document, origin or Origin(), parsed)
        if known is not None:
            origin = Origin(known.source_id, known.fingerprint, known.link)
            record = replace(record, added_at=known.added_at, error=known.error, **asdict(origin))
        record = replace(record, passages=len(chunks), recipe=recipe(target.settings, target.embedder.model))
        is_new = not target.generation and await asyncio.to_thread(self._announce, record)
        reference = DocumentReference(key.document_id, document.title, key.path, record.link or "")
        counter = _PassageCounter(target.report)
        rows = await target.index.prepare(
            reference, document, chunks, target.embedder, counter, is_new=is_new, count_tokens=count_tokens
        )
        return Prepared(replace(record, **asdict(rows.account)), rows, removals)

    async def finish(self, prepared: Prepared, target: Target) -> DocumentRecord:
        """Finish a document whose rows are in the index: its record and its result are one.

        Raises:
            UnknownDocument: someone removed it meanwhile.
        """
        record = prepared.record
        async with self._deciding:
            removed = self._removals[record.id] != prepared.removals
            if not removed:
                await target.report.finish(record, target.generation)
        if removed:
            await target.index.remove_document(record.id)
            name = PurePosixPath(record.path).name
            raise UnknownDocument(f"{name} was removed while it was being indexed; add it again to have it.")
        return record

    async def remove(self, record: DocumentRecord, index: Index, report: JobReport | None = None) -> None:
        """Remove a document from catalog, index and store, also when it is just being indexed.

        With `report`, it is that job's result. Its record goes last: without one, nobody would look for its passages.
        """
        async with self._deciding:
            self._removals[record.id] += 1
            await asyncio.to_thread(self._catalog.put_origins, {record.id: {"recipe": ""}})
            await index.remove_document(record.id)
            await asyncio.to_thread(self._catalog.delete_document, record.id)
            if report is not None:
                await report.add_result(result_of(record) | {"status": "removed", "error": None, "warnings": []})
        await asyncio.to_thread(self.forget_files, record.sha256, record.parsed)

    async def swap(self, knowledge_base_id: str, table: str, built: dict[str, DocumentRecord], index: Index) -> None:
        """Let a complete generation serve, without the documents that were removed while it was built."""
        async with self._deciding:
            current = {record.id for record in await asyncio.to_thread(self._catalog.documents, knowledge_base_id)}
            for document_id in built.keys() - current:
                await index.remove_document(document_id)
            kept = [record for record in built.values() if record.id in current]
            await asyncio.to_thread(self._catalog.swap_generation, knowledge_base_id, table, kept)

    def forget_files(self, sha256: str, parsed: str) -> None:
        """Remove an original and a stored parse that no document refers to any more."""
        if sha256 and not self._catalog.is_referenced(sha256=sha256):
            self._store.remove(sha256=sha256)
        if parsed and not self._catalog.is_referenced(parsed=parsed):
            self._store.remove(parsed=parsed)

    def _stored_parse(self, name: str) -> Document | None:
        path = self._store.parsed(name)
        if not path.is_file():
            return None
        try:
            with open_stored(path) as stored:
                return stored.document()
        except CorruptDocument:
            return None

    def _announce(self, record: DocumentRecord) -> bool:
        """Write down that the document's passages change now; say whether there was no record of it before."""
        known = self._catalog.document(record.id)
        is_new = known is None
        if known is None or known.status == "failed":
            known = replace(record, status="indexing", passages=0)
        self._catalog.put_document(replace(known, recipe=""))
        return is_new


def recipe(settings: KnowledgeBaseSettings, model: EmbeddingModel) -> str:
    """Return what determines a document's passages and their vectors besides its bytes."""
    return (
        f"parser {PARSER_VERSION}, chunking {CHUNKING_VERSION}, {_max_tokens(settings, model)} tokens in windows of "
        f"{model.window_tokens}, {model.id}, {model.scheme}, {model.dimensions} dimensions"
    )


def measure(embedder: Embedder, max_tokens: int) -> CountTokens:
    """Return what tells lengths where passages have at most `max_tokens`: estimates where the model reads far more."""
    far = 2 * max_tokens <= embedder.model.max_tokens
    return embedder.estimate_tokens if far else embedder.count_tokens


def _max_tokens(settings: KnowledgeBaseSettings, model: EmbeddingModel) -> int:
    return min(settings.chunk_tokens, model.max_tokens)


class _PassageCounter:
    """Turns a document's own count of embedded passages into what its job gains."""

    def __init__(self, report: JobReport) -> None:
        self._report = report
        self._counted = 0

    def __call__(self, embedded: int) -> None:
        self._report.add_passages(embedded - self._counted)
        self._counted = embedded


def _record(key: DocumentKey, content: Content, document: Document, origin: Origin, parsed: str) -> DocumentRecord:
    failed = {warning.page for warning in document.warnings if warning.code == PAGE_FAILED}
    empty = [p for p in document.pages if p.number not in failed and not document.text[p.start : p.end].strip()]
    lost = any(warning.code in INCOMPLETE for warning in document.warnings)
    status: DocumentStatus = "partial" if failed or empty or lost else "indexed"
    return DocumentRecord(
        id=key.document_id,
        knowledge_base_id=key.knowledge_base_id,
        location=key.location,
        path=key.path,
        title=document.title,
        media_type=document.media_type,
        sha256=content.sha256,
        size=content.size,
        pages=len(document.pages),
        pages_without_text=len(empty),
        pages_failed=len(failed),
        passages=0,
        status=status,
        warnings=tuple(_warning(w.code, w.message, w.page) for w in document.warnings),
        error=None,
        added_at=datetime.now(UTC),
        parsed=parsed,
        **asdict(origin),
    )


def _warning(code: str, message: str, page: int | None) -> dict[str, Any]:
    return {"code": code, "message": message} | ({} if page is None else {"page": page})
