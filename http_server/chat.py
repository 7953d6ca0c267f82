"""OpenAI's chat completions: answers with their citations, whole or as they are written."""

import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

from http_server.chat_shapes import ChatCompletion, ChatRequest, evidence, finish_reason
from http_server.problems import RequestTooLarge, documented
from http_server.workspace_access import Caller, ServedWorkspace
from pincite.access import Principal
from pincite.answers import Answer, Event
from pincite.errors import (
    BackendError,
    EmptyQuestion,
    InvalidRequest,
    InvalidResultCount,
    NotAuthenticated,
    QuestionTooLong,
    UnknownKnowledgeBase,
)
from pincite.workspace import Workspace

PING_S = 15
ERRORS = documented(
    BackendError,
    EmptyQuestion,
    InvalidRequest,
    InvalidResultCount,
    NotAuthenticated,
    QuestionTooLong,
    RequestTooLarge,
    UnknownKnowledgeBase,
)
RESPONSES: dict[int | str, dict[str, Any]] = ERRORS | {
    200: {
        "description": "The answer; with `stream`, as `chat.completion.chunk` events, of which the last one before "
        "`[DONE]` has `context` and `answer`.",
        "content": {"text/event-stream": {}},
    }
}

router = APIRouter(tags=["answers"])


@router.post("/v1/chat/completions", response_model=ChatCompletion, responses=RESPONSES)
@router.post("/api/chat/completions", response_model=ChatCompletion, responses=RESPONSES)
async def complete_chat(asked: ChatRequest, caller: Caller, workspace: ServedWorkspace) -> Response:
    """Answer the last question of a conversation from knowledge bases, each sentence with the passages it cites."""
    where = asked.filter.to_search() if asked.filter else None
    events = workspace.answer(
        caller,
        asked.knowledge_bases,
        asked.question,
        k=asked.k,
        where=where,
        history=asked.history,
        helps=asked.query_help.model_dump(exclude_none=True) if asked.query_help else None,
    )
    await anext(events)  # what cannot be asked is an error with its status, not a stream that breaks off
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": asked.model}
    if asked.stream:
        chunks = _chunks(events, head | {"object": "chat.completion.chunk"}, workspace, caller)
        return EventSourceResponse(chunks, ping=PING_S, sep="\n")
    answer = [event async for event in events][-1]
    assert isinstance(answer, Answer)
    message = {"role": "assistant", "content": answer.text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason(answer)}
    whole = head | {"object": "chat.completion", "choices": [choice]}
    return JSONResponse(whole | evidence(answer, _urls(answer, workspace, caller)))


async def _chunks(
    events: AsyncGenerator[Event, None], head: dict[str, Any], workspace: Workspace, caller: Principal
) -> AsyncIterator[ServerSentEvent]:
    def chunk(delta: dict[str, str], finished: str | None = None, **more: Any) -> ServerSentEvent:
        choice = {"index": 0, "delta": delta, "finish_reason": finished}
        return ServerSentEvent(json.dumps(head | {"choices": [choice]} | more, ensure_ascii=False))

    yield chunk({"role": "assistant", "content": ""})
    async with aclosing(events):
        async for event in events:
            if isinstance(event, str):
                yield chunk({"content": event})
            elif isinstance(event, Answer):
                yield chunk({}, finish_reason(event), **evidence(event, _urls(event, workspace, caller)))
    yield ServerSentEvent("[DONE]")


def _urls(answer: Answer, workspace: Workspace, caller: Principal) -> list[str]:
    return [workspace.view_url(caller, passage) for passage in answer.passages]
