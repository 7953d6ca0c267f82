"""Asks a Pincite server over HTTP, in the name of the person in the chat."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx

from plugin.function.wording import say

LIST_TIMEOUT_S = 3.0
CHECK_TIMEOUT_S = 15.0
STATEMENT_LIFETIME_S = 60
STATEMENT_HEADER = "Pincite-Person"


class PinciteFailure(Exception):
    """A search that could not be done; `code` is a problem's code of the server, "unreachable" or "slow"."""

    def __init__(self, code: str, seconds: float = 0.0) -> None:
        super().__init__(code)
        self.code = code
        self.seconds = seconds

    def sentence(self, language: str) -> str:
        """Return the one line that tells a person."""
        try:
            return say(language, self.code, seconds=f"{self.seconds:g}")
        except KeyError:
            return say(language, "other", code=self.code)


def statement(key: str, person: dict[str, Any], now: float) -> str:
    """Return who asks as a JSON Web Token (RFC 7519) that lives a minute, signed with a secret made from
    the key (HS256).

    `person` has `id`, and may have `email`, `name` and `groups`.
    """
    claims = {
        "iss": "pincite-plugin",
        "sub": str(person["id"]),
        "email": str(person.get("email") or ""),
        "name": str(person.get("name") or ""),
        "groups": [str(group) for group in person.get("groups") or []],
        "iat": int(now),
        "exp": int(now) + STATEMENT_LIFETIME_S,
    }
    signed = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(claims)}"
    secret = hashlib.sha256(b"pincite statement\0" + key.encode()).digest()
    return f"{signed}.{_base64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def _encoded(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Pincite:
    """A server at `url`; connections are kept, so one object serves many questions."""

    def __init__(
        self,
        url: str,
        key: str,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._now = now
        self._http = httpx.AsyncClient(base_url=url.rstrip("/"), transport=transport, trust_env=False)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def knowledge_bases(self, person: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the knowledge bases that the key, and the person if there is one, may read.

        Raises:
            PinciteFailure: they could not be listed.
        """
        listed: list[dict[str, Any]] = await self._ask("GET", "/api/knowledge-bases", LIST_TIMEOUT_S, person)
        return listed

    async def documents(self, person: dict[str, Any], knowledge_base: str) -> list[dict[str, Any]]:
        """Return the documents of a knowledge base: those that were indexed, and those that could not be."""
        path = f"/api/knowledge-bases/{knowledge_base}/documents"
        listed: list[dict[str, Any]] = await self._ask("GET", path, LIST_TIMEOUT_S, person)
        return listed

    async def jobs(self, person: dict[str, Any], knowledge_base: str) -> list[dict[str, Any]]:
        """Return the waiting and running jobs of a knowledge base."""
        path = f"/api/knowledge-bases/{knowledge_base}/jobs"
        listed: list[dict[str, Any]] = await self._ask("GET", path, LIST_TIMEOUT_S, person)
        return listed

    async def search(
        self,
        person: dict[str, Any],
        knowledge_base: str | None,
        question: str,
        k: int | None,
        timeout_s: float,
        documents: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Return `passages` (citations, best first), `why` there are none, and `notes`.

        Knowledge base None searches everything; `documents` are the ids of those to search, all where there are none.

        Raises:
            PinciteFailure: the documents could not be searched.
        """
        asked: dict[str, Any] = {"knowledge_base": knowledge_base, "question": question, "k": k}
        if documents:
            asked["filter"] = {"document_ids": list(documents)}
        found: dict[str, Any] = await self._ask("POST", "/api/search", timeout_s, person, asked)
        return found

    async def answer(
        self, person: dict[str, Any], knowledge_bases: list[str], question: str, k: int | None, timeout_s: float
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the chunks of the answer that the server itself writes and checks; the last one has `context`.

        Raises:
            PinciteFailure: it could not answer, or was silent for `timeout_s`.
        """
        asked = {"messages": [{"role": "user", "content": question}], "stream": True, "k": k}
        asked |= {"model": "", "knowledge_base_id": knowledge_bases}
        headers = self._headers(person)
        try:
            async with self._http.stream(
                "POST", "/api/chat/completions", json=asked, headers=headers, timeout=timeout_s
            ) as answer:
                if not answer.is_success:
                    raise _failure(answer.status_code, json.loads(await answer.aread()))
                async for line in answer.aiter_lines():
                    if line.startswith("data: {"):
                        yield json.loads(line.removeprefix("data: "))
        except httpx.TimeoutException:
            raise PinciteFailure("slow", timeout_s) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise PinciteFailure("unreachable") from None

    async def check(
        self, person: dict[str, Any], text: str, passages: list[dict[str, Any]], timeout_s: float = CHECK_TIMEOUT_S
    ) -> list[dict[str, Any]]:
        """Return the sentences of a text that claim something, each with its `status`; `[n]` cites the n-th passage.

        Raises:
            PinciteFailure: they could not be checked.
        """
        asked = {"text": text, "passages": passages}
        checked: dict[str, Any] = await self._ask("POST", "/api/check", timeout_s, person, asked)
        sentences: list[dict[str, Any]] = checked["sentences"]
        return sentences

    def _headers(self, person: dict[str, Any] | None) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._key}"}
        if person is not None:
            headers[STATEMENT_HEADER] = statement(self._key, person, self._now())
        return headers

    async def _ask(
        self,
        method: str,
        path: str,
        timeout_s: float,
        person: dict[str, Any] | None,
        body: dict[str, Any] | None = None,
    ) -> Any:
        try:
            headers = self._headers(person)
            async with asyncio.timeout(timeout_s):  # of httpx, each single read may take as long
                answer = await self._http.request(method, path, json=body, headers=headers, timeout=timeout_s)
            told = answer.json()
        except (httpx.TimeoutException, TimeoutError):
            raise PinciteFailure("slow", timeout_s) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise PinciteFailure("unreachable") from None
        if answer.is_success:
            return told
        raise _failure(answer.status_code, told)


class Connections:
    """The servers asked so far: when an administrator names another, answers in progress go on with theirs."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, str], Pincite] = {}

    def to(self, url: str, key: str) -> Pincite:
        """Return the server at an address, with its connections."""
        if (url, key) not in self._servers:
            self._servers[url, key] = Pincite(url, key)
        return self._servers[url, key]

    async def close(self) -> None:
        """Give all connections back."""
        for server in self._servers.values():
            await server.close()


def _failure(status: int, told: Any) -> PinciteFailure:
    code = told.get("code") if isinstance(told, dict) else None
    return PinciteFailure(str(code or f"HTTP {status}"))
