"""A language model that calls one tool and answers from what it returned, behind the interface of OpenAI."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

NAME = "tool-calling"
SEARCH = "pincite_search"
NOTHING = "The documents do not say."


def quoting_the_first(result: dict[str, Any]) -> str:
    """Return an answer from the first passage, cited as the tool says."""
    first = next(iter(result["results"]), None)
    if first is None:
        return NOTHING
    return f"One hour after noticing, as {first['title']} has it {first['citation']}."


@dataclass
class ToolCallingModel:
    """Calls the search of Pincite with the question; `results` are what the tool returned, oldest first."""

    answer: Callable[[dict[str, Any]], str] = quoting_the_first
    results: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> FastAPI:
        """Return the server."""
        app = FastAPI()
        app.add_api_route("/v1/models", self._models)
        app.add_api_route("/v1/chat/completions", self._complete, methods=["POST"], response_model=None)
        return app

    async def _models(self) -> dict[str, Any]:
        return {"object": "list", "data": [{"id": NAME, "object": "model"}]}

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        message = self._reply(body)
        if body.get("stream"):
            return StreamingResponse(self._stream(message), media_type="text/event-stream")
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return JSONResponse({"id": "1", "object": "chat.completion", "model": NAME, "choices": [choice]})

    def _reply(self, body: dict[str, Any]) -> dict[str, Any]:
        last = body["messages"][-1]
        if last["role"] == "tool":
            self.results.append(json.loads(last["content"]))
            return {"role": "assistant", "content": self.answer(self.results[-1])}
        offered = {tool["function"]["name"] for tool in body.get("tools") or []}
        if SEARCH not in offered:
            return {"role": "assistant", "content": "Nothing."}
        function = {"name": SEARCH, "arguments": json.dumps({"query": last["content"]})}
        return {"role": "assistant", "tool_calls": [{"id": "call", "type": "function", "function": function}]}

    async def _stream(self, message: dict[str, Any]) -> AsyncIterator[str]:
        calls = [{"index": number, **call} for number, call in enumerate(message.get("tool_calls", []))]
        delta = {"tool_calls": calls} if calls else {"content": message["content"]}
        for choice in (
            {"index": 0, "delta": delta},
            {"index": 0, "delta": {}, "finish_reason": "tool_calls" if calls else "stop"},
        ):
            yield f"data: {json.dumps({'id': '1', 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"
        yield "data: [DONE]\n\n"
