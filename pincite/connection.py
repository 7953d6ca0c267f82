"""A connection to a server, made when it is first needed and shared by everyone after."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

from embedding_backend import BackendFailure


class Closable(Protocol):
    """What is given back when it is no longer needed."""

    async def close(self) -> None:
        """Give back what it holds."""
        ...


Connected = TypeVar("Connected", bound=Closable)


class Connection(Generic[Connected]):
    """What `connect` returns, once; after a failure the next one who asks tries again."""

    def __init__(self, connect: Callable[[], Coroutine[Any, Any, Connected]]) -> None:
        self._connect = connect
        self._connecting: asyncio.Task[Connected] | None = None

    async def get(self) -> Connected:
        """Return what is connected; who asks while the connection is being made waits for the same one.

        Raises:
            BackendFailure: there is no connection to be had.
        """
        connecting = self._connecting
        if connecting is None:
            connecting = self._connecting = asyncio.create_task(self._connect())
        try:
            return await asyncio.shield(connecting)
        except BackendFailure:
            if self._connecting is connecting:
                self._connecting = None
            raise

    @property
    def made(self) -> Connected | None:
        """What is connected, None if nothing is yet."""
        done = self._connecting if self._connecting is not None and self._connecting.done() else None
        return done.result() if done is not None and not done.cancelled() and done.exception() is None else None

    async def close(self) -> None:
        """Close what was connected."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        if (connected := self.made) is not None:
            await connected.close()
