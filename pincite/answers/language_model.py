"""A client of any language model behind OpenAI's chat completions: text as it is written, or why there is none.

A server may be down, slow, cut off, or answer something else; each is a `WritingFailed` whose message says which. What
was written until then has been yielded already. Neither prompts nor answers are logged.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import httpx

from pincite.answers.prompting import Message
from pincite.answers.thinking import said

_CONNECT_S = 5.0
# A line of a stream, or a whole answer, above this is none.
_MOST_BYTES = 1 << 20
_FINE = frozenset({"stop", "eos", "end_turn", None})


class WritingFailed(Exception):
    """The language model did not write, or not to the end; the message says why, and can be shown."""


class LanguageModel:
    """A model on a server at `url`; `name` is the one it serves if None, `timeout_s` how long it may be silent."""

    def __init__(
        self, url: str, name: str | None, key: str | None, *, timeout_s: float, max_tokens: int, max_s: float = 300.0
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        path = urlsplit(url).path.rstrip("/")
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/") + ("" if path else "/v1"),
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=_CONNECT_S),
        )
        self._name = name
        self._timeout_s = timeout_s
        self._max_tokens = max_tokens
        self._max_s = max_s

    async def write(self, messages: Sequence[Message], *, max_tokens: int | None = None) -> AsyncGenerator[str, None]:
        """Yield the answer piece by piece, without what the model thinks before it.

        Raises:
            WritingFailed: the server is away, refuses, is silent for too long, breaks off, or answers something else.
        """
        try:
            async with (
                asyncio.timeout(self._max_s),
                aclosing(self._pieces(messages, max_tokens)) as pieces,
                aclosing(said(pieces)) as words,
            ):
                async for piece in words:
                    yield piece
        except httpx.TimeoutException:
            raise WritingFailed(f"the language model was silent for {self._timeout_s:g} s") from None
        except TimeoutError:
            raise WritingFailed(f"the language model did not finish within {self._max_s:g} s") from None
        except httpx.ConnectError:
            raise WritingFailed("the language model's server cannot be reached; see PINCITE_LLM_URL") from None
        except httpx.HTTPError as error:
            raise WritingFailed(f"the language model broke off ({type(error).__name__})") from None

    async def complete(self, messages: Sequence[Message], timeout_s: float, max_tokens: int) -> str:
        """Return a short answer as a whole; raises WritingFailed, at the latest after the timeout."""
        try:
            async with asyncio.timeout(timeout_s), aclosing(self.write(messages, max_tokens=max_tokens)) as pieces:
                return "".join([piece async for piece in pieces]).strip()
        except TimeoutError:
            raise WritingFailed(f"the language model did not answer within {timeout_s:g} s") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _pieces(self, messages: Sequence[Message], max_tokens: int | None) -> AsyncGenerator[str, None]:
        body = {
            "model": await self._served(),
            "messages": list(messages),
            "stream": True,
            "temperature": 0,
            "max_tokens": max_tokens or self._max_tokens,
        }
        encoded = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"Content-Type": "application/json"}
        async with self._client.stream("POST", "/chat/completions", content=encoded, headers=headers) as response:
            if response.is_error:
                raise WritingFailed(_refused(response.status_code))
            if "json" in response.headers.get("content-type", ""):  # it does not stream
                yield _whole(await _read(response))
                return
            async for piece in _streamed(response):
                yield piece

    async def _served(self) -> str:
        """Return the model's name, asking the server once where none is set."""
        if self._name is None:
            response = await self._client.get("/models")
            if response.is_error:
                raise WritingFailed(_refused(response.status_code))
            try:
                self._name = str(response.json()["data"][0]["id"])
            except (ValueError, LookupError, TypeError):
                raise WritingFailed("the language model's server lists no model; set PINCITE_LLM_MODEL") from None
        return self._name


async def _streamed(response: httpx.Response) -> AsyncIterator[str]:
    """Yield the text of an event stream; one that ends without saying so was cut off."""
    understood = False
    async for line in response.aiter_lines():
        if len(line) > _MOST_BYTES:
            raise WritingFailed("the language model sent a line of more than a mebibyte")
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        choice = _choice(data)
        if choice is None:
            continue
        understood = True
        delta = choice.get("delta")
        content = delta.get("content") if isinstance(delta, dict) else None
        if isinstance(content, str) and content:
            yield content
        finish = choice.get("finish_reason")
        if finish == "length":
            raise WritingFailed("the answer reached PINCITE_LLM_MAX_TOKENS")
        if finish == "content_filter":
            raise WritingFailed("the language model's server withheld the answer")
        if finish is not None and finish in _FINE:
            return
    if not understood:
        raise WritingFailed("the language model's server answered something else than chat completions")
    raise WritingFailed("the language model broke off before the end")


def _choice(data: str) -> dict[str, Any] | None:
    """Return the first choice of a chunk; None for a chunk without one, such as one that only counts tokens."""
    try:
        chunk = json.loads(data)
    except ValueError:
        raise WritingFailed("the language model's server sent something that is no JSON") from None
    if isinstance(chunk, dict) and "error" in chunk:
        raise WritingFailed("the language model's server reported an error in the middle of its answer")
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    if not isinstance(choices, list):
        raise WritingFailed("the language model's server sent something else than chat completions")
    return choices[0] if choices and isinstance(choices[0], dict) else None


async def _read(response: httpx.Response) -> bytes:
    received = bytearray()
    async for part in response.aiter_bytes():
        received += part
        if len(received) > _MOST_BYTES:
            raise WritingFailed("the language model sent more than a mebibyte")
    return bytes(received)


def _whole(body: bytes) -> str:
    try:
        return str(json.loads(body)["choices"][0]["message"]["content"] or "")
    except (ValueError, LookupError, TypeError):
        raise WritingFailed("the language model's server answered something else than chat completions") from None


def _refused(status: int) -> str:
    if status in {401, 403}:
        return "the language model's server refused the key; see PINCITE_LLM_KEY"
    if status == 404:
        return "the language model's server has no such model or address; see PINCITE_LLM_MODEL and PINCITE_LLM_URL"
    if status == 429:
        return "the language model's server has too much to do; ask again later"
    return f"the language model's server answered {status}"
