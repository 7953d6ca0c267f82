"""OpenAI's chat completions: answers with their citations, whole or as they are written."""

import json
import re
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

from http_server.chat_shapes import ChatCompletion, ChatRequest, evidence, finish_reason
from http_server.problems import RequestTooLarge, documented
from http_server.workspace_access import Caller, ServedWorkspace
from pincite.answers import Answer, Event
from pincite.answers.wording import language_of
from pincite.chat_source import Shown, source_data
from pincite.errors import (
    BackendError,
    EmptyQuestion,
    InvalidRequest,
    InvalidResultCount,
    NotAuthenticated,
    QuestionTooLong,
    UnknownKnowledgeBase,
)
from pincite.passage import Passage, SearchResult

PING_S = 15
REFERENCE = re.compile(r"\[(\d{1,3})\]")
LONGEST_REFERENCE = 4
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
        "`[DONE]` has `context` and `answer`. Those with an `event` show a citation in Open WebUI.",
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
    found = await anext(events)  # what cannot be asked is an error with its status, not a stream that breaks off
    assert isinstance(found, SearchResult)
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": asked.model}
    if asked.stream:
        urls = [workspace.view_url(caller, passage) for passage in found.passages]
        sources = Sources(found.passages, urls, language_of(asked.question))
        chunks = _chunks(events, head | {"object": "chat.completion.chunk"}, sources)
        return EventSourceResponse(chunks, ping=PING_S, sep="\n")
    answer = [event async for event in events][-1]
    assert isinstance(answer, Answer)
    message = {"role": "assistant", "content": answer.text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason(answer)}
    whole = head | {"object": "chat.completion", "choices": [choice]}
    return JSONResponse(whole | evidence(answer, [workspace.view_url(caller, each) for each in answer.passages]))


class Sources:
    """The passages as the sources that Open WebUI shows: those that the text cites, and, as it counts, those before."""

    def __init__(self, passages: Sequence[Passage], urls: list[str], language: str) -> None:
        self.urls = urls
        self._passages = passages
        self._language = language
        self._shown = 0
        self._tail = ""

    def cited(self, text: str) -> list[dict[str, Any]]:
        """Return the `source` events that have to be there before a piece of the text is."""
        text = self._tail + text
        self._tail = text[-LONGEST_REFERENCE:]
        highest = max((int(number) for number in REFERENCE.findall(text)), default=0)
        new = range(self._shown, min(max(highest, self._shown), len(self._passages)))
        self._shown = new.stop
        shown = [Shown.of(self._passages[place], self.urls[place]) for place in new]
        return [{"type": "source", "data": source_data(each, self._language)} for each in shown]


async def _chunks(
    events: AsyncGenerator[Event, None], head: dict[str, Any], sources: Sources
) -> AsyncIterator[ServerSentEvent]:
    def chunk(delta: dict[str, str], finished: str | None = None, **more: Any) -> ServerSentEvent:
        choice = {"index": 0, "delta": delta, "finish_reason": finished}
        return ServerSentEvent(json.dumps(head | {"choices": [choice]} | more, ensure_ascii=False))

    yield chunk({"role": "assistant", "content": ""})
    async with aclosing(events):
        async for event in events:
            if isinstance(event, str):
                for source in sources.cited(event):
                    yield chunk({}, event=source)
                yield chunk({"content": event})
            elif isinstance(event, Answer):
                yield chunk({}, finish_reason(event), **evidence(event, sources.urls))
    yield ServerSentEvent("[DONE]")
