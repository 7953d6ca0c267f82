"""The use cases of Pincite, the same for every door: each takes who asks first, and checks what they may do."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from embedding_backend import Embedder
from pincite.access import Principal
from pincite.assembly import Backends, ConnectReranker, Parts, open_parts
from pincite.backup import Backup
from pincite.catalog import GENERATED_ID
from pincite.embedders import ConnectEmbedder
from pincite.errors import (
    DataFolderBusy,
    InvalidRequest,
    InvalidSettings,
    NotPermitted,
    UnknownKnowledgeBase,
)
from pincite.incoming import SourceOptions
from pincite.ingestion import UploadedFile
from pincite.reading import Reading
from pincite.records import Job, KnowledgeBase
from pincite.service import Service
from pincite.settings import KnowledgeBaseSettings, Settings
from pincite.snapshot import Snapshot, take, take_locked

MAX_NAME_LENGTH = 100
MAX_SOURCE_LENGTH = 4000


class Workspace(Reading):
    """An open data folder: the use cases that read, which `Reading` has, and those that write.

    With `read_only` nothing is written, and another process may write the folder at the same time. `embedder`,
    `connect` and `connect_reranker` stand in for the embedded model and for the servers that the settings name.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        embedder: Embedder | None = None,
        connect: ConnectEmbedder | None = None,
        connect_reranker: ConnectReranker | None = None,
        read_only: bool = False,
    ) -> None:
        super().__init__(settings)
        self._embedder = embedder
        self._connect = connect
        self._connect_reranker = connect_reranker
        self._read_only = read_only
        self._stack = AsyncExitStack()
        self._service: Service | None = None

    async def __aenter__(self) -> Self:
        """Open the data folder.

        Raises:
            DataFolderBusy: another process writes it.
            CatalogMismatch: it was made by another version.
        """
        async with AsyncExitStack() as stack:
            backends = Backends(self._embedder, self._connect, self._connect_reranker)
            parts = await open_parts(self.settings, backends, read_only=self._read_only, stack=stack)
            self._parts, self._service = parts, Service(self.settings, parts)
            stack.push_async_callback(self._service.close)
            if not self._read_only:
                await self._service.resume()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def read_only(self) -> bool:
        """Whether every use case that writes is refused here."""
        return self._read_only

    # What runs beside the requests

    @property
    def incoming(self) -> Path:
        """The folder to receive uploads in, on the file system of the store, so that they need not be copied."""
        return self._opened.store.incoming

    def announce(self, url: str) -> None:
        """Tell commands on this data folder that a server runs at `url`."""
        lock = self._writer.lock
        assert lock is not None
        lock.announce(url)

    def begin_service(self) -> None:
        """Load the model, bring outdated knowledge bases up to date and keep the index tidy, beside the requests."""
        assert self._service is not None
        self._service.begin()

    async def wait_for_embedding(self) -> None:
        """Wait until the embedding servers, where there are any, can be used.

        Raises:
            BackendError: they could not within PINCITE_EMBEDDING_WAIT_S; the message says why.
        """
        await self._opened.embedders.wait(self.settings.embedding_wait_s)

    async def check_backends(self) -> list[dict[str, Any]]:
        """Ask the models in use how they are: `backend`, `model`, `dimensions`, and `state`, "ok" or why not."""
        assert self._service is not None
        return await self._service.check_backends()

    async def health(self) -> dict[str, Any]:
        """Say whether questions can be answered: `ready`, and the state of each part."""
        assert self._service is not None
        return await self._service.health()

    # Knowledge bases

    async def create_knowledge_base(
        self, who: Principal, name: str, settings: dict[str, Any] | None = None
    ) -> KnowledgeBase:
        """Make an empty knowledge base; `settings` are those that differ from this server's defaults.

        Raises:
            InvalidSettings: a setting is unknown, its value not allowed, or not here.
            NotPermitted: the key lacks the admin scope.
            NameTaken, InvalidRequest: the name is in use, or cannot be one.
            BackendError: the embedding model does not answer.
        """
        who.require_admin()
        parts = self._writer
        valid_name = _valid_name(name)
        chosen = KnowledgeBaseSettings(embedding_model=parts.embedders.default).changed(settings or {})
        await self._check(chosen, chosen.model_dump().keys())
        created = await asyncio.to_thread(parts.catalog.create_knowledge_base, valid_name, chosen)
        async with parts.generations.use(created):
            return created

    async def update_knowledge_base(self, who: Principal, kb: str, changes: dict[str, Any]) -> KnowledgeBase:
        """Change settings; where passages become others, the next generation of the index is built beside this one.

        Raises:
            InvalidSettings: a setting is unknown, its value not allowed, or not here.
            NotPermitted: the key lacks the admin scope.
            BackendError: the embedding model that is to be used does not answer.
        """
        found = await self.knowledge_base(who, kb)
        who.require_admin()
        parts = self._writer
        settings = found.settings.changed(changes)
        await self._check(settings, changes.keys())
        await asyncio.to_thread(parts.catalog.update_settings, found.id, settings)
        assert self._service is not None
        await self._service.update_if_outdated(found.id)
        return await self.knowledge_base(who, found.id)

    async def _check(self, settings: KnowledgeBaseSettings, chosen: Collection[str]) -> None:
        """Refuse a setting that was chosen and that this server has no model for."""
        if {"embedding_model", "dimensions"} & set(chosen):
            await self._opened.embedders.wanted(settings)
        if "rerank" in chosen and settings.rerank and self._opened.reranking is None:
            raise InvalidSettings(
                "rerank needs a reranker: set PINCITE_RERANKER_URL and restart, or leave rerank=false"
            )

    async def remove_knowledge_base(self, who: Principal, kb: str) -> None:
        """Remove a knowledge base with its documents; its running jobs are cancelled.

        Raises:
            NotPermitted: the key lacks the admin scope.
        """
        found = await self.knowledge_base(who, kb)
        who.require_admin()
        parts = self._writer
        await parts.jobs.cancel([job.id for job in parts.jobs.unfinished(found.id)])
        records = await asyncio.to_thread(parts.catalog.documents, found.id)
        await asyncio.to_thread(parts.catalog.delete_knowledge_base, found.id)
        # What was submitted between the two finds no knowledge base and ends.
        await parts.jobs.cancel([job.id for job in parts.jobs.unfinished(found.id)])
        await parts.generations.discard_others(found)
        await parts.generations.drop(found.table)
        for record in records:
            await asyncio.to_thread(parts.indexer.forget_files, record.sha256, record.parsed)

    # Documents

    async def remove_document(self, who: Principal, document_id: str) -> None:
        """Remove one document and its passages.

        Raises:
            UnknownDocument: there is none, or its knowledge base may not be read.
            NotPermitted: the key lacks the write scope.
        """
        record = await self.document(who, document_id)
        who.require_write(record.knowledge_base_id)
        parts = self._writer
        kb = await self.knowledge_base(who, record.knowledge_base_id)
        async with parts.generations.use(kb) as index:
            await parts.indexer.remove(record, index)

    async def add(
        self,
        who: Principal,
        kb: str,
        sources: Sequence[str | UploadedFile],
        *,
        create: bool = False,
        options: SourceOptions | None = None,
    ) -> Job:
        """Index files, folders and repositories as a job; with `create`, in a new knowledge base if there is none.

        A folder or repository that was added before is synchronised. A few files go before what is larger.

        Raises:
            NotPermitted: the key lacks the write scope, or names a path and does not belong to this machine's owner.
            InvalidRequest: there is no source.
            Overloaded: too many jobs wait.
        """
        _check_sources(who, sources)
        parts = self._writer
        parts.jobs.check_capacity()
        try:
            found = await self.knowledge_base(who, kb)
        except UnknownKnowledgeBase:
            if not create:
                raise
            found = await self.create_knowledge_base(who, kb)
        who.require_write(found.id)
        assert self._service is not None
        await self._service.update_if_outdated(found.id)
        return await self._service.add(found.id, sources, options or SourceOptions(), private_hosts=who.local)

    async def cancel_job(self, who: Principal, job_id: str) -> None:
        """Cancel a job; the documents it has finished stay."""
        found = await self.job(who, job_id)
        who.require_write(found.knowledge_base_id)
        await self._writer.jobs.cancel([found.id])

    async def retry_job(self, who: Principal, job_id: str) -> Job:
        """Try again, as a new job, what failed in one that has ended.

        Raises:
            InvalidRequest: it has not ended, or nothing of it failed.
            Overloaded: too many jobs wait.
        """
        found = await self.job(who, job_id)
        who.require_write(found.knowledge_base_id)
        self._writer.jobs.check_capacity()
        if not found.finished:
            raise InvalidRequest("The job has not ended yet; wait for it, or cancel it first.")
        failed = found.state != "done" or any(result["status"] == "failed" for result in found.results)
        if not failed or found.kind != "add" or found.request is None:
            raise InvalidRequest("Nothing of this job failed, so there is nothing to try again.")
        # The first of several attempts names the sources; what failed is told by the last.
        request = found.request | {"retry_of": found.id}
        return await self._writer.jobs.submit(found.knowledge_base_id, "add", request, priority=found.priority)

    async def repair(self, who: Principal, kb: str) -> Job:
        """Look for damage in a knowledge base and mend it, as a job that goes before others.

        Raises:
            NotPermitted: the key lacks the admin scope.
            Overloaded: too many jobs wait.
        """
        found = await self.knowledge_base(who, kb)
        who.require_admin()
        return await self._writer.jobs.submit(found.id, "repair", {"thorough": True}, priority=0)

    # Sources

    async def remove_source(self, who: Principal, kb: str, source_id: str) -> None:
        """Forget a source, so that it is watched no more; its documents stay.

        Raises:
            UnknownSource: the knowledge base has none of this id.
            NotPermitted: the key lacks the write scope.
        """
        found = await self.source(who, kb, source_id)
        who.require_write(found.knowledge_base_id)
        await asyncio.to_thread(self._writer.catalog.delete_source, found.id)

    async def synchronise(self, who: Principal, kb: str, source_id: str, *, remove_vanished: bool = False) -> Job:
        """Bring the documents of a source in line with it, as a job.

        Raises:
            UnknownSource: the knowledge base has none of this id.
            NotPermitted: the key lacks the write scope.
            Overloaded: too many jobs wait.
        """
        found = await self.source(who, kb, source_id)
        who.require_write(found.knowledge_base_id)
        assert self._service is not None
        options = SourceOptions(remove_vanished=remove_vanished)
        return await self._service.add(
            found.knowledge_base_id, [found.location], options, private_hosts=found.private_hosts
        )

    # The data folder as a whole

    @asynccontextmanager
    async def backup(self, who: Principal) -> AsyncIterator[Backup]:
        """Yield all there is as it is at this moment, to be read until the end of the block; what runs goes on.

        Raises:
            NotPermitted: who asks is not the owner of this machine: it holds every document, and what signs links.
            InvalidSettings: a part of it is not in the data folder.
            InvalidRequest: there is nothing.
            DataFolderBusy: this process only reads, and another one writes.
        """
        who.require_owner()
        snapshot = await self._snapshot()
        try:
            yield await asyncio.to_thread(Backup, snapshot)
        finally:
            await asyncio.to_thread(snapshot.close)

    async def _snapshot(self) -> Snapshot:
        if self._read_only:
            return await asyncio.to_thread(take_locked, self.settings)
        async with self._writer.generations.still():
            return await asyncio.to_thread(take, self.settings)

    @property
    def _writer(self) -> Parts:
        if self._read_only:
            raise DataFolderBusy("This process only reads the data folder; write through its server.")
        return self._opened


def _valid_name(name: str) -> str:
    """Return a knowledge base's name without spaces around it; one that looks like an id would be ambiguous."""
    stripped = name.strip()
    if not stripped or len(stripped) > MAX_NAME_LENGTH or not stripped.isprintable():
        raise InvalidRequest(f"A knowledge base's name has 1 to {MAX_NAME_LENGTH} visible characters; choose another.")
    if "/" in stripped or stripped in {".", ".."} or GENERATED_ID.fullmatch(stripped):
        raise InvalidRequest("A knowledge base's name has no “/”, is not “.” or “..” and not an id; choose another.")
    return stripped


def _check_sources(who: Principal, sources: Sequence[str | UploadedFile]) -> None:
    if not sources:
        raise InvalidRequest("Name at least one file, folder or address to add.")
    for source in sources:
        if isinstance(source, UploadedFile):
            continue
        if len(source) > MAX_SOURCE_LENGTH:
            raise InvalidRequest(f"A path or address has at most {MAX_SOURCE_LENGTH} characters.")
        # Paths, and addresses that use the server's own SSH keys, are for its owner.
        if not who.local and not source.startswith("https://"):
            raise NotPermitted(
                "Only https addresses of git repositories can be added from afar; send files as an upload instead."
            )
