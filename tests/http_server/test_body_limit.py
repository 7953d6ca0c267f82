"""A body beyond the limit is refused with 413, however it is announced."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from http_server.body_limit import BodyLimit

pytestmark = pytest.mark.anyio


async def length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def client() -> httpx.AsyncClient:
    app = BodyLimit(Starlette(routes=[Route("/", length, methods=["POST"])]), max_bytes=1000)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 100


async def test_a_body_at_the_limit_is_read() -> None:
    async with client() as http:
        assert (await http.post("/", content=b"x" * 1000)).text == "1000"
        assert (await http.post("/", content=pieces(10))).text == "1000"


async def test_a_declared_length_beyond_the_limit_is_refused_unread() -> None:
    async with client() as http:
        answer = await http.post("/", content=b"x" * 1001)
    assert answer.status_code == 413
    assert answer.json()["code"] == "request_too_large"
    assert "1,000 bytes" in answer.json()["detail"]


async def test_a_body_of_unknown_length_is_refused_as_it_grows() -> None:
    async with client() as http:
        answer = await http.post("/", content=pieces(11))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
