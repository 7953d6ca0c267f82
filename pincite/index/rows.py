"""What an index keeps in memory of its rows: where each window stands, and the words of its passages.

A search looks at some two hundred passages and returns five. Reading a row from the table costs about 25 µs of CPU for
each column that is not tiny, and each query one or two milliseconds before it reads anything, so that the rows'
addresses, which are all that the vector and the full-text index have to return, are looked up here. What stands at an
address never changes: a row that is written again, or moved by compaction, gets a new and higher one.
"""

import asyncio
import copy
import sys
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

COLUMNS = ("passage_id", "window", "window_start", "window_end", "lexical")
# Words beyond this are read from the table when they are asked for: 100,000 passages of 1,500 English letters.
_MOST_WORDS_BYTES = 160_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """A range of a document that has a vector, of a passage; `address` is its row's place in the table."""

    passage_id: str
    start: int
    end: int
    address: int


class Rows:
    """The rows of one table as they were read, in the order of their addresses."""

    def __init__(self) -> None:
        # One entry a row.
        self._addresses = np.empty(0, np.int64)
        self._starts = np.empty(0, np.int32)
        self._ends = np.empty(0, np.int32)
        self._passages = np.empty(0, np.int32)
        # The rows by passage: those of passage p are _by_passage[_first[p] : _first[p + 1]].
        self._by_passage = np.empty(0, np.int64)
        self._first = np.zeros(1, np.int64)
        # One entry a passage.
        self._ids: list[str] = []
        self._words: list[str | None] = []
        self._fingerprints: list[int] = []
        self._heads: list[int] = []
        self._numbers: dict[str, int] = {}
        self._words_bytes = 0

    def __len__(self) -> int:
        return len(self._addresses)

    @property
    def last(self) -> int:
        """The highest address: rows that are not here yet lie beyond it."""
        return int(self._addresses[-1])

    async def extended(self, batches: AsyncIterable[pa.RecordBatch]) -> "Rows":
        """Return these rows and others that lie beyond the last; batches hold COLUMNS and `_rowid`."""
        new = copy.copy(self)
        new._ids, new._words, new._heads = self._ids.copy(), self._words.copy(), self._heads.copy()
        new._fingerprints, new._numbers = self._fingerprints.copy(), self._numbers.copy()
        # Batch by batch, so that the words are not in memory twice.
        added = [await asyncio.to_thread(new._add, batch) async for batch in batches]
        await asyncio.to_thread(new._place, added)
        return new

    def _add(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[str]]:
        ids = batch["passage_id"].to_pylist()
        is_head = batch["window"].to_numpy() == 0
        words = batch["lexical"].filter(pa.array(is_head)).to_pylist()
        addresses = batch["_rowid"].to_numpy()[is_head].tolist()
        for row, address, lexical in zip(np.flatnonzero(is_head).tolist(), addresses, words, strict=True):
            self._add_passage(ids[row], address, lexical)
        return batch.select(["_rowid", "window_start", "window_end"]), ids

    def _add_passage(self, passage_id: str, head: int, words: str) -> None:
        before = self._numbers.get(passage_id)
        fingerprint = hash(words)
        if before is not None and self._fingerprints[before] == fingerprint:
            # Moved by compaction, perhaps without all its windows.
            self._heads[before] = head
            return
        self._numbers[passage_id] = len(self._ids)
        self._ids.append(passage_id)
        self._heads.append(head)
        self._fingerprints.append(fingerprint)
        self._words_bytes += sys.getsizeof(words)
        self._words.append(words if self._words_bytes <= _MOST_WORDS_BYTES else None)

    def _place(self, added: Sequence[tuple[pa.RecordBatch, list[str]]]) -> None:
        # Only when all are there, as a window may be read before the row that carries its passage.
        passages = [np.array([self._numbers.get(i, -1) for i in ids], np.int32) for _, ids in added]
        addresses = np.concatenate([self._addresses, *(b["_rowid"].to_numpy().astype(np.int64) for b, _ in added)])
        order = np.argsort(addresses, kind="stable")
        self._addresses = addresses[order]
        self._starts = np.concatenate([self._starts, *(b["window_start"].to_numpy() for b, _ in added)])[order]
        self._ends = np.concatenate([self._ends, *(b["window_end"].to_numpy() for b, _ in added)])[order]
        self._passages = np.concatenate([self._passages, *passages])[order]
        self._by_passage = np.argsort(self._passages, kind="stable")
        self._first = np.searchsorted(self._passages[self._by_passage], np.arange(len(self._ids) + 1))

    def windows(self, addresses: npt.NDArray[np.uint64]) -> list[Window] | None:
        """Return the window at each address, or None where one of them is not known."""
        wanted = addresses.astype(np.int64)
        rows = np.searchsorted(self._addresses, wanted)
        if len(wanted) and (rows.max() == len(self) or (self._addresses[rows] != wanted).any()):
            return None
        return self._windows(rows)

    def windows_of(self, passage_id: str) -> list[Window]:
        """Return all windows of a passage."""
        number = self._numbers[passage_id]
        return self._windows(self._by_passage[self._first[number] : self._first[number + 1]])

    def _windows(self, rows: npt.NDArray[np.int64]) -> list[Window]:
        columns = (column[rows].tolist() for column in (self._passages, self._starts, self._ends, self._addresses))
        return [Window(self._ids[passage], *places) for passage, *places in zip(*columns, strict=True)]

    def head(self, passage_id: str) -> int:
        """Return the address of the row that carries a passage."""
        return self._heads[self._numbers[passage_id]]

    def words(self, passage_id: str) -> str | None:
        """Return the passage's text as words are looked for in it, None where it is not kept."""
        return self._words[self._numbers[passage_id]]
