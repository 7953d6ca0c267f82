"""The vectors of an index's rows once more, in a file from which a hundred of them are read in a fraction of a ms.

LanceDB reads a vector in 40 µs, in queries of one or two milliseconds each; here it takes 2 µs. The file has no name
and ends with the process, so that nothing has to be kept consistent with the table: it is filled in the background, in
the order of the rows' addresses, and what stands at an address never changes. It is read rather than mapped, as the
pages of a map would count as this process's memory.
"""

import asyncio
import logging
import os
import resource
import tempfile
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedding_backend import Vectors
from pincite.index.rows import Addresses

log = logging.getLogger(__name__)

# More than this, a million windows of 1,024 numbers, or than this share of what the disk has left, is not copied.
_MOST_BYTES = 2_000_000_000
_MOST_OF_DISK = 0.25
# Of the files that this process may have open, the share that are copies: a server may have thousands of indexes.
_MOST_OF_FILES = 0.25
# A file with vectors of rows that are gone is begun anew when they are the greater part, and of more rows than this.
_FEW_GONE = 5_000
# Rows read from the table at a time: some 10 MB.
_ROWS_AT_ONCE = 5_000
# So few are read from where they stand: 40 µs each, while a query looks at every write that is not compacted yet.
_TAKEN_ROW_BY_ROW = 200
# Numbers compared at a time: they stay in the processor's cache.
_COMPARED_AT_ONCE = 100_000
# To be told rather than to wait where the file is not in memory, on Linux.
_NOW: int = getattr(os, "RWF_NOWAIT", 0)
# The bits of a float16 where those of a float32 are, and by what its exponent is too small there. numpy's own
# conversion costs six times as much.
_SHIFT, _BITS, _SCALE = 13, np.int32(-0x7000_2000), np.float32(2.0**112)


class VectorFile:
    """The vectors of the rows of one table up to an address, as far as they were read."""

    def __init__(self, folder: str | None, length: int) -> None:
        self._folder = folder
        self._length = length
        self._descriptor = -1
        self._addresses = np.empty(0, np.int64)
        self._reading: asyncio.Task[None] | None = None
        self._is_impossible = False

    def holds(self, addresses: Addresses) -> npt.NDArray[np.bool_]:
        """Return of each row whether its vector is here."""
        return self._found(addresses)[1]

    async def similarities(self, addresses: Addresses, question: Vectors) -> Vectors:
        """Return the inner product of each row's vector, which must be here, and the question's (dimensions,)."""
        places, _ = self._found(addresses)
        try:
            return self._products(places, question, _NOW)
        except OSError:
            # The disk would be waited for. A thread costs half a ms, more than all the rest.
            return await asyncio.to_thread(self._products, places, question, 0)

    def _products(self, places: npt.NDArray[np.int64], question: Vectors, flags: int) -> Vectors:
        step = max(1, _COMPARED_AT_ONCE // self._length)
        pieces = (self._read(places[first : first + step], flags) for first in range(0, len(places), step))
        return np.concatenate([np.empty(0, np.float32), *(inner_products(piece, question) for piece in pieces)])

    def _found(self, addresses: Addresses) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        known = self._addresses
        places = np.searchsorted(known, addresses)
        inside = places < len(known)
        inside[inside] = known[places[inside]] == addresses[inside]
        return places, inside

    def _read(self, places: npt.NDArray[np.int64], flags: int) -> npt.NDArray[np.float16]:
        size = self._length * 2
        read = bytearray(len(places) * size)
        room = memoryview(read)
        # A passage's windows, and a document's passages, stand together.
        breaks = (np.flatnonzero(places[1:] - places[:-1] != 1) + 1).tolist()
        order = places.tolist()
        for first, end in zip([0, *breaks], [*breaks, len(order)], strict=True):
            part = room[first * size : end * size]
            if os.preadv(self._descriptor, [part], order[first] * size, flags) < len(part):
                raise BlockingIOError
        return np.frombuffer(read, np.float16).reshape(len(places), self._length)

    def read_on(self, table: Any, addresses: Addresses) -> None:
        """Begin to read the rows at these addresses, which ascend, as far as they lie beyond those that are here."""
        if not (self._is_impossible or self._reading) and len(missing := self._beyond(addresses)):
            self._reading = asyncio.create_task(self._read_on(table, missing, len(addresses)))

    def _beyond(self, addresses: Addresses) -> Addresses:
        return addresses[np.searchsorted(addresses, self._addresses[-1], "right") if len(self._addresses) else 0 :]

    def is_mostly_gone(self, addresses: Addresses) -> bool:
        """Whether most vectors here would be of other rows than these, if these were all read; not asked of few."""
        vectors = len(self._addresses) + len(self._beyond(addresses))
        return vectors > max(2 * len(addresses), _FEW_GONE)

    async def settled(self) -> None:
        """Wait until the rows that are being read are here."""
        if self._reading:
            await asyncio.wait([self._reading])

    async def stop(self) -> None:
        """Read no more of the table; what is here stays."""
        self._is_impossible = True
        if self._reading:
            self._reading.cancel()
            await self.settled()

    async def _read_on(self, table: Any, addresses: Addresses, rows_in_all: int) -> None:
        try:
            if self._descriptor < 0:
                self._descriptor = await asyncio.to_thread(self._made)
            self._check_room(len(addresses), rows_in_all)
            for first in range(0, len(addresses), _ROWS_AT_ONCE):
                part = addresses[first : first + _ROWS_AT_ONCE]
                if len(part) <= _TAKEN_ROW_BY_ROW:
                    rows = table.take_row_ids(part.tolist())
                else:
                    rows = table.query().where(f"_rowid >= {part[0]} AND _rowid <= {part[-1]}")
                try:
                    found = await rows.with_row_id().select(["vector"]).to_arrow()
                except (RuntimeError, ValueError, OSError) as error:
                    # What LanceDB raises of files that are no longer there; the searches that follow try again.
                    log.info("the vectors of an index could not be read: %s", error)
                    return
                await asyncio.to_thread(self._append, found)
        except OSError as error:
            log.info("searches read vectors from the index itself, which is slower: %s", error)
            self._is_impossible = True
        finally:
            self._reading = None

    def _made(self) -> int:
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if allowed != resource.RLIM_INFINITY and len(_OPEN) >= _MOST_OF_FILES * allowed:
            raise OSError("too many files are open")
        file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        close: Callable[[], None] = file.close
        weakref.finalize(self, close)
        _OPEN.add(self)
        return file.fileno()

    def _check_room(self, rows: int, rows_in_all: int) -> None:
        disk = os.fstatvfs(self._descriptor)
        size = self._length * 2
        if rows_in_all * size > _MOST_BYTES:
            raise OSError(f"{rows_in_all * size:,} bytes are too many to copy")
        if rows * size > _MOST_OF_DISK * disk.f_bavail * disk.f_frsize:
            raise OSError("the disk is nearly full")

    def _append(self, found: pa.Table) -> None:
        addresses = found["_rowid"].to_numpy().astype(np.int64)
        order = np.argsort(addresses)
        rows = halves(found, self._length)[order]
        if os.pwrite(self._descriptor, rows.data, len(self._addresses) * self._length * 2) < rows.nbytes:
            raise OSError("the disk is full")
        self._addresses = np.concatenate([self._addresses, addresses[order]])


_OPEN: weakref.WeakSet[VectorFile] = weakref.WeakSet()


def halves(found: pa.Table, length: int) -> npt.NDArray[np.float16]:
    """Return the column of vectors as (rows, length)."""
    flat: npt.NDArray[np.float16] = found["vector"].combine_chunks().flatten().to_numpy()
    return flat.reshape(-1, length)


def inner_products(vectors: npt.NDArray[np.float16], question: Vectors) -> Vectors:
    """Return the inner product of each of the vectors (count, dimensions) and the question's (dimensions,)."""
    bits = vectors.view(np.int16).astype(np.int32)
    bits <<= _SHIFT
    bits &= _BITS
    # Row by row: as a product of matrices, the last bit of a row's would depend on which rows stand beside it, and so
    # would the order of passages that say the same.
    products: Vectors = np.vecdot(bits.view(np.float32), question * _SCALE)
    return products
