"""Parts of the house are started again when they die, given up when they keep dying, stopped with all they started."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from supervision import Part, PartFailed, process, ready, supervise
from tests.serving import served

pytestmark = pytest.mark.anyio


def part(*command: str, ready_url: str = "") -> Part:
    return Part("The part", command, os.environ, ready_url)


async def test_a_part_that_keeps_dying_is_started_twice_more_and_named() -> None:
    said: list[str] = []
    with pytest.raises(PartFailed, match="The part ended with status 3, for the third time"):
        await supervise(part(sys.executable, "-c", "raise SystemExit(3)"), said.append)
    assert said == ["The part ended with status 3; it is started again."] * 2


async def test_what_a_part_started_ends_with_it(tmp_path: Path) -> None:
    """Whoever holds the pipe open for writing lives; when the last one is gone, its reader sees the end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    async with process(("sh", "-c", f"exec 9> {pipe}; sleep 1000 & wait"), os.environ):
        reader = await asyncio.to_thread(pipe.open, "rb")  # returns once the other end is open
    assert await asyncio.to_thread(reader.read) == b""
    reader.close()


async def test_a_part_is_ready_when_it_answers_with_success() -> None:
    asked: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        asked.append(str(scope["path"]))
        status = 503 if len(asked) == 1 else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with served(app) as address:
        await ready(part("unused", ready_url=f"{address}/readyz"))
    assert asked == ["/readyz", "/readyz"]
