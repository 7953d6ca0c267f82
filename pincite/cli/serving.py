"""`pincite serve` and `pincite mcp`: the only place where the doors and the knowledge base are put together."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pincite.settings import Settings
    from pincite.workspace import Workspace

SHUTDOWN_S = 5  # Docker kills ten seconds after it has asked, and the workspace is closed after this
BACKLOG = 512


def serve(
    host: Annotated[str | None, typer.Option(help="The address to bind; PINCITE_HOST if unset.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to bind; PINCITE_PORT if unset.")] = None,
) -> int:
    """Run the server: REST, the page viewer and MCP in one process, the only writer of its data folder."""
    from pincite.settings import load_settings

    given = {"host": host, "port": port}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    _log_to_stderr(settings)
    _give_memory_back()
    return asyncio.run(_serve(settings))


def mcp(
    write: Annotated[
        bool, typer.Option("--write", help="Let the agent add and remove documents too; needs `pincite serve`.")
    ] = False,
) -> int:
    """Run the MCP server over stdio on the data folder, for an agent on this machine; it only reads."""
    from pincite.settings import load_settings

    settings = load_settings()
    _log_to_stderr(settings)
    return asyncio.run(_mcp(settings, write=write))


def _give_memory_back() -> None:
    """Make the C library return what is freed: a server lives long, and by default keeps the most it ever used.

    Measured after indexing the samples: 918 MB resident instead of 1,001. The numbers are those of mallopt(3); a C
    library without it, such as musl, returns memory by itself.
    """
    import ctypes

    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_trim_threshold, m_arena_max = -1, -8
        mallopt(m_arena_max, 2)
        mallopt(m_trim_threshold, 100_000)


async def _serve(settings: "Settings") -> int:
    from http_server.app import create_app
    from mcp_server.server import streamable_http_app
    from pincite.workspace import Workspace

    with _bind(settings) as listener:
        # The port the listener has, where the system was to choose one.
        bound = settings.model_copy(update={"port": listener.getsockname()[1]})
        async with Workspace(bound) as workspace:
            await workspace.wait_for_embedding()
            app = create_app(workspace, streamable_http_app(workspace))
            workspace.begin_service()
            await _greet(workspace)
            workspace.announce(_local_url(bound))
            gc.freeze()  # what the start has made stays; looking through all of it again and again costs 0.15 s a time
            await _run(app, listener)
    return 0


async def _mcp(settings: "Settings", *, write: bool) -> int:
    from mcp_server.server import run_stdio
    from pincite.workspace import Workspace

    async with Workspace(settings, read_only=True) as workspace:
        await run_stdio(workspace, write=write)
    return 0


async def _run(app: Any, listener: socket.socket) -> None:
    """Run the application until the process is told to end."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            # Uvicorn's own sends the signal again once it is done, which would end the process with the workspace open.
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.handle_exit, number, None)
            yield

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # it would write viewer links with their tokens
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    await Server(config).serve(sockets=[listener])


@contextmanager
def _bind(settings: "Settings") -> Iterator[socket.socket]:
    """Yield a listening socket.

    Raises:
        InvalidSettings: the address cannot be bound.
    """
    from pincite.errors import InvalidSettings

    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named, or asyncio does not switch Nagle's algorithm off for what is accepted here: an answer's
    # headers and body are two writes, and the second would wait 40 ms for the first to be acknowledged.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
            listener.listen(BACKLOG)
        except OSError as error:
            raise InvalidSettings(
                f"Port {settings.port} on {settings.host} cannot be bound ({error.strerror}); "
                "stop the program that uses it, or set PINCITE_PORT."
            ) from None
        yield listener


async def _greet(workspace: "Workspace") -> None:
    address = workspace.settings.address
    typer.echo(f"Pincite serves {address}  (REST {address}/api, viewer {address}/view, MCP {address}/mcp)")
    first_key = await workspace.keyring.issue_first()
    if first_key is not None:
        typer.echo(f"The administrator's API key, shown only this once:\n\n    {first_key}\n")
    sys.stdout.flush()


def _local_url(settings: "Settings") -> str:
    """Return the address this machine reaches the server at, whatever the public one is."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - not bound here
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _log_to_stderr(settings: "Settings") -> None:
    import logging

    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr, format=form)
    # It logs the address of every request it makes.
    logging.getLogger("httpx").setLevel(logging.WARNING)
