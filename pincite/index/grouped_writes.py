"""Documents that several tasks have ready at about the same time, written to an index at once."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pincite.index.document_rows import DocumentRows
from pincite.index.table import Index

# What waits is written when it is so many documents, or so many rows, or has waited so long.
MOST_DOCUMENTS = 16
_MOST_ROWS = 2_000
_PATIENCE_S = 0.5

_Waiting = Mapping["asyncio.Future[None]", tuple[Index, DocumentRows]]


class GroupedWrites:
    """Writes documents in groups, and tells each when it is there to stay.

    Every write makes a version of the table and a fragment of it, and with their number grows what the next write, a
    search and tidying cost: sixteen documents written at once cost little more than one. A document waits for others
    only while a task is `underway` that may bring one.
    """

    def __init__(self) -> None:
        self._underway: set[asyncio.Task[Any] | None] = set()
        self._waiting: dict[asyncio.Future[None], tuple[Index, DocumentRows]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @contextmanager
    def underway(self) -> Iterator[None]:
        """Say that a document may come from within this block, and in this task."""
        task = asyncio.current_task()
        self._underway.add(task)
        try:
            yield
        finally:
            self._underway.discard(task)
            self._write_if_due()

    async def put(self, index: Index, document: DocumentRows) -> None:
        """Return when the document is written; raises what keeps it, and not others of its group, from being written.

        When it is cancelled, the document is either written or will never be.
        """
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._underway.discard(asyncio.current_task())
        if not self._waiting:
            self._timer = loop.call_later(_PATIENCE_S, self._write)
        self._waiting[written] = (index, document)
        self._write_if_due()
        try:
            await asyncio.shield(written)
        except asyncio.CancelledError:
            if self._waiting.pop(written, None) is None:
                await asyncio.wait([written])
            raise

    def _write_if_due(self) -> None:
        rows = sum(len(document.rows) for _, document in self._waiting.values())
        enough = len(self._waiting) >= MOST_DOCUMENTS or rows >= _MOST_ROWS
        if self._waiting and (enough or not self._underway):
            self._write()

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        group, self._waiting = self._waiting, {}
        task = asyncio.create_task(_written(group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _written(group: _Waiting) -> None:
    try:
        for index in {index for index, _ in group.values()}:
            await _written_to(index, {future: told for future, told in group.items() if told[0] is index})
    finally:
        for future in group:
            future.cancel()  # nothing, where it is told already


async def _written_to(index: Index, group: _Waiting) -> None:
    try:
        await index.put(*(document for _, document in group.values()))
    except Exception as error:
        if len(group) == 1:
            [future] = group
            future.set_exception(error)
            return
        # One by one, so that each fails for itself; some of them may be there already.
        for future, (_, document) in group.items():
            await _written_to(index, {future: (index, replace(document, is_new=False))})
    else:
        for future in group:
            future.set_result(None)
