"""Asks one of Open WebUI's own models, as the person in the chat and with their rights."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from plugin.function.thinking import said

SILENCE_TIMEOUT_S = 120.0


class NotWritten(Exception):
    """The model gave no answer; `reason` is one of the sentences "model failed", "model slow", "model refused"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def groups_of(user_id: str) -> list[str]:
    """Return the names of the groups a person is in, as Open WebUI has them."""
    try:
        from open_webui.models.groups import Groups  # type: ignore[import-not-found]
    except ImportError:  # the Pipelines server has no groups
        return []
    return [str(group.name) for group in await Groups.get_groups_by_member_id(user_id)]


async def write(
    request: Any, user: dict[str, Any], model: str, messages: list[dict[str, str]], silence_timeout_s: float
) -> AsyncIterator[str]:
    """Yield the words of the model's answer as they come.

    Raises:
        NotWritten: it may not be used, failed, or was silent for too long.
    """
    lines = _lines(request, user, {"model": model, "messages": messages, "stream": True})
    while True:
        try:
            async with asyncio.timeout(silence_timeout_s):
                line = await anext(lines)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise NotWritten("model slow") from None
        if words := _words(line):
            yield words


async def write_at_once(
    request: Any, user: dict[str, Any], model: str, messages: list[dict[str, str]], timeout_s: float
) -> str:
    """Return the model's whole answer.

    Raises:
        NotWritten: it may not be used, failed, or did not answer in time.
    """
    asked = {"model": model, "messages": messages, "stream": False}
    try:
        answer = await asyncio.wait_for(_completion(request, user, asked), timeout_s)
    except TimeoutError:
        raise NotWritten("model slow") from None
    try:
        return said(str(answer["choices"][0]["message"]["content"] or ""))
    except (KeyError, IndexError, TypeError):
        raise NotWritten("model failed") from None


async def _completion(request: Any, user: dict[str, Any], asked: dict[str, Any]) -> Any:
    from open_webui.models.users import UserModel  # type: ignore[import-not-found]
    from open_webui.utils.chat import generate_chat_completion  # type: ignore[import-not-found]

    # Metadata of its own: what is not given, Open WebUI takes from the chat and changes there.
    asked["metadata"] = {}
    person = UserModel(**{name: value for name, value in user.items() if name != "valves"})
    try:
        return await generate_chat_completion(request, asked, person)
    except asyncio.CancelledError:
        raise
    except Exception as failure:
        refused = getattr(failure, "status_code", 0) in {401, 403, 404} or "not found" in str(failure).lower()
        raise NotWritten("model refused" if refused else "model failed") from None


async def _lines(request: Any, user: dict[str, Any], asked: dict[str, Any]) -> AsyncIterator[str]:
    """Yield the lines of a streamed answer, however it was cut into chunks."""
    body = getattr(await _completion(request, user, asked), "body_iterator", None)
    if body is None:
        raise NotWritten("model failed")
    rest = b""
    async for chunk in body:
        *lines, rest = (rest + (chunk.encode() if isinstance(chunk, str) else bytes(chunk))).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace")
    yield rest.decode("utf-8", "replace")


def _words(line: str) -> str:
    """Return what a line of server-sent events adds to the answer."""
    data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
    if not data or data == "[DONE]":
        return ""
    try:
        event = json.loads(data)
    except ValueError:
        return ""
    if not isinstance(event, dict):
        return ""
    if event.get("error"):
        raise NotWritten("model failed")
    choices = event.get("choices") or [{}]
    return str((choices[0].get("delta") or {}).get("content") or "")
