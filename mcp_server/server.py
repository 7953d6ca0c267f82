"""The MCP server and its transports: streamable HTTP for those who hold a key or token, stdio for the local owner."""

from typing import Any
from urllib.parse import urlsplit

from mcp.server.context import ServerRequestContext
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request

from mcp_server.authentication import METADATA_PATH, RequireCredential, metadata_routes
from mcp_server.forwarding import ByTheServer
from mcp_server.toolbox import Toolbox
from mcp_server.tools import build_server
from pincite.access import Principal
from pincite.settings import Settings
from pincite.workspace import Workspace

__all__ = ["METADATA_PATH", "build_server", "over_http", "run_stdio", "streamable_http_app"]

PATH = "/mcp"
# A question of 100,000 Chinese characters, escaped, still reaches the search, which says that it is too long.
MAX_BODY_BYTES = 1024 * 1024
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def streamable_http_app(workspace: Workspace) -> Starlette:
    """Return the ASGI application that answers `/mcp`, stateless; its lifespan has to run around the requests."""
    return over_http(build_server(workspace, holder_of_the_credential), workspace)


def over_http(server: Toolbox, workspace: Workspace) -> Starlette:
    """Put a server of this package behind the transport: keys and tokens, hosts and origins, both eras, no session."""
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,
        max_request_body_size=MAX_BODY_BYTES,
        transport_security=_transport_security(workspace.settings),
    )
    app.router.routes += metadata_routes(workspace.settings)
    app.add_middleware(RequireCredential, workspace=workspace)
    return app


async def run_stdio(workspace: Workspace, *, write: bool = False) -> None:
    """Serve the local owner until the client closes standard input; nothing else may write to standard output.

    With `write` documents are added and removed too, by the server that runs on the data folder.
    """
    owner = Principal.system()
    management = ByTheServer(workspace.settings.data) if write else None
    await build_server(workspace, lambda _: owner, management).run_stdio_async()


def holder_of_the_credential(ctx: ServerRequestContext[Any, Any]) -> Principal:
    """Return whose key or token came with an HTTP request."""
    request: Request = ctx.request  # type: ignore[assignment]  # over HTTP there always is one
    principal: Principal = request.state.principal
    return principal


def _transport_security(settings: Settings) -> TransportSecuritySettings:
    """Allow the server's own names and those of the settings, so that no web page reaches it by rebinding a name.

    The list of https://modelcontextprotocol.io/specification, "Security": Host and Origin are both checked.
    """
    own = urlsplit(settings.address)
    names = {*LOOPBACK, own.netloc.rpartition("@")[2], own.hostname or "", *settings.allowed_hosts} - {""}
    hosts = sorted(names | {f"{name}:*" for name in names if not name.endswith(":*")})
    origins = sorted({f"{own.scheme}://{own.netloc}", *settings.allowed_origins, *_loopback_origins()})
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)


def _loopback_origins() -> list[str]:
    return [f"http://{name}:*" for name in LOOPBACK]
