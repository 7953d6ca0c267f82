"""One knowledge base's passages in LanceDB: written document by document, searched by vector and by words."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa

from embedding_backend import BackendFailure, Embedder, EmbeddingModel, PassageText, Vectors
from pincite.chunking import Chunk, CountTokens
from pincite.document import Document
from pincite.errors import BackendError, IndexDamaged, IndexMismatch
from pincite.index import column_indexes
from pincite.index.account import Account, account
from pincite.index.conditions import all_of, condition, quoted
from pincite.index.document_rows import DocumentRows
from pincite.index.examination import DAMAGE, examine
from pincite.index.schema import remembered_model, rows, schema, vectors_by_name
from pincite.index.view import View
from pincite.passage import DocumentReference, SearchFilter

# Passages embedded between two reports of progress.
_BATCH_PASSAGES = 32
# What has been written and not compacted costs each search some 0.5 ms of CPU for a write, and 25 µs for a row, whose
# words are looked through; maintaining rewrites the indexes of all rows. So it comes after so many writes, or so many
# rows that are also this share of all.
_TIDY_WRITES = 50
_TIDY_ROWS = 2_000
_TIDY_SHARE = 0.05
# Versions of the table are kept this long for readers that still use them.
_KEEP_VERSIONS = timedelta(minutes=10)
# Another process sees what this one wrote after this long; asking at every query would cost it thrice the time. A
# handle sees its own writes at once.
_FRESHNESS = timedelta(seconds=2)
# LanceDB's own bounds, 6 GB and 1 GB, are for machines that do nothing else.
_INDEX_CACHE_BYTES = 128 * 1024 * 1024
_METADATA_CACHE_BYTES = 32 * 1024 * 1024


class Index:
    """One generation of a knowledge base: a LanceDB table built with one model."""

    def __init__(self, uri: str, connection: Any, table: Any, columns: pa.Schema, model: EmbeddingModel) -> None:
        self._uri = uri
        self._connection = connection
        self._table = table
        self._columns = columns
        self.model = model
        self._writing = asyncio.Lock()
        # since the last maintenance
        self._writes = 0
        self._rows_written = 0
        # What LanceDB keeps elsewhere has its copy where temporary files are.
        self._view = View(table, model, None if "://" in connection.uri else connection.uri)
        self._viewing = asyncio.Lock()

    @classmethod
    async def open(cls, uri: str, name: str, model: EmbeddingModel) -> "Index":
        """Open the table or create it; raises IndexMismatch if it was built with another model or scheme."""
        connection = await _connected(uri)
        columns = schema(model)
        if name in (await connection.list_tables()).tables:
            with _told(name):
                table = await connection.open_table(name)
        else:
            table = await connection.create_table(name, schema=columns)
        built_with = remembered_model(await table.schema())
        if built_with != model:
            before = (
                f"{built_with.id} ({built_with.dimensions} dimensions)" if built_with else "another version of Pincite"
            )
            raise IndexMismatch(
                f"the index {name} was built with {before} and cannot be searched with {model.id} "
                f"({model.dimensions} dimensions); use that model again or index the documents anew"
            )
        index = cls(uri, connection, table, columns, model)
        await column_indexes.complete(table)
        return index

    @staticmethod
    async def names(uri: str) -> list[str]:
        """Return the names of all tables."""
        with await lancedb.connect_async(uri) as connection:
            return list((await connection.list_tables()).tables)

    @staticmethod
    async def built_with(uri: str, name: str) -> EmbeddingModel | None:
        """Return the model a table was built with, None where there is none; raises IndexMismatch for an old one."""
        with await lancedb.connect_async(uri) as connection:
            if name not in (await connection.list_tables()).tables:
                return None
            with _told(name), await connection.open_table(name) as table:
                model = remembered_model(await table.schema())
        if model is None:
            raise IndexMismatch(
                f"the index {name} was made by another version of Pincite; index the documents anew: adding to the "
                "knowledge base or a restart of the server does it"
            )
        return model

    @staticmethod
    async def drop(uri: str, name: str) -> None:
        """Delete a generation and all its files; nothing happens where there is none."""
        connection = await lancedb.connect_async(uri)
        await connection.drop_table(name, ignore_missing=True)
        connection.close()

    async def close(self) -> None:
        """Give back the connection."""
        await self._view.close()
        self._table.close()
        self._connection.close()

    # Writing

    async def prepare(
        self,
        reference: DocumentReference,
        document: Document,
        chunks: Sequence[Chunk],
        embedder: Embedder,
        progress: Callable[[int], None] | None = None,
        *,
        is_new: bool = False,
        count_tokens: CountTokens | None = None,
    ) -> DocumentRows:
        """Embed the document's passages and return the rows to `put` in place of its old ones.

        A passage whose text was in the table already keeps its vectors. `progress` is told how many passages have
        theirs. A document that `is_new` has no rows, and writing costs a quarter of replacing. `count_tokens` is the
        embedder's own where none is given. Raises BackendError.
        """
        texts = [_passage_text(document, chunk) for chunk in chunks]
        names = [_name(text) for text in texts]
        vectors = {} if is_new else await self._stored_vectors(reference.id)
        missing = [(name, text) for name, text in zip(names, texts, strict=True) if name not in vectors]
        for done in range(0, len(missing), _BATCH_PASSAGES):
            batch = missing[done : done + _BATCH_PASSAGES]
            try:
                embedded = await embedder.embed_passages([text for _, text in batch])
            except BackendFailure as failure:
                raise BackendError(str(failure)) from failure
            for (name, text), windows in zip(batch, embedded, strict=True):
                self._check(windows, len(text.windows), reference)
                vectors[name] = windows
            if progress:
                progress(len(texts) - len(missing) + done + len(batch))
        if progress and texts and not missing:
            progress(len(texts))
        try:
            count_tokens = count_tokens or embedder.count_tokens
            counted = await asyncio.to_thread(account, document, chunks, texts, self.model, count_tokens)
        except BackendFailure as failure:
            raise BackendError(str(failure)) from failure
        found = [vectors[name] for name in names]
        table = await asyncio.to_thread(rows, self._columns, reference, document, chunks, found, names)
        return DocumentRows(reference.id, table, counted, is_new)

    async def put(self, *documents: DocumentRows) -> None:
        """Put documents in place of their older versions; each is replaced as a whole, at the latest when this ends."""
        new = [document.rows for document in documents if document.is_new]
        others = [document for document in documents if not document.is_new]
        async with self._writing:
            if any(map(len, new)):
                await self._table.add(self._counted(pa.concat_tables(new)))
            if others:
                ours = f"document_id IN ({', '.join(quoted(document.document_id) for document in others)})"
                table = self._counted(pa.concat_tables(document.rows for document in others))
                if len(table):
                    merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
                    await merge.when_not_matched_by_source_delete(ours).execute(table)
                else:
                    await self._table.delete(ours)

    def _counted(self, table: pa.Table) -> pa.Table:
        self._writes += 1
        self._rows_written += len(table)
        return table

    async def replace_document(
        self,
        reference: DocumentReference,
        document: Document,
        chunks: Sequence[Chunk],
        embedder: Embedder,
        progress: Callable[[int], None] | None = None,
        *,
        is_new: bool = False,
    ) -> Account:
        """Prepare a document and put it in its place; returns what its passages hold."""
        prepared = await self.prepare(reference, document, chunks, embedder, progress, is_new=is_new)
        await self.put(prepared)
        return prepared.account

    async def _stored_vectors(self, document_id: str) -> dict[str, Vectors]:
        """Return the vectors of a document's passages (windows, dimensions), by what was embedded."""
        query = self._table.query().where(f"document_id = {quoted(document_id)}")
        found = await query.select(["passage_id", "window", "passage", "vector"]).to_arrow()
        return await asyncio.to_thread(vectors_by_name, found, self.model.dimensions)

    async def remove_document(self, document_id: str) -> None:
        """Delete a document's passages."""
        async with self._writing:
            self._writes += 1
            await self._table.delete(f"document_id = {quoted(document_id)}")

    async def tidy(self) -> None:
        """Maintain the index if enough was written since the last time; called after every document."""
        async with self._writing:
            enough = self._writes >= _TIDY_WRITES
            if not enough and self._rows_written >= _TIDY_ROWS:
                enough = self._rows_written >= _TIDY_SHARE * await self._table.count_rows()
            if enough:
                await self._maintain()

    async def maintain(self) -> None:
        """Compact, bring the indexes up to date, and build the vector index once the table is large."""
        async with self._writing:
            await self._maintain()

    async def _maintain(self) -> None:
        await self._table.optimize(cleanup_older_than=_KEEP_VERSIONS)
        await column_indexes.renew_vectors(self._table)
        if self._writes:
            await self._forget_old_files()
        self._writes = self._rows_written = 0

    async def _forget_old_files(self) -> None:
        """Begin with empty caches: of the files that were just replaced they would keep what nobody asks for again."""
        # What still reads by the old ones lets go of them when it has ended.
        self._connection = await _connected(self._uri)
        self._table = await self._connection.open_table(self._table.name)

    async def rebuild_indexes(self, columns: Collection[str]) -> None:
        """Build the indexes of these columns anew, whatever is left of the old ones."""
        async with self._writing:
            await column_indexes.rebuild(self._table, columns)

    def _check(self, vectors: Vectors, windows: int, reference: DocumentReference) -> None:
        expected = (windows, self.model.dimensions)
        if vectors.shape != expected or not np.isfinite(vectors).all():
            raise BackendError(
                f"the embedding backend answered {vectors.shape} numbers, or some that are none, where {expected} were "
                f"expected for a passage of {reference.path}; check that it serves {self.model.id}"
            )

    # Reading

    async def count(self, where: SearchFilter | None = None) -> int:
        """Return the number of passages a search with this filter could find."""
        return int(await self._table.count_rows(all_of("window = 0", condition(where))))

    async def passages_by_document(self) -> dict[str, int]:
        """Return how many passages the index holds of each document, by id."""
        found = await self._table.query().where("window = 0").select(["document_id"]).to_arrow()
        counts = found["document_id"].value_counts()
        return {str(entry["values"]): int(entry["counts"]) for entry in counts.to_pylist()}

    @asynccontextmanager
    async def telling_damage(self) -> AsyncIterator[None]:
        """Let what fails in the block raise IndexDamaged, where the reason is that files of the index are not whole."""
        try:
            yield
        except DAMAGE:
            found = await examine(self._uri, self._table.name)
            if found.exists and not found.unreadable and not found.broken:
                raise
            raise _damaged(self._table.name) from None

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Keep this process from writing for the time of the block."""
        async with self._writing:
            yield

    async def view(self) -> View:
        """Return the index as it is now, for one search."""
        async with self._viewing:
            self._view = await self._view.renewed(self._table)
            return self._view


async def _connected(uri: str) -> Any:
    caches = lancedb.Session(index_cache_size_bytes=_INDEX_CACHE_BYTES, metadata_cache_size_bytes=_METADATA_CACHE_BYTES)
    return await lancedb.connect_async(uri, read_consistency_interval=_FRESHNESS, session=caches)


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE:
        raise _damaged(name) from None


def _damaged(name: str) -> IndexDamaged:
    return IndexDamaged(
        f"the index {name} cannot be read, as files of it are missing or damaged; `pincite doctor --repair` builds it "
        "anew from the stored documents"
    )


def _passage_text(document: Document, chunk: Chunk) -> PassageText:
    shift = len(chunk.context) - chunk.start
    return PassageText(
        chunk.context + document.text[chunk.start : chunk.end],
        tuple((start + shift, end + shift) for start, end in chunk.windows),
    )


def _name(passage: PassageText) -> str:
    """Return what is the same for passages that the model gives the same vectors."""
    told = json.dumps([passage.text, passage.windows])
    return hashlib.sha256(told.encode()).hexdigest()[:32]
