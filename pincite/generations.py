"""The open index tables: one serves each knowledge base, and an old one goes when its last search has ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from embedding_backend import EmbeddingModel
from pincite.errors import UnknownKnowledgeBase
from pincite.index import Index


class Generations:
    """Index tables opened at first use and shared by everyone after."""

    def __init__(self, uri: str, model: EmbeddingModel) -> None:
        self._uri = uri
        self._model = model
        self._open: dict[str, Index] = {}
        self._users: dict[str, int] = {}
        self._dropped: set[str] = set()
        self._opening = asyncio.Lock()
        self._idle = asyncio.Condition()

    @asynccontextmanager
    async def use(self, table: str) -> AsyncIterator[Index]:
        """Yield the index of a table, which stays open at least until the end of the block.

        Raises:
            IndexMismatch: it was built with another embedding model.
            UnknownKnowledgeBase: it has been dropped since the caller learnt its name.
        """
        if table in self._dropped:
            raise UnknownKnowledgeBase("The knowledge base was rebuilt or removed a moment ago; try again.")
        self._users[table] = self._users.get(table, 0) + 1
        try:
            yield await self._index(table)
        finally:
            self._users[table] -= 1
            if self._users[table] == 0:
                del self._users[table]
                async with self._idle:
                    self._idle.notify_all()

    async def drop(self, table: str) -> None:
        """Delete a table once nobody uses it."""
        self._dropped.add(table)
        async with self._idle:
            await self._idle.wait_for(lambda: table not in self._users)
        index = self._open.pop(table, None)
        if index is not None:
            await index.close()
        await Index.drop(self._uri, table)

    async def discard(self, table: str) -> None:
        """Delete what an interrupted build left of a table that has never served."""
        await Index.drop(self._uri, table)

    async def maintain(self) -> None:
        """Optimise and clean up every open table."""
        for table in list(self._open):
            async with self.use(table) as index:
                await index.maintain()

    async def close(self) -> None:
        """Close every table."""
        for index in self._open.values():
            await index.close()
        self._open.clear()

    async def _index(self, table: str) -> Index:
        async with self._opening:
            if table not in self._open:
                self._open[table] = await Index.open(self._uri, table, self._model)
            return self._open[table]


def next_generation(table: str) -> str:
    """Return the name of the table that is built beside `table` to replace it."""
    base, _, number = table.rpartition("_")
    return f"{base}_{int(number) + 1}"
