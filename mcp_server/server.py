"""The MCP server and its transports: streamable HTTP for those who hold an API key, stdio for the local owner."""

from typing import Any
from urllib.parse import urlsplit

from mcp.server.context import ServerRequestContext
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_server.tools import build_server
from pincite.access import Principal
from pincite.errors import NotAuthenticated
from pincite.settings import Settings
from pincite.workspace import Workspace

__all__ = ["build_server", "run_stdio", "streamable_http_app"]

PATH = "/mcp"
# A question of 100,000 Chinese characters, escaped, still reaches the search, which says that it is too long.
MAX_BODY_BYTES = 1024 * 1024
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def streamable_http_app(workspace: Workspace) -> Starlette:
    """Return the ASGI application that answers `/mcp`, stateless; its lifespan has to run around the requests."""
    app = build_server(workspace, _holder_of_the_key).streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,
        max_request_body_size=MAX_BODY_BYTES,
        transport_security=_transport_security(workspace.settings),
    )
    app.add_middleware(_RequireApiKey, workspace=workspace)
    return app


async def run_stdio(workspace: Workspace) -> None:
    """Serve the local owner until the client closes standard input; nothing else may write to standard output."""
    owner = Principal.system()
    await build_server(workspace, lambda _: owner).run_stdio_async()


class _RequireApiKey:
    """Lets through who sends a key that was issued, and remembers on the request whose it is."""

    def __init__(self, app: ASGIApp, workspace: Workspace) -> None:
        self.app = app
        self.workspace = workspace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer" or not key.strip():
                raise NotAuthenticated("This needs an API key; send it as 'Authorization: Bearer <key>'.")
            principal = await self.workspace.authenticate(key.strip())
        except NotAuthenticated as error:
            refusal = JSONResponse(
                {"code": error.code, "detail": error.message, "status": 401, "title": "Not authenticated"},
                status_code=401,
                headers={"WWW-Authenticate": 'Bearer realm="pincite"'},
                media_type="application/problem+json",
            )
            await refusal(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self.app(scope, receive, send)


def _holder_of_the_key(ctx: ServerRequestContext[Any, Any]) -> Principal:
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
