"""Who may call over HTTP: the holder of a key, an access token or a session, and where to get a token (RFC 9728)."""

from mcp.server.auth.handlers.metadata import ProtectedResourceMetadataHandler
from mcp.shared.auth import ProtectedResourceMetadata
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pincite.errors import BackendError, NotAuthenticated, NotPermitted, PinciteError
from pincite.settings import Settings
from pincite.workspace import Workspace

METADATA_PATH = "/.well-known/oauth-protected-resource/mcp"
SCOPES = ("pincite:read", "pincite:write")
STATUS: dict[type[PinciteError], tuple[int, str]] = {
    NotAuthenticated: (401, "Not authenticated"),
    NotPermitted: (403, "Not permitted"),
    BackendError: (503, "Cannot be checked now"),
}


def metadata_routes(settings: Settings) -> list[Route]:
    """Return the route of the document that tells clients which authorisation server to ask; none without one."""
    if settings.oauth_issuer is None:
        return []
    metadata = ProtectedResourceMetadata.model_validate(
        {
            "resource": f"{settings.address}/mcp",
            "authorization_servers": [settings.oauth_issuer],
            "scopes_supported": SCOPES,
            "resource_name": "Pincite",
        }
    )
    return [Route(METADATA_PATH, ProtectedResourceMetadataHandler(metadata).handle, methods=["GET"])]


class RequireCredential:
    """Lets through who sends a key or token that was issued, and remembers on the request whose it is."""

    def __init__(self, app: ASGIApp, workspace: Workspace) -> None:
        self.app = app
        self.workspace = workspace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == METADATA_PATH:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        scheme, _, credential = headers.get("authorization", "").partition(" ")
        sent = scheme.lower() == "bearer" and bool(credential.strip())
        try:
            if not sent:
                raise NotAuthenticated("This needs an API key; send it as 'Authorization: Bearer <key>'.")
            # Only what is signed says for whom a program asks; plain headers with a name are nobody's word.
            own, openwebuis = headers.get("pincite-person"), headers.get("x-openwebui-user-jwt")
            principal = await self.workspace.authenticate(
                credential.strip(), own or openwebuis, from_openwebui=own is None and openwebuis is not None
            )
        except (NotAuthenticated, NotPermitted, BackendError) as error:
            await self._refusal(error, sent=sent)(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self.app(scope, receive, send)

    def _refusal(self, error: PinciteError, *, sent: bool) -> JSONResponse:
        status, title = next(told for kind, told in STATUS.items() if isinstance(error, kind))
        return JSONResponse(
            {"code": error.code, "detail": error.message, "status": status, "title": title},
            status_code=status,
            headers={} if isinstance(error, BackendError) else {"WWW-Authenticate": self._challenge(error, sent=sent)},
            media_type="application/problem+json",
        )

    def _challenge(self, error: PinciteError, *, sent: bool) -> str:
        """Return how to authenticate: RFC 6750, 3, with the metadata's address of RFC 9728, 5.1."""
        parts = ['realm="pincite"']
        if isinstance(error, NotPermitted):
            parts.append('error="insufficient_scope"')
        elif sent:
            parts.append('error="invalid_token"')
        settings = self.workspace.settings
        if settings.oauth_issuer is not None:
            parts += [f'scope="{SCOPES[0]}"', f'resource_metadata="{settings.address}{METADATA_PATH}"']
        return f"Bearer {', '.join(parts)}"
