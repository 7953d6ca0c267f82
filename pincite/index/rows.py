"""What an index keeps in memory of its rows: where each window stands, and the words of its passages.

A search looks at some two hundred passages and returns five. Reading a row from the table costs about 25 µs of CPU for
each column that is not tiny, and each query one or two milliseconds before it reads anything, so that the rows'
addresses, which are all that the vector and the full-text index have to return, are looked up here. What stands at an
address never changes: a row that is written again, or moved by compaction, gets a new and higher one.
"""

import asyncio
import copy
import itertools
import sys
from collections.abc import AsyncIterable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

COLUMNS = ("passage_id", "window", "window_start", "window_end", "lexical", "naming")
# Rows that are gone are forgotten when they are the greater part, and of more passages than this.
_FEW_GONE = 500
# Words and names beyond this are read from the table when asked for: 100,000 passages of 1,500 English letters.
_MOST_KEPT_BYTES = 160_000_000

# Where rows stand in the table.
Addresses = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]


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
        self._names: dict[int, str | None] = {}
        self._fingerprints: list[int] = []
        self._heads: list[int] = []
        self._numbers: dict[str, int] = {}
        self._kept_bytes = 0

    def __len__(self) -> int:
        return len(self._addresses)

    @property
    def addresses(self) -> Addresses:
        """Where the rows stand, in order: rows that are not here yet lie beyond the last."""
        return self._addresses

    @property
    def is_mostly_gone(self) -> bool:
        """Whether the passages without any row are the greater part, and more than a few."""
        gone = int((np.diff(self._first) == 0).sum())
        return gone > _FEW_GONE and 2 * gone > len(self._ids)

    async def extended(self, batches: AsyncIterable[pa.RecordBatch]) -> "Rows":
        """Return these rows and others that lie beyond the last; batches hold COLUMNS and `_rowid`."""
        new = copy.copy(self)
        new._ids, new._words, new._heads = self._ids.copy(), self._words.copy(), self._heads.copy()
        new._fingerprints, new._numbers = self._fingerprints.copy(), self._numbers.copy()
        new._names = self._names.copy()
        # Batch by batch, so that the words are not in memory twice.
        added = [await asyncio.to_thread(new._add, batch) async for batch in batches]
        await asyncio.to_thread(new._place, added)
        return new

    def _add(self, batch: pa.RecordBatch) -> tuple[Addresses, Places, Places, list[str]]:
        ids = batch["passage_id"].to_pylist()
        is_head = batch["window"].to_numpy() == 0
        words, names = (batch[column].filter(pa.array(is_head)).to_pylist() for column in ("lexical", "naming"))
        addresses = batch["_rowid"].to_numpy()[is_head].tolist()
        for row, *passage in zip(np.flatnonzero(is_head).tolist(), addresses, words, names, strict=True):
            self._add_passage(ids[row], *passage)
        # Copied, as a column may be a part of memory that holds the others too.
        starts, ends = (batch[column].to_numpy().copy() for column in ("window_start", "window_end"))
        return batch["_rowid"].to_numpy().astype(np.int64), starts, ends, ids

    def _add_passage(self, passage_id: str, head: int, words: str, name: str | None) -> None:
        number = self._numbers.get(passage_id)
        fingerprint = hash(words)
        if number is None or self._fingerprints[number] != fingerprint:
            self._numbers[passage_id] = number = len(self._ids)
            self._ids.append(passage_id)
            self._heads.append(head)
            self._fingerprints.append(fingerprint)
            self._words.append(self._kept(words))
        # Else moved by compaction, perhaps without all its windows, or written again with another name.
        self._heads[number] = head
        if name != self._names.get(number):
            self._names[number] = self._kept(name) if name else None

    def _kept(self, text: str) -> str | None:
        self._kept_bytes += sys.getsizeof(text)
        return text if self._kept_bytes <= _MOST_KEPT_BYTES else None

    def _place(self, added: Sequence[tuple[Addresses, Places, Places, list[str]]]) -> None:
        # Only when all are there, as a window may be read before the row that carries its passage.
        passages = (np.array([self._numbers.get(i, -1) for i in ids], np.int32) for *_, ids in added)
        addresses = np.concatenate([self._addresses, *(column for column, _, _, _ in added)])
        order = np.argsort(addresses, kind="stable")
        self._addresses = addresses[order]
        self._starts = np.concatenate([self._starts, *(column for _, column, _, _ in added)])[order]
        self._ends = np.concatenate([self._ends, *(column for _, _, column, _ in added)])[order]
        self._passages = np.concatenate([self._passages, *passages])[order]
        self._gather()

    def _gather(self) -> None:
        self._by_passage = np.argsort(self._passages, kind="stable")
        self._first = np.searchsorted(self._passages[self._by_passage], np.arange(len(self._ids) + 1))

    def only(self, addresses: Addresses) -> "Rows":
        """Return those of these rows that stand at one of the addresses, which are in order."""
        new = copy.copy(self)
        places = np.searchsorted(addresses, self._addresses)
        there = np.append(addresses, -1)[places] == self._addresses
        new._addresses, new._starts, new._ends, new._passages = (
            column[there] for column in (self._addresses, self._starts, self._ends, self._passages)
        )
        new._gather()
        return new

    def windows(self, addresses: Addresses) -> list[Window] | None:
        """Return the window at each address, or None where one of them is not known."""
        rows = np.searchsorted(self._addresses, addresses)
        if len(rows) and (rows.max() == len(self) or (self._addresses[rows] != addresses).any()):
            return None
        return self._windows(rows)

    def windows_of(self, passage_id: str) -> list[Window]:
        """Return all windows of a passage."""
        number = self._numbers[passage_id]
        return self._windows(self._by_passage[self._first[number] : self._first[number + 1]])

    def of_documents(self, document_ids: Collection[str], most: int) -> Addresses | None:
        """Return the addresses of all rows of these documents, or None for more than `most`."""
        passages: list[int] = []
        for document_id in document_ids:
            for ordinal in itertools.count():
                number = self._numbers.get(f"{document_id}:{ordinal}")
                if number is None:
                    break
                passages.append(number)
            if len(passages) > most:
                return None
        firsts, ends = (self._first[np.array(passages, np.int64) + step] for step in (0, 1))
        counts = ends - firsts
        if counts.sum() > most:
            return None
        places = np.arange(counts.sum()) + np.repeat(firsts - counts.cumsum() + counts, counts)
        found: Addresses = self._addresses[self._by_passage[places]]
        return found

    def _windows(self, rows: npt.NDArray[np.int64]) -> list[Window]:
        columns = (column[rows].tolist() for column in (self._passages, self._starts, self._ends, self._addresses))
        return [Window(self._ids[passage], *places) for passage, *places in zip(*columns, strict=True)]

    def head(self, passage_id: str) -> int:
        """Return the address of the row that carries a passage."""
        return self._heads[self._numbers[passage_id]]

    def words(self, passage_id: str) -> str | None:
        """Return the passage's text as words are looked for in it, None where it is not kept."""
        return self._words[self._numbers[passage_id]]

    def name(self, passage_id: str) -> str | None:
        """Return what the document is called, of its first passage; None where it is not kept or there is none."""
        return self._names.get(self._numbers[passage_id])
