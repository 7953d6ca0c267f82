"""One knowledge base's passages in LanceDB: written document by document, searched by vector and by words."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import FTS, BTree, HnswSq
from lancedb.query import FullTextOperator, MatchQuery

from embedding_backend import BackendFailure, Embedder, EmbeddingModel, PassageText, Vectors
from pincite.chunking import Chunk
from pincite.document import Document
from pincite.errors import BackendError, IndexMismatch
from pincite.index.schema import remembered_model, rows, schema
from pincite.passage import DocumentReference, SearchFilter

# Passages embedded between two reports of progress.
_BATCH_PASSAGES = 32
# Below this many rows a search reads every vector (about 4 ms of CPU a thousand); above, it walks a graph.
_BRUTE_FORCE_ROWS = 4_000
# One graph for as many rows as fit in memory while it is built; parameters measured in docs/decisions/0007-index.md.
_ROWS_A_PARTITION = 1_000_000
_EF_CONSTRUCTION = 150
_EF_SEARCH = 150
_REFINE = 1
# Versions of the table are kept this long for readers that still use them.
_KEEP_VERSIONS = timedelta(minutes=10)
# Passages from which the rarity of a word is estimated.
_SAMPLE = 512
# Another process sees what this one wrote after this long; asking at every query would cost it thrice the time. A
# handle sees its own writes at once.
_FRESHNESS = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Hit:
    """A window found by its vector: `similarity` is the inner product with the question."""

    passage_id: str
    start: int
    end: int
    similarity: float


class Index:
    """One generation of a knowledge base: a LanceDB table built with one model."""

    def __init__(self, connection: Any, table: Any, columns: pa.Schema, model: EmbeddingModel) -> None:
        self._connection = connection
        self._table = table
        self._columns = columns
        self.model = model
        self._writing = asyncio.Lock()
        self._sample: tuple[int, list[str]] = (-1, [])

    @classmethod
    async def open(cls, uri: str, name: str, model: EmbeddingModel) -> "Index":
        """Open the table or create it; raises IndexMismatch if it was built with another model or scheme."""
        connection = await lancedb.connect_async(uri, read_consistency_interval=_FRESHNESS)
        columns = schema(model)
        if name in (await connection.list_tables()).tables:
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
        index = cls(connection, table, columns, model)
        await index._create_scalar_indexes()
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
            with await connection.open_table(name) as table:
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
        self._table.close()
        self._connection.close()

    # Writing

    async def replace_document(
        self,
        reference: DocumentReference,
        document: Document,
        chunks: Sequence[Chunk],
        embedder: Embedder,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Embed the document's passages and put them in place of its old ones, all at once; returns their number.

        `progress` is told how many passages have been embedded. Raises BackendError; the old passages then stay.
        """
        vectors: list[Vectors] = []
        for done in range(0, len(chunks), _BATCH_PASSAGES):
            texts = [_passage_text(document, chunk) for chunk in chunks[done : done + _BATCH_PASSAGES]]
            try:
                embedded = await embedder.embed_passages(texts)
            except BackendFailure as failure:
                raise BackendError(str(failure)) from failure
            for text, windows in zip(texts, embedded, strict=True):
                self._check(windows, len(text.windows), reference)
            vectors.extend(embedded)
            if progress:
                progress(len(vectors))
        if not chunks:
            await self.remove_document(reference.id)
            return 0
        table = await asyncio.to_thread(rows, self._columns, reference, document, chunks, vectors)
        async with self._writing:
            merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
            await merge.when_not_matched_by_source_delete(f"document_id = {_quoted(reference.id)}").execute(table)
        return len(chunks)

    async def remove_document(self, document_id: str) -> None:
        """Delete a document's passages."""
        async with self._writing:
            await self._table.delete(f"document_id = {_quoted(document_id)}")

    async def maintain(self) -> None:
        """Compact, bring the indexes up to date, and build the vector index once the table is large."""
        async with self._writing:
            await self._table.optimize(cleanup_older_than=_KEEP_VERSIONS)
            indexed = {tuple(i.columns) for i in await self._table.list_indices()}
            count = await self._table.count_rows()
            if count > _BRUTE_FORCE_ROWS and ("vector",) not in indexed:
                partitions = -(-count // _ROWS_A_PARTITION)
                graph = HnswSq(distance_type="dot", num_partitions=partitions, ef_construction=_EF_CONSTRUCTION)
                await self._table.create_index("vector", config=graph)

    async def _create_scalar_indexes(self) -> None:
        indexed = {tuple(i.columns) for i in await self._table.list_indices()}
        words = FTS(base_tokenizer="icu/split", with_position=False, stem=False, remove_stop_words=False)
        wanted = {
            ("lexical",): words,
            ("naming",): words,
            **{(name,): BTree() for name in ("id", "passage_id", "document_id", "path")},
        }
        for (column,), config in wanted.items():
            if (column,) not in indexed:
                await self._table.create_index(column, config=config)

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
        return int(await self._table.count_rows(_all_of("window = 0", _condition(where))))

    async def nearest(self, question: Vectors, limit: int, where: SearchFilter | None = None) -> list[Hit]:
        """Return the windows most similar to one question vector (dimensions,), best first."""
        query = self._table.query().nearest_to(question).distance_type("dot").ef(_EF_SEARCH).refine_factor(_REFINE)
        query = query.limit(limit).select(["passage_id", "window_start", "window_end", "_distance"])
        if condition := _condition(where):
            query = query.where(condition)
        found = await query.to_arrow()
        columns = (found[name].to_pylist() for name in ("passage_id", "window_start", "window_end", "_distance"))
        # LanceDB's "dot" distance is one less the inner product.
        return [Hit(passage, start, end, 1 - distance) for passage, start, end, distance in zip(*columns, strict=True)]

    async def with_words(self, words: str, limit: int, where: SearchFilter | None = None) -> list[str]:
        """Return the ids of the passages that hold most of the words' weight (BM25), best first; none for no words."""
        found = await self._by_words(words, "lexical", ["passage_id"], limit, where)
        ids: list[str] = found["passage_id"].to_pylist()
        return ids

    async def called(self, words: str, limit: int, where: SearchFilter | None = None) -> dict[str, str]:
        """Return the documents whose names hold most of the words' weight, by id, with what they are called."""
        found = await self._by_words(words, "naming", ["document_id", "naming"], limit, where)
        return dict(zip(found["document_id"].to_pylist(), found["naming"].to_pylist(), strict=True))

    async def _by_words(
        self, words: str, column: str, columns: list[str], limit: int, where: SearchFilter | None
    ) -> pa.Table:
        if not words.strip():
            return self._columns.empty_table().select(columns)
        query = self._table.query().nearest_to_text(_match(words, column)).limit(limit)
        query = query.select([*columns, "_score"])
        if condition := _condition(where):
            query = query.where(condition)
        return await query.to_arrow()

    async def windows_of(self, passage_ids: Sequence[str], question: Vectors) -> list[Hit]:
        """Return all windows of these passages with their similarity to a question vector (dimensions,)."""
        columns = ["passage_id", "window_start", "window_end", "vector"]
        found = await self._table.query().where(_passages(passage_ids)).select(columns).to_arrow()
        vectors = found["vector"].combine_chunks().flatten().to_numpy().reshape(-1, self.model.dimensions)
        similarities = vectors.astype(np.float32) @ question
        places = (found[name].to_pylist() for name in columns[:3])
        return [Hit(*place) for place in zip(*places, similarities.tolist(), strict=True)]

    async def lexical_forms(self, passage_ids: Sequence[str]) -> dict[str, str]:
        """Return the text of these passages as words are looked for in it."""
        query = self._table.query().where(_all_of("window = 0", _passages(passage_ids)))
        found = await query.select(["passage_id", "lexical"]).to_arrow()
        return dict(zip(found["passage_id"].to_pylist(), found["lexical"].to_pylist(), strict=True))

    async def passages(self, passage_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the rows that carry these passages, by id; an unknown id is left out."""
        columns = [name for name in self._columns.names if name not in ("vector", "lexical", "naming", "id", "window")]
        query = self._table.query().where(_all_of("window = 0", _passages(passage_ids))).select(columns)
        return {row["passage_id"]: row for row in (await query.to_arrow()).to_pylist()}

    async def sample(self) -> list[str]:
        """Return the words of some hundred passages, all of them in a small index; the same until the index changes."""
        version = await self._table.version()
        if self._sample[0] != version:
            self._sample = (version, await self._draw_sample())
        return self._sample[1]

    async def _draw_sample(self) -> list[str]:
        rows_in_all = await self._table.count_rows()
        passages = await self.count()
        if passages <= _SAMPLE:
            found = await self._table.query().where("window = 0").select(["lexical"]).to_arrow()
        else:
            wanted = min(rows_in_all, _SAMPLE * rows_in_all // passages)
            # The same rows for the same index, so that the same question has the same scores.
            offsets = sorted(random.Random(rows_in_all).sample(range(rows_in_all), wanted))  # noqa: S311
            found = await self._table.take_offsets(offsets).select(["lexical"]).to_arrow()
        return [lexical for lexical in found["lexical"].to_pylist() if lexical]


def _match(words: str, column: str) -> MatchQuery:
    return MatchQuery(
        words,
        column,
        boost=1.0,
        fuzziness=0,
        max_expansions=50,
        operator=FullTextOperator.OR,
        prefix_length=0,
        document_granularity=None,
    )


def _passage_text(document: Document, chunk: Chunk) -> PassageText:
    shift = len(chunk.context) - chunk.start
    return PassageText(
        chunk.context + document.text[chunk.start : chunk.end],
        tuple((start + shift, end + shift) for start, end in chunk.windows),
    )


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _passages(ids: Sequence[str]) -> str:
    return f"passage_id IN ({', '.join(_quoted(i) for i in ids)})"


def _condition(where: SearchFilter | None) -> str:
    if where is None:
        return ""
    documents = ", ".join(_quoted(i) for i in where.document_ids)
    media_types = ", ".join(_quoted(m) for m in where.media_types)
    return _all_of(
        f"document_id IN ({documents})" if documents else "",
        f"starts_with(path, {_quoted(where.path_prefix)})" if where.path_prefix else "",
        f"media_type IN ({media_types})" if media_types else "",
    )


def _all_of(*conditions: str) -> str:
    return " AND ".join(condition for condition in conditions if condition)
