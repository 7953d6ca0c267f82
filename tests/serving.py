"""A real server on a port that the system chooses, in the event loop of the test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp


class Serving(uvicorn.Server):
    """A server that says when it listens, and where."""

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        super().__init__(uvicorn.Config(app, port=port, log_config=None, access_log=False))
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @property
    def port(self) -> int:
        """The port the system chose."""
        return int(self.servers[0].sockets[0].getsockname()[1])


@contextmanager
def listening() -> Iterator[socket.socket]:
    """Yield a socket whose port is known before the application that is to answer on it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


@asynccontextmanager
async def served(app: ASGIApp, listener: socket.socket | None = None) -> AsyncIterator[str]:
    """Run the application, and yield its address."""
    server = Serving(app)
    running = asyncio.create_task(server.serve(sockets=[listener] if listener else None))
    listening = asyncio.create_task(server.listens.wait())
    await asyncio.wait({running, listening}, return_when=asyncio.FIRST_COMPLETED)
    assert not running.done(), running.exception()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.should_exit = True
        await running
