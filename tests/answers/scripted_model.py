"""A language model behind a real server that says what a test tells it to, or goes wrong as a test tells it to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pincite.answers.language_model import LanguageModel
from tests.serving import served

NAME = "scripted"


class ScriptedModel:
    """Answers with `text`, or with what `reply` makes of the messages, some characters at a time.

    `goes` says how: "well", "cut" (the connection ends without an end), "garbage" (no JSON), "other" (JSON of another
    kind), "page" (HTML), "whole" (one JSON object instead of a stream), "silent" (nothing comes), "failing" (status
    500), "length" (the limit is reached), "error" (an error inside the stream). `silent_to` says to which messages
    nothing comes, whatever comes to others.
    """

    def __init__(
        self,
        text: str = "",
        goes: str = "well",
        reply: Callable[[list[dict[str, str]]], str] | None = None,
        silent_to: Callable[[list[dict[str, str]]], bool] = lambda _: False,
    ):
        self.text = text
        self.goes = goes
        self.silent_to = silent_to
        self.reply = reply
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.released = asyncio.Event()

    @property
    def app(self) -> Starlette:
        """The server."""
        return Starlette(
            routes=[
                Route("/v1/models", self._models),
                Route("/v1/chat/completions", self._complete, methods=["POST"]),
            ]
        )

    @asynccontextmanager
    async def serving(self, **more: Any) -> AsyncIterator[LanguageModel]:
        """Yield a client of the running server."""
        async with served(self.app) as address:
            options = {"timeout_s": 30.0, "max_tokens": 500} | more
            model = LanguageModel(address, None, "a key", **options)
            try:
                yield model
            finally:
                self.released.set()
                await model.close()

    async def _models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": NAME, "object": "model"}]})

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        self.keys.append(request.headers.get("authorization"))
        if self.silent_to(body["messages"]):
            return StreamingResponse(self._silence(), media_type="text/event-stream")
        text = self.reply(body["messages"]) if self.reply else self.text
        if self.goes == "failing":
            return JSONResponse({"error": {"message": "a secret of the server"}}, 500)
        if self.goes == "page":
            return Response("<html><p>Welcome to nginx</p></html>", media_type="text/html")
        if self.goes == "whole":
            return JSONResponse({"choices": [{"message": {"role": "assistant", "content": text}}]})
        return StreamingResponse(self._stream(text), media_type="text/event-stream")

    async def _silence(self) -> AsyncIterator[str]:
        await self.released.wait()
        yield "data: [DONE]\n\n"

    async def _stream(self, text: str) -> AsyncIterator[str]:
        for start in range(0, len(text), 5):
            delta = {"content": text[start : start + 5]}
            yield f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': None}]})}\n\n"
        if self.goes == "silent":
            await self.released.wait()
        elif self.goes == "garbage":
            yield 'data: {"choices": [\n\n'
        elif self.goes == "other":
            yield 'data: {"answer": 42}\n\n'
        elif self.goes == "error":
            yield 'data: {"error": {"message": "out of memory"}}\n\n'
        elif self.goes != "cut":
            reason = "length" if self.goes == "length" else "stop"
            yield f"data: {json.dumps({'choices': [{'index': 0, 'delta': {}, 'finish_reason': reason}]})}\n\n"
            yield "data: [DONE]\n\n"
