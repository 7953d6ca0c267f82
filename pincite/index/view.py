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
from pincite.index.rows import COLUMNS, Addresses, Rows, Window
from pincite.index.schema import padded, padded_length
from pincite.index.vector_file import VectorFile, halves, inner_products
from pincite.lexical import Sample
from pincite.passage import SearchFilter

# Partitions of the vector index that a search reads: all, up to half a million rows. A language with few documents lies
# in a partition of its own, which may be far from the question.
_PROBES = 128
# The index finds this many times the windows asked for by one bit a number; their vectors tell the best of them.
_REFINE = 2
# Up to this many windows are compared with the question one by one where their vectors are at hand: 1 µs each.
_COMPARED = 4_000
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

    def __init__(self, table: Any, model: EmbeddingModel, folder: str | None = None) -> None:
        """Look at a table; `folder` is where a copy of its vectors may be, by default where temporary files are."""
        self.model = model
        self._folder = folder
        # The words of some hundred passages, all of them in a small index; the same until the index changes.
        self.sample = Sample([])
        self._table = table
        self._version = -1
        self._rows = Rows()
        self._vectors = VectorFile(folder, padded_length(model.dimensions))

    async def settled(self) -> None:
        """Wait until what is being read in the background is there."""
        await self._vectors.settled()

    async def close(self) -> None:
        """Read no more of the table in the background."""
        await self._vectors.stop()

    async def renewed(self, table: Any) -> "View":
        """Return a view of the table's newest version by this handle, which is this one where nothing has changed."""
        version = await table.version()
        if self._version >= 0:
            # Not at the first search, which may be a command's only one.
            self._vectors.read_on(table, self._rows.addresses)
        if version == self._version and table is self._table:
            return self
        new = View(table, self.model, self._folder)
        new._version = version
        before = Rows() if self._rows.is_mostly_gone else self._rows
        query = table.query().with_row_id().select(list(COLUMNS))
        if len(before):
            query = query.where(f"_rowid > {before.addresses[-1]}")
        new._rows = await before.extended(await query.to_batches())
        rows_in_all = await table.count_rows()
        if len(new._rows) > rows_in_all:
            there = await table.query().with_row_id().select(["_rowid"]).to_arrow()
            new._rows = await asyncio.to_thread(new._rows.only, np.sort(_addresses(there)))
        if self._vectors.is_mostly_gone(new._rows.addresses):
            await self._vectors.stop()
        else:
            new._vectors = self._vectors
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
        addresses = self._few(where)
        if addresses is None:
            addresses = await self._near(question, _REFINE * limit, where)
        similarities = await self._similarities(addresses, question)
        best = np.argsort(-similarities, kind="stable")[:limit]
        return _hits(self._windows(addresses[best]), similarities[best])

    def _few(self, where: SearchFilter | None) -> Addresses | None:
        """Return the rows that pass the filter; None for many, or where a vector of them is not at hand."""
        if where is not None and (where.path_prefix or where.media_types):
            return None
        if where is not None and where.document_ids:
            addresses = self._rows.of_documents(where.document_ids, _COMPARED)
        else:
            addresses = self._rows.addresses if len(self._rows) <= _COMPARED else None
        return addresses if addresses is not None and self._vectors.holds(addresses).all() else None

    async def _near(self, question: Vectors, limit: int, where: SearchFilter | None) -> Addresses:
        """Return the windows that seem most similar by their codes; all that are not in the index yet are compared."""
        query = self._table.query().nearest_to(padded(question)).distance_type("dot").nprobes(_PROBES).limit(limit)
        if passing := condition(where):
            query = query.where(passing)
        return _addresses(await query.with_row_id().select(["_distance"]).to_arrow())

    async def _similarities(self, addresses: Addresses, question: Vectors) -> Vectors:
        """Return the inner products of these rows' vectors and the question's."""
        wanted = padded(question)
        similarities = np.empty(len(addresses), np.float32)
        here = self._vectors.holds(addresses)
        if here.any():
            similarities[here] = await self._vectors.similarities(addresses[here], wanted)
        if not here.all():
            missing = addresses[~here].tolist()
            found = await self._take(missing, ["vector"])
            products = inner_products(halves(found, len(wanted)), wanted).tolist()
            by_address = dict(zip(found["_rowid"].to_pylist(), products, strict=True))
            similarities[~here] = [by_address[address] for address in missing]
        return similarities

    async def with_words(self, words: str, limit: int, where: SearchFilter | None = None) -> list[str]:
        """Return the ids of the passages that hold most of the words' weight (BM25), best first; none for no words."""
        return await self._by_words(words, "lexical", limit, where)

    async def called(self, words: str, limit: int, where: SearchFilter | None = None) -> dict[str, str]:
        """Return the documents whose names hold most of the words' weight, by id, with what they are called."""
        firsts = await self._by_words(words, "naming", limit, where)
        names = await self._texts({passage_id: self._rows.name(passage_id) for passage_id in firsts}, "naming")
        return {passage_id.rpartition(":")[0]: name for passage_id, name in names.items()}

    async def _by_words(self, words: str, column: str, limit: int, where: SearchFilter | None) -> list[str]:
        if not words.strip():
            return []
        query = self._table.query().nearest_to_text(matching(words, column)).limit(limit)
        if passing := condition(where):
            query = query.where(passing)
        found = await query.with_row_id().select(["_score"]).to_arrow()
        return [window.passage_id for window in self._windows(_addresses(found))]

    def _windows(self, addresses: Addresses) -> list[Window]:
        windows = self._rows.windows(addresses)
        if windows is None:
            raise RowsMoved
        return windows

    async def windows_of(self, passage_ids: Sequence[str], question: Vectors) -> list[Hit]:
        """Return all windows of these passages with their similarity to a question vector (dimensions,)."""
        windows = [window for passage_id in passage_ids for window in self._rows.windows_of(passage_id)]
        addresses = np.array([window.address for window in windows], np.int64)
        return _hits(windows, await self._similarities(addresses, question))

    async def lexical_forms(self, passage_ids: Sequence[str]) -> dict[str, str]:
        """Return the text of these passages as words are looked for in it."""
        return await self._texts({passage_id: self._rows.words(passage_id) for passage_id in passage_ids}, "lexical")

    async def _texts(self, known: dict[str, str | None], column: str) -> dict[str, str]:
        """Return a column of these passages' rows, of which those that are not None need not be read."""
        texts = {passage_id: text for passage_id, text in known.items() if text is not None}
        if missing := [passage_id for passage_id in known if passage_id not in texts]:
            heads = {self._rows.head(passage_id): passage_id for passage_id in missing}
            found = await self._take(heads, [column])
            for address, text in zip(found["_rowid"].to_pylist(), found[column].to_pylist(), strict=True):
                texts[heads[address]] = text
        return texts

    async def passages(self, passage_ids: Sequence[str]) -> dict[str, CitedPassage]:
        """Return these passages by id."""
        heads = {self._rows.head(passage_id): passage_id for passage_id in passage_ids}
        found = await self._take(heads, ["passage"])
        read = zip(found["_rowid"].to_pylist(), found["passage"].to_pylist(), strict=True)
        return {heads[address]: CitedPassage.from_json(written) for address, written in read}

    async def _take(self, addresses: Collection[int], columns: list[str]) -> pa.Table:
        """Return the rows that stand at these addresses."""
        found = await self._table.take_row_ids(sorted(addresses)).with_row_id().select(columns).to_arrow()
        if len(found) < len(addresses):
            raise RowsMoved
        return found


def _addresses(found: pa.Table) -> Addresses:
    addresses: Addresses = found["_rowid"].to_numpy().astype(np.int64)
    return addresses


def _hits(windows: Sequence[Window], similarities: Vectors) -> list[Hit]:
    return [Hit(window, similarity) for window, similarity in zip(windows, similarities.tolist(), strict=True)]


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
