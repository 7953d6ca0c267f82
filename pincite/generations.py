"""The open index tables: one serves each knowledge base, and an old one goes when its last search has ended."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from pincite.catalog import GENERATED_ID
from pincite.embedders import Embedders
from pincite.errors import UnknownKnowledgeBase
from pincite.index import Index
from pincite.records import KnowledgeBase

MOVED = "The knowledge base was rebuilt or removed a moment ago; try again."
# Maintaining costs 0.3 s of CPU however little was written, and a burst of uploads is a job for each file.
QUIET_S = 3.0

log = logging.getLogger(__name__)


class Generations:
    """Index tables opened at first use, each with the model it was built with, and shared by everyone after."""

    def __init__(self, uri: str, embedders: Embedders, *, read_only: bool) -> None:
        self._uri = uri
        self._read_only = read_only
        self._embedders = embedders
        self._open: dict[str, Index] = {}
        self._users: dict[str, int] = {}
        self._dropped: set[str] = set()
        self._opening = asyncio.Lock()
        self._idle = asyncio.Condition()
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        self._maintaining: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def use(self, kb: KnowledgeBase) -> AsyncIterator[Index]:
        """Yield the index of a knowledge base's table, which stays open at least until the end of the block.

        A table that is not there yet is made for the model that the settings ask for, unless this process only reads.

        Raises:
            IndexMismatch: it was built with a model that is not configured any more.
            BackendError: the server of its model does not answer.
            UnknownKnowledgeBase: it has been dropped since the caller learnt its name.
        """
        async with self._held(kb.table):
            yield await self._index(kb)

    async def drop(self, table: str) -> None:
        """Delete a table once nobody uses it."""
        self._dropped.add(table)
        async with self._idle:
            await self._idle.wait_for(lambda: table not in self._users)
        await self._delete(table)

    async def discard_others(self, kb: KnowledgeBase) -> None:
        """Delete what an interrupted build left beside the table that serves a knowledge base."""
        for table in await Index.names(self._uri):
            if table != kb.table and _base(table) == _base(kb.table):
                await self._delete(table)

    async def discard_unknown(self, kbs: Sequence[KnowledgeBase]) -> None:
        """Delete the tables of knowledge bases that are not there any more: a crash stopped their removal."""
        known = {_base(kb.table) for kb in kbs}
        for table in await Index.names(self._uri):
            if _base(table) not in known and GENERATED_ID.fullmatch(_base(table)):
                await self._delete(table)

    async def maintain(self) -> None:
        """Optimise and clean up every open table."""
        for table, index in list(self._open.items()):
            async with self._held(table):
                await index.maintain()

    def maintain_when_quiet(self, table: str) -> None:
        """Maintain an open table in a moment, or when it is closed, unless that is put off before."""
        self.put_off_maintenance(table)
        if table in self._open:
            timer = asyncio.get_running_loop().call_later(QUIET_S, self._begin_maintenance, table)
            self._waiting[table] = timer

    def put_off_maintenance(self, table: str) -> None:
        """Let a table be that is about to be written again; whoever writes asks for its maintenance anew."""
        if (timer := self._waiting.pop(table, None)) is not None:
            timer.cancel()

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Keep this process from writing, making and deleting tables for the time of the block; searches go on."""
        async with self._opening, AsyncExitStack() as stack:
            for index in list(self._open.values()):
                await stack.enter_async_context(index.still())
            yield

    async def close(self) -> None:
        """Close every table, after the maintenance that it waits for."""
        for table in list(self._waiting):
            self._begin_maintenance(table)
        await asyncio.gather(*self._maintaining)
        for index in self._open.values():
            await index.close()
        self._open.clear()

    @asynccontextmanager
    async def _held(self, table: str) -> AsyncIterator[None]:
        if table in self._dropped:
            raise UnknownKnowledgeBase(MOVED)
        self._users[table] = self._users.get(table, 0) + 1
        try:
            yield
        finally:
            self._users[table] -= 1
            if self._users[table] == 0:
                del self._users[table]
                async with self._idle:
                    self._idle.notify_all()

    def _begin_maintenance(self, table: str) -> None:
        self.put_off_maintenance(table)
        task = asyncio.create_task(self._maintain(table))
        self._maintaining.add(task)
        task.add_done_callback(self._maintaining.discard)

    async def _maintain(self, table: str) -> None:
        try:
            async with self._held(table):
                if (index := self._open.get(table)) is not None:
                    await index.maintain()
        except UnknownKnowledgeBase:  # dropped meanwhile
            pass
        except Exception:
            log.exception("maintaining the index %s failed", table)

    async def _delete(self, table: str) -> None:
        self.put_off_maintenance(table)
        async with self._opening:
            index = self._open.pop(table, None)
            if index is not None:
                await index.close()
            await Index.drop(self._uri, table)

    async def _index(self, kb: KnowledgeBase) -> Index:
        if kb.table not in self._open:
            # Asked before the lock is taken: a server that does not answer must not keep other tables closed.
            built_with = await Index.built_with(self._uri, kb.table)
            if built_with is None and self._read_only:
                raise UnknownKnowledgeBase(MOVED)
            embedder = await (self._embedders.of(built_with) if built_with else self._embedders.wanted(kb.settings))
            async with self._opening:
                if kb.table not in self._open:
                    self._open[kb.table] = await Index.open(self._uri, kb.table, embedder.model)
        return self._open[kb.table]


def next_generation(table: str) -> str:
    """Return the name of the table that is built beside `table` to replace it."""
    return f"{_base(table)}_{int(table.rpartition('_')[2]) + 1}"


def _base(table: str) -> str:
    return table.rpartition("_")[0]
