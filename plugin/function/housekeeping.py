"""What Open WebUI asks of a chat's model besides answers: titles, tags, follow-up questions. Nothing is searched."""

import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from plugin.function.conversation import questions
from plugin.function.writing import NotWritten

TITLE_LENGTH = 60
HOUSEKEEPING_TIMEOUT_S = 60.0


def completion(model: str, text: str, **more: Any) -> dict[str, Any]:
    """Return a text as a chat completion in OpenAI's shape."""
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        **more,
    }


async def housekeep(
    task: str,
    body: dict[str, Any],
    chat: dict[str, Any],
    ask_model: Callable[[list[dict[str, str]], float], Awaitable[str]] | None,
) -> dict[str, Any]:
    """Return what the answering model says to a task; without one, the question's beginning as title, and no more."""
    model = str(body.get("model", ""))
    if ask_model is not None:
        try:
            return completion(model, await ask_model(body.get("messages") or [], HOUSEKEEPING_TIMEOUT_S))
        except NotWritten:
            pass
    asked = questions(chat.get("messages") or [])
    title = " ".join(asked[0].split()) if asked else "Pincite"
    told = {
        "title_generation": {"title": title if len(title) <= TITLE_LENGTH else title[:TITLE_LENGTH].rstrip() + "…"},
        "tags_generation": {"tags": []},
        "follow_up_generation": {"follow_ups": []},
        "query_generation": {"queries": []},
    }
    return completion(model, json.dumps(told[task], ensure_ascii=False) if task in told else "")
