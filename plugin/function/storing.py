"""Keeps documents on a Pincite server, with a key that may administer it."""

from collections.abc import AsyncIterator
from typing import Any, Self

import httpx

STORE_TIMEOUT_S = 120.0


class StoreFailure(Exception):
    """Pincite refused or does not answer; the message is its own."""


class Store:
    """The server at `url`; used inside `async with`."""

    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"), headers=headers, timeout=STORE_TIMEOUT_S, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def knowledge_bases(self) -> list[dict[str, Any]]:
        """Return all knowledge bases."""
        listed: list[dict[str, Any]] = await self._ask("GET", "/api/knowledge-bases")
        return listed

    async def make(self, name: str, readers: list[str]) -> dict[str, Any]:
        """Make a knowledge base and return it."""
        form = {"name": name, "settings": {"readers": readers}}
        made: dict[str, Any] = await self._ask("POST", "/api/knowledge-bases", form)
        return made

    async def let_read(self, knowledge_base: str, readers: list[str]) -> None:
        """Change who may read a knowledge base, which is named by its id."""
        await self._ask("PATCH", f"/api/knowledge-bases/{knowledge_base}", {"settings": {"readers": readers}})

    async def drop(self, knowledge_base: str) -> None:
        """Remove a knowledge base with its documents."""
        await self._ask("DELETE", f"/api/knowledge-bases/{knowledge_base}")

    async def documents(self, knowledge_base: str) -> dict[str, dict[str, Any]]:
        """Return the documents of a knowledge base by path."""
        listed = await self._ask("GET", f"/api/knowledge-bases/{knowledge_base}/documents")
        return {document["path"]: document for document in listed}

    async def remove(self, knowledge_base: str, document: str) -> None:
        """Remove a document."""
        await self._ask("DELETE", f"/api/knowledge-bases/{knowledge_base}/documents/{document}")

    async def add(self, knowledge_base: str, path: str, content: bytes) -> str:
        """Index a file and return what became of it: its status, or the reason why it could not be read."""
        base = f"/api/knowledge-bases/{knowledge_base}/documents"
        job = await self._ask("POST", base, files=[("files", (path, content))])
        async for _ in self._lines(f"/api/jobs/{job['id']}/events"):  # it ends with the job
            pass
        job = await self._ask("GET", f"/api/jobs/{job['id']}")
        if not job["results"]:
            return str((job["error"] or {}).get("message", job["state"]))
        result = job["results"][0]
        return str(result["error"]["message"] if result["error"] else result["status"])

    async def _lines(self, path: str) -> AsyncIterator[str]:
        try:
            async with self._http.stream("GET", path, timeout=None) as events:
                async for line in events.aiter_lines():
                    yield line
        except httpx.HTTPError:
            raise StoreFailure("The Pincite server stopped answering while it indexed a document.") from None

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, files: Any = None) -> Any:
        try:
            answer = await self._http.request(method, path, json=body, files=files)
            told = answer.json() if answer.content else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise StoreFailure("The Pincite server does not answer; is it running?") from None
        if answer.is_success:
            return told
        raise StoreFailure(str(told.get("detail")) if isinstance(told, dict) else f"Pincite refused {method} {path}.")
