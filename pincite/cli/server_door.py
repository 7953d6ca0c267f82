"""A data folder by way of the server that runs on it: its REST interface, with the local owner's token."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import quote

import httpx

from pincite.cli.door import Shape, Stream, absolute_source
from pincite.data_lock import RunningServer
from pincite.errors import BackendError, PinciteError, UnknownKnowledgeBase
from pincite.incoming import SourceOptions

TIMEOUT = httpx.Timeout(120.0, connect=5.0)
# A file system without links copies everything before the first byte comes.
BACKUP_TIMEOUT = httpx.Timeout(3600.0, connect=5.0)
POLL_S = 0.2
FINISHED = frozenset({"done", "failed", "cancelled"})


class ServerDoor:
    """The server's REST interface as the commands see it."""

    viewer_runs = True

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @classmethod
    @asynccontextmanager
    async def connect(cls, server: RunningServer) -> AsyncIterator[Self]:
        """Yield a connection; the environment's proxies are not asked, the server is on this machine."""
        headers = {"Authorization": f"Bearer {server.token}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=TIMEOUT, trust_env=False) as client:
            yield cls(client)

    async def knowledge_bases(self) -> list[Shape]:
        return list(await self._ask("GET", "/api/knowledge-bases"))

    async def documents(self, kb: str) -> list[Shape]:
        return list(await self._ask("GET", f"/api/knowledge-bases/{_part(kb)}/documents"))

    async def add(self, kb: str, sources: Sequence[str], options: SourceOptions) -> AsyncIterator[Shape]:
        try:
            await self._ask("GET", f"/api/knowledge-bases/{_part(kb)}")
        except UnknownKnowledgeBase:
            await self._ask("POST", "/api/knowledge-bases", {"name": kb})
        for source in sources:
            added = {
                "url": absolute_source(source),
                "include": options.include,
                "exclude": options.exclude,
                "watched": options.watched,
                "remove_vanished": options.remove_vanished,
            }
            job = await self._ask("POST", f"/api/knowledge-bases/{_part(kb)}/documents", added)
            async for snapshot in self._followed(job):
                yield snapshot

    async def retry(self, job_id: str) -> AsyncIterator[Shape]:
        async for snapshot in self._followed(await self._ask("POST", f"/api/jobs/{_part(job_id)}/retry")):
            yield snapshot

    async def repair(self, kb: str) -> AsyncIterator[Shape]:
        async for snapshot in self._followed(await self._ask("POST", f"/api/knowledge-bases/{_part(kb)}/repair")):
            yield snapshot

    async def _followed(self, job: Shape) -> AsyncIterator[Shape]:
        yield job
        told = len(job["results"])
        while job["state"] not in FINISHED:
            await asyncio.sleep(POLL_S)
            job = await self._ask("GET", f"/api/jobs/{job['id']}?since={told}")
            told += len(job["results"])
            yield job

    async def jobs(self, kb: str) -> list[Shape]:
        return list(await self._ask("GET", f"/api/knowledge-bases/{_part(kb)}/jobs?finished=true"))

    async def cancel(self, job_id: str) -> None:
        await self._ask("DELETE", f"/api/jobs/{_part(job_id)}")

    async def sources(self, kb: str) -> list[Shape]:
        return list(await self._ask("GET", f"/api/knowledge-bases/{_part(kb)}/sources"))

    async def remove_source(self, kb: str, source_id: str) -> None:
        await self._ask("DELETE", f"/api/knowledge-bases/{_part(kb)}/sources/{_part(source_id)}")

    async def search(self, kb: str, question: str, k: int | None) -> Shape:
        asked: Shape = {"knowledge_base": kb, "question": question}
        return dict(await self._ask("POST", "/api/search", asked if k is None else asked | {"k": k}))

    async def ask(self, kb: str, question: str, k: int | None) -> Shape:
        asked: Shape = {"knowledge_base_id": kb, "messages": [{"role": "user", "content": question}]}
        told = await self._ask("POST", "/api/chat/completions", asked if k is None else asked | {"k": k})
        return {**told["answer"], "text": told["choices"][0]["message"]["content"], "context": told["context"]}

    async def change_settings(self, kb: str, changes: Shape) -> Shape:
        changed = await self._ask("PATCH", f"/api/knowledge-bases/{_part(kb)}", {"settings": changes})
        return dict(changed["settings"])

    async def remove_document(self, kb: str, document_id: str) -> None:
        await self._ask("DELETE", f"/api/knowledge-bases/{_part(kb)}/documents/{_part(document_id)}")

    async def remove_knowledge_base(self, kb: str) -> None:
        await self._ask("DELETE", f"/api/knowledge-bases/{_part(kb)}")

    @asynccontextmanager
    async def backup(self) -> AsyncIterator[Stream]:
        try:
            async with self._client.stream("GET", "/api/backup", timeout=BACKUP_TIMEOUT) as response:
                if response.is_error:
                    await response.aread()
                    raise _error(response)
                yield Stream(int(response.headers["Content-Length"]), response.aiter_bytes())
        except httpx.HTTPError as error:
            raise _silent(error) from None

    async def _ask(self, method: str, path: str, body: Shape | None = None) -> Any:
        try:
            response = await self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise _silent(error) from None
        if response.is_error:
            raise _error(response)
        return response.json() if response.content else None


def _silent(error: httpx.HTTPError) -> BackendError:
    return BackendError(f"The server on this data folder does not answer ({type(error).__name__}); see its log.")


def _part(text: str) -> str:
    return quote(text, safe="")


def _error(response: httpx.Response) -> PinciteError:
    """Return the error a problem detail stands for, as its own class."""
    try:
        problem = response.json()
        code, detail = str(problem["code"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return BackendError(f"The server answered {response.status_code} without saying why; see its log.")
    kinds: dict[str, type[PinciteError]] = {}
    pending = [PinciteError]
    while pending:
        kind = pending.pop()
        kinds.setdefault(kind.code, kind)
        pending += kind.__subclasses__()
    return kinds.get(code, PinciteError)(detail)
