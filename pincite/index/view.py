"""An index as one search sees it: the table, and what is kept in memory of the rows of one of its versions."""

import asyncio
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from lancedb.query import FullTextOperator, MatchQuery

from embedding_backend import EmbeddingModel, Vectors
from pincite.index.cited_passage import CitedPassage
from pincite.index.conditions import condition
from pincite.index.rows import COLUMNS, Rows, Window
from pincite.index.schema import padded
from pincite.lexical import Sample
from pincite.passage import SearchFilter

# Partitions of the vector index that a search reads: all, up to half a million rows. A language with few documents lies
# in a partition of its own, which may be far from the question.
_PROBES = 128
# The index finds this many times the windows asked for by one bit a number, and orders them by their vectors.
_REFINE = 2
# Passages from which the rarity of a word is estimated.
_SAMPLE = 512


@dataclass(frozen=True, slots=True)
class Hit:
    """A window and its similarity to a question: the inner product of the two vectors."""

    window: Window
    similarity: float


class RowsMoved(Exception):
    """The table is no longer as a view knows it: rows were moved or deleted, or new ones found. A new view helps."""


class View:
    """What a search asks of an index; its questions to the table raise RowsMoved."""

    def __init__(self, table: Any, model: EmbeddingModel) -> None:
        self.model = model
        # The words of some hundred passages, all of them in a small index; the same until the index changes.
        self.sample = Sample([])
        self._table = table
        self._version = -1
        self._rows = Rows()

    async def renewed(self, table: Any) -> "View":
        """Return a view of the table's newest version by this handle, which is this one where nothing has changed."""
        version = await table.version()
        if version == self._version and table is self._table:
            return self
        new = View(table, self.model)
        new._version = version
        # Rows that are no longer in the table are forgotten when they are the greater part.
        rows_in_all = await table.count_rows()
        before = self._rows if len(self._rows) <= 2 * rows_in_all + _SAMPLE else Rows()
        query = table.query().with_row_id().select(list(COLUMNS))
        if len(before):
            query = query.where(f"_rowid > {before.last}")
        new._rows = await before.extended(await query.to_batches())
        new.sample = await asyncio.to_thread(Sample, await new._draw_sample(rows_in_all))
        return new

    async def _draw_sample(self, rows_in_all: int) -> list[str]:
        passages = await self._table.count_rows("window = 0")
        if passages <= _SAMPLE:
            found = await self._table.query().where("window = 0").select(["lexical"]).to_arrow()
        else:
            wanted = min(rows_in_all, _SAMPLE * rows_in_all // passages)
            # The same rows for the same index, so that the same question has the same scores.
            offsets = sorted(random.Random(rows_in_all).sample(range(rows_in_all), wanted))  # noqa: S311
            found = await self._table.take_offsets(offsets).select(["lexical"]).to_arrow()
        return [lexical for lexical in found["lexical"].to_pylist() if lexical]

    async def nearest(self, question: Vectors, limit: int, where: SearchFilter | None = None) -> list[Hit]:
        """Return the windows most similar to one question vector (dimensions,), best first."""
        query = self._table.query().nearest_to(padded(question)).distance_type("dot").nprobes(_PROBES)
        query = query.refine_factor(_REFINE).limit(limit).with_row_id().select(["_distance"])
        if passing := condition(where):
            query = query.where(passing)
        found = await query.to_arrow()
        windows = self._windows(found)
        # LanceDB's "dot" distance is one less the inner product.
        similarities = (1 - found["_distance"].to_numpy()).tolist()
        return [Hit(window, similarity) for window, similarity in zip(windows, similarities, strict=True)]

    async def with_words(self, words: str, limit: int, where: SearchFilter | None = None) -> list[str]:
        """Return the ids of the passages that hold most of the words' weight (BM25), best first; none for no words."""
        found = await self._by_words(words, "lexical", [], limit, where)
        return [window.passage_id for window in self._windows(found)]

    async def called(self, words: str, limit: int, where: SearchFilter | None = None) -> dict[str, str]:
        """Return the documents whose names hold most of the words' weight, by id, with what they are called."""
        found = await self._by_words(words, "naming", ["document_id", "naming"], limit, where)
        return dict(zip(found["document_id"].to_pylist(), found["naming"].to_pylist(), strict=True))

    async def _by_words(
        self, words: str, column: str, columns: list[str], limit: int, where: SearchFilter | None
    ) -> pa.Table:
        if not words.strip():
            return pa.table(
                {"_rowid": pa.array([], pa.uint64()), **{name: pa.array([], pa.string()) for name in columns}}
            )
        query = self._table.query().nearest_to_text(matching(words, column)).limit(limit)
        query = query.with_row_id().select([*columns, "_score"])
        if passing := condition(where):
            query = query.where(passing)
        return await query.to_arrow()

    def _windows(self, found: pa.Table) -> list[Window]:
        windows = self._rows.windows(found["_rowid"].to_numpy())
        if windows is None:
            raise RowsMoved
        return windows

    async def windows_of(self, passage_ids: Sequence[str], question: Vectors) -> list[Hit]:
        """Return all windows of these passages with their similarity to a question vector (dimensions,)."""
        if not passage_ids:
            return []
        windows = [window for passage_id in passage_ids for window in self._rows.windows_of(passage_id)]
        by_address = {window.address: window for window in windows}
        # A row that was moved or written again is known at both places, and stands at one.
        found = await self._read(by_address, ["vector"])
        wanted = padded(question)
        vectors = found["vector"].combine_chunks().flatten().to_numpy().reshape(-1, len(wanted))
        similarities = (vectors.astype(np.float32) @ wanted).tolist()
        there = [by_address[address] for address in found["_rowid"].to_pylist()]
        if len({window.passage_id for window in there}) < len(set(passage_ids)):
            raise RowsMoved
        return [Hit(window, similarity) for window, similarity in zip(there, similarities, strict=True)]

    async def lexical_forms(self, passage_ids: Sequence[str]) -> dict[str, str]:
        """Return the text of these passages as words are looked for in it."""
        forms = {passage_id: self._rows.words(passage_id) for passage_id in passage_ids}
        heads = {self._rows.head(passage_id): passage_id for passage_id, words in forms.items() if words is None}
        kept = {passage_id: words for passage_id, words in forms.items() if words is not None}
        if heads:
            found = await self._take(heads, ["lexical"])
            for address, words in zip(found["_rowid"].to_pylist(), found["lexical"].to_pylist(), strict=True):
                kept[heads[address]] = words
        return kept

    async def passages(self, passage_ids: Sequence[str]) -> dict[str, CitedPassage]:
        """Return these passages by id."""
        heads = {self._rows.head(passage_id): passage_id for passage_id in passage_ids}
        found = await self._take(heads, ["passage"])
        read = zip(found["_rowid"].to_pylist(), found["passage"].to_pylist(), strict=True)
        return {heads[address]: CitedPassage.from_json(written) for address, written in read}

    async def _take(self, addresses: Collection[int], columns: list[str]) -> pa.Table:
        found = await self._read(addresses, columns)
        if len(found) < len(addresses):
            raise RowsMoved
        return found

    async def _read(self, addresses: Collection[int], columns: list[str]) -> pa.Table:
        """Return the rows that stand at these addresses."""
        return await self._table.take_row_ids(sorted(addresses)).with_row_id().select(columns).to_arrow()


def matching(words: str, column: str) -> MatchQuery:
    """Return the question for rows that hold any of the words."""
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
