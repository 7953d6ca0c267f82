"""The web application: the REST interface, the viewer, the operators' addresses, and MCP beside them."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from http_server import chat, checking, documents, jobs, knowledge_bases, models, operations, searching, sources
from http_server.body_limit import BodyLimit
from http_server.metrics import Metrics, Observed
from http_server.problems import Problem, handle_problems
from http_server.security_headers import SecurityHeaders
from http_server.viewer import routes as viewer
from pincite.workspace import Workspace

VERSION = "1"
# Exact paths: a mount would redirect to "/mcp/". The other one tells MCP clients where to get an access token.
MCP_PATHS = ("/mcp", "/.well-known/oauth-protected-resource/mcp")
DESCRIPTION = """Documents in, cited passages out: every passage names its exact page, section and boxes, and its `url`
opens that page with the passage marked. Every error is a problem detail (RFC 9457) with a stable `code`."""


def create_app(workspace: Workspace, mcp_app: ASGIApp | None = None) -> FastAPI:
    """Return the application that serves an open `workspace`; `mcp_app` answers `MCP_PATHS`.

    The caller opens and closes the workspace. The application has no state of its own besides its meters, so that
    several may serve one workspace. The server in front must not log queries: viewer links carry their token there.
    """
    metrics = Metrics()
    app = FastAPI(
        title="Pincite",
        version=VERSION,
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        lifespan=_lifespan(mcp_app),
    )
    app.state.workspace = workspace
    app.state.metrics = metrics
    handle_problems(app)
    if mcp_app is not None:  # first, because every route before one is tried for each of its requests
        app.router.routes += [Route(path, endpoint=mcp_app) for path in MCP_PATHS]
    for part in (knowledge_bases, documents, sources, jobs, searching, chat, checking, models, operations, viewer):
        app.include_router(part.router)
    _publish_problem_schema(app)

    app.add_middleware(BodyLimit)
    if workspace.settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=workspace.settings.allowed_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Location", "Retry-After"],
        )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Observed, metrics=metrics)
    return app


def _lifespan(mcp_app: ASGIApp | None) -> Any:
    """Run the MCP app's own start and stop, which an app that is only routed to would not get."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        inner: AbstractAsyncContextManager[Any] = nullcontext()
        router = getattr(mcp_app, "router", None)
        if router is not None:
            inner = router.lifespan_context(mcp_app)
        async with inner:
            yield

    return lifespan


def _publish_problem_schema(app: FastAPI) -> None:
    """Add the schema that the documented errors refer to, which no route returns as its model."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        published = generate()
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = published.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(schema.pop("$defs", {}))
        schemas["Problem"] = schema
        # FastAPI documents a shape of validation errors of its own, which this app never sends.
        if schemas.pop("HTTPValidationError", None) and schemas.pop("ValidationError"):
            for path in published["paths"].values():
                for operation in path.values():
                    if "HTTPValidationError" in str(operation["responses"].get("422")):
                        del operation["responses"]["422"]
        return published

    app.openapi = openapi  # type: ignore[method-assign]
