"""A language model that says what the test wants, behind the interface of OpenAI."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

NAME = "scripted"
ANSWER = "Report it to the security desk within one hour of noticing [1]."
FIRST_WORDS = 4
REWRITTEN = "How quickly must a stolen laptop be reported to the security desk?"


@dataclass
class ScriptedModel:
    """Cites the first passage it is given; `asked` are the conversations it was given, oldest first.

    While `goes_on` is not set, it stops after the first words.
    """

    answer: str = ANSWER
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[list[dict[str, Any]]] = field(default_factory=list)

    def app(self) -> FastAPI:
        """Return the server."""
        app = FastAPI()
        app.add_api_route("/v1/models", self._models)
        app.add_api_route("/v1/embeddings", self._embed, methods=["POST"])
        app.add_api_route("/v1/chat/completions", self._complete, methods=["POST"], response_model=None)
        return app

    def __post_init__(self) -> None:
        self.goes_on.set()

    async def _models(self) -> dict[str, Any]:
        return {"object": "list", "data": [{"id": NAME, "object": "model"}]}

    async def _embed(self, body: dict[str, Any]) -> dict[str, Any]:
        """Open WebUI embeds what is put into its own Knowledge; here every text means the same."""
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [{"object": "embedding", "index": n, "embedding": [1.0, 0.5, 0.25]} for n in range(len(texts))]
        return {"object": "list", "model": NAME, "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body["messages"])
        last = str(body["messages"][-1]["content"])
        given = any("<passage number" in str(message["content"]) for message in body["messages"])
        text = self.answer if given else REWRITTEN if "<conversation>" in last else "Nothing."
        if body.get("stream"):
            return StreamingResponse(self._stream(text), media_type="text/event-stream")
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return JSONResponse({"id": "1", "object": "chat.completion", "model": NAME, "choices": [choice]})

    async def _stream(self, text: str) -> AsyncIterator[str]:
        for number, word in enumerate(re.findall(r"\S+\s*", text)):
            if number == FIRST_WORDS:
                await self.goes_on.wait()
            choice = {"index": 0, "delta": {"content": word}}
            yield f"data: {json.dumps({'id': '1', 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"
        yield "data: [DONE]\n\n"
