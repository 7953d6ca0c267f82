"""The open index tables: one serves each knowledge base, and an old one goes when its last search has ended."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from pincite.catalog import GENERATED_ID
from pincite.embedders import Embedders
from pincite.errors import UnknownKnowledgeBase
from pincite.index import Index
from pincite.records import KnowledgeBase

MOVED = "The knowledge base was rebuilt or removed a moment ago; try again."


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

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Keep this process from writing, making and deleting tables for the time of the block; searches go on."""
        async with self._opening, AsyncExitStack() as stack:
            for index in list(self._open.values()):
                await stack.enter_async_context(index.still())
            yield

    async def close(self) -> None:
        """Close every table."""
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

    async def _delete(self, table: str) -> None:
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
