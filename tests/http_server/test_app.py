"""One application holds REST, the viewer and, beside them, whatever answers MCP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from http_server.app import create_app
from pincite.settings import load_settings
from pincite.workspace import Workspace
from tests.http_server.sample_workspace import ADMIN_KEY, BASE, Served

pytestmark = pytest.mark.anyio


def client(app: Starlette) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, headers=headers)


async def test_mcp_answers_at_its_exact_address_within_its_own_lifespan(library: Served) -> None:
    running = asyncio.Event()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        running.set()
        yield
        running.clear()

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.method} {request.url.path} {running.is_set()}")

    mcp = Starlette(routes=[Route("/mcp", answer, methods=["GET", "POST"])], lifespan=lifespan)
    app = create_app(library.workspace, mcp)
    async with app.router.lifespan_context(app), client(app) as http:
        assert (await http.post("/mcp", json={})).text == "POST /mcp True"
        assert 'route="/mcp",status="200"' in (await http.get("/metrics")).text
    assert not running.is_set()


async def test_without_mcp_its_address_is_unknown(library: Served) -> None:
    async with client(create_app(library.workspace)) as http:
        assert (await http.post("/mcp", json={})).status_code == 404


async def test_a_browser_page_may_call_only_from_an_allowed_origin(tmp_path_factory: pytest.TempPathFactory) -> None:
    origin = "https://desk.example.com"
    settings = load_settings(data=tmp_path_factory.mktemp("cors"), allowed_origins=(origin,))
    async with client(create_app(Workspace(settings))) as http:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        allowed = await http.options("/api/search", headers={"Origin": origin, **asked})
        assert allowed.headers["access-control-allow-origin"] == origin
        refused = await http.options("/api/search", headers={"Origin": "https://evil.example.com", **asked})
        assert "access-control-allow-origin" not in refused.headers
