"""The use cases that only read: searching, documents, pages, jobs, keys. Each takes who asks, and checks."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from embedding_backend import Embedder
from pincite.access import Principal
from pincite.accounts import DocumentAccount, Totals, account_of, totals
from pincite.answers import Answer, Event, Help, answer, check
from pincite.assembly import Parts
from pincite.document import Box
from pincite.document_codec import StoredDocument, open_stored
from pincite.errors import (
    UnknownDocument,
    UnknownJob,
    UnknownKnowledgeBase,
    UnknownPage,
    UnknownSource,
)
from pincite.federated_search import search_knowledge_bases
from pincite.finding import Occurrences, find
from pincite.keyring import Keyring
from pincite.openwebui import OpenWebUI
from pincite.passage import Passage, SearchFilter, SearchResult
from pincite.records import SERVED, DocumentRecord, Job, KnowledgeBase, Source
from pincite.repairing import Damage, Leftovers
from pincite.settings import KnowledgeBaseSettings, Settings

HELPS = ("follow_up", "sub_questions", "hyde")
DRAWABLE = frozenset({"application/pdf"})
NO_SUCH_KNOWLEDGE_BASE = "There is no knowledge base “{}” that you may read; list the ones there are."
NO_SUCH_DOCUMENT = "There is no document of this id that you may read."
NO_SUCH_JOB = "There is no job of this id; finished jobs are kept for 30 days."
NAME_SHOWN = 100
JOBS_SHOWN = 100
# Asks for a job without its results.
JOB_ALONE = 2**31


class Reading:
    """The reading half of a workspace. `kb` is the id or the name of a knowledge base everywhere.

    A knowledge base that may not be read is as unknown as one that does not exist, and so are its documents and jobs.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._parts: Parts | None = None

    # Knowledge bases and documents

    async def knowledge_bases(self, who: Principal) -> list[KnowledgeBase]:
        """Return the knowledge bases that may be read, by name."""
        everything = await asyncio.to_thread(self._opened.catalog.knowledge_bases)
        return [kb for kb in everything if who.may_read(kb.id)]

    async def knowledge_base(self, who: Principal, kb: str) -> KnowledgeBase:
        """Return one knowledge base.

        Raises:
            UnknownKnowledgeBase: there is none, or it may not be read.
        """
        found = await asyncio.to_thread(self._opened.catalog.knowledge_base, kb)
        if found is None or not who.may_read(found.id):
            raise UnknownKnowledgeBase(NO_SUCH_KNOWLEDGE_BASE.format(kb[:NAME_SHOWN]))
        return found

    async def documents(self, who: Principal, kb: str) -> list[DocumentRecord]:
        """Return the documents of a knowledge base by path, failed ones too; new ones when their indexing has ended."""
        found = await self.knowledge_base(who, kb)
        records = await asyncio.to_thread(self._opened.catalog.documents, found.id)
        return [record for record in records if record.status != "indexing"]

    async def document(self, who: Principal, document_id: str) -> DocumentRecord:
        """Return one document.

        Raises:
            UnknownDocument: there is none, or its knowledge base may not be read.
        """
        found = await asyncio.to_thread(self._opened.catalog.document, document_id)
        if found is None or found.status == "indexing" or not who.may_read(found.knowledge_base_id):
            raise UnknownDocument(NO_SUCH_DOCUMENT)
        return found

    # Jobs

    async def job(self, who: Principal, job_id: str, since: int = 0) -> Job:
        """Return a job as it stands, with its results without the first `since`.

        Raises:
            UnknownJob: there is none, or its knowledge base may not be read.
        """
        found = await self._opened.jobs.job(job_id, since)
        if found is None or not who.may_read(found.knowledge_base_id):
            raise UnknownJob(NO_SUCH_JOB)
        return found

    async def job_events(self, who: Principal, job_id: str, since: int | None = None) -> AsyncIterator[Job]:
        """Yield a job at every change, and end when it is finished.

        Each snapshot has all results; with `since`, those that were not told yet, without the first `since`.

        Raises:
            UnknownJob: there is none, or its knowledge base may not be read.
        """
        await self.job(who, job_id, since=JOB_ALONE)
        async for job in self._opened.jobs.events(job_id, since):
            yield job

    async def jobs(self, who: Principal, kb: str) -> list[Job]:
        """Return the newest jobs of a knowledge base, without their results, the newest first."""
        found = await self.knowledge_base(who, kb)
        stored = await asyncio.to_thread(self._opened.catalog.jobs, found.id, JOBS_SHOWN)
        return [self._opened.jobs.live(job.id) or job for job in stored]

    async def unfinished_jobs(self, who: Principal, kb: str) -> list[Job]:
        """Return the waiting and running jobs of a knowledge base, without their results."""
        found = await self.knowledge_base(who, kb)
        return self._opened.jobs.unfinished(found.id)

    # Sources

    async def sources(self, who: Principal, kb: str) -> list[Source]:
        """Return the folders and repositories that a knowledge base follows, by location."""
        found = await self.knowledge_base(who, kb)
        return await asyncio.to_thread(self._opened.catalog.sources, found.id)

    async def source(self, who: Principal, kb: str, source_id: str) -> Source:
        """Return one source of a knowledge base.

        Raises:
            UnknownSource: it has none of this id.
        """
        found = next((source for source in await self.sources(who, kb) if source.id == source_id), None)
        if found is None:
            raise UnknownSource("The knowledge base has no source of this id; list the ones there are.")
        return found

    # Searching and reading

    async def search(
        self,
        who: Principal,
        kb: str | Sequence[str] | None,
        question: str,
        *,
        k: int | None = None,
        where: SearchFilter | None = None,
    ) -> SearchResult:
        """Find the passages that answer a question, best first, in one knowledge base, several, or every readable one.

        Raises:
            EmptyQuestion, QuestionTooLong, InvalidResultCount: the question cannot be asked so.
            UnknownKnowledgeBase: there is none, or it may not be read.
            IndexMismatch: it was indexed with an embedding model that is not configured any more.
            BackendError: the embedding model does not answer.
        """
        try:
            return await self._search(who, kb, question, k, where)
        except UnknownKnowledgeBase:
            # The next generation was swapped in between reading a table's name and opening it: now it has a new name.
            return await self._search(who, kb, question, k, where)

    async def _search(
        self,
        who: Principal,
        kb: str | Sequence[str] | None,
        question: str,
        k: int | None,
        where: SearchFilter | None,
    ) -> SearchResult:
        parts = self._opened
        return await search_knowledge_bases(
            await self._chosen(who, kb), question, parts.generations, parts.embedders, parts.reranking, k=k, where=where
        )

    async def _chosen(self, who: Principal, kb: str | Sequence[str] | None) -> list[KnowledgeBase]:
        if kb is None:
            return await self.knowledge_bases(who)
        names = [kb] if isinstance(kb, str) else kb
        found = [await self.knowledge_base(who, name) for name in names]
        return list({each.id: each for each in found}.values())

    async def answer(
        self,
        who: Principal,
        kb: str | Sequence[str] | None,
        question: str,
        *,
        k: int | None = None,
        where: SearchFilter | None = None,
        history: Sequence[dict[str, str]] = (),
        helps: Mapping[str, bool] | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Answer a question: yield what was found, then the text piece by piece, at last the checked answer.

        `history` are the messages before it, as `role` and `content`; `helps` switches `follow_up`, `sub_questions`
        and `hyde`, which otherwise are as the knowledge bases' settings say. Raises what `search` raises, before
        anything is yielded.
        """
        find = partial(self.search, who, kb, k=k, where=where)
        settings = [kb.settings for kb in await self._chosen(who, kb)]
        wanted = {name: any(getattr(each, name) for each in settings) for name in HELPS} | dict(helps or {})
        helping = Help(**wanted, timeout_s=self.settings.llm_help_timeout_s)
        events = answer(question, find, self._opened.language_model, history=history, helps=helping)
        async with aclosing(events):
            async for event in events:
                yield event

    async def check(self, who: Principal, text: str, passages: Sequence[Passage]) -> Answer:
        """Return a text that was written from these passages elsewhere, held against them as an answer is.

        Raises:
            UnknownKnowledgeBase: that of a passage is not there, or may not be read.
        """
        chosen = sorted({passage.knowledge_base_id for passage in passages})
        await self._chosen(who, chosen)
        return await check(text, passages, partial(self.search, who, chosen, k=len(passages)))

    async def embedder(self, who: Principal, name: str) -> Embedder:
        """Return the model of the knowledge base of this name or id; for any other name, that of new knowledge bases.

        Raises:
            BackendError: its server does not answer.
        """
        embedders = self._opened.embedders
        try:
            found = await self.knowledge_base(who, name)
        except UnknownKnowledgeBase:
            return await embedders.wanted(KnowledgeBaseSettings(embedding_model=embedders.default))
        return await embedders.wanted(found.settings)

    async def indexed_passages(self, who: Principal, kb: str) -> int:
        """Return how many passages the index holds; the catalog's number differs only while a job runs."""
        found = await self.knowledge_base(who, kb)
        async with self._opened.generations.use(found) as index:
            return await index.count()

    async def accounts(self, who: Principal, kb: str) -> tuple[list[DocumentAccount], Totals]:
        """Return what went in of each document and what came out, by path, and the sums.

        Raises:
            UnknownKnowledgeBase: there is none, or it may not be read.
            IndexMismatch: it was indexed with an embedding model that is not configured any more.
        """
        found = await self.knowledge_base(who, kb)
        async with self._opened.generations.use(found) as index:
            indexed = await index.passages_by_document()
        # Of what is just being indexed, passages may be there before its record.
        everything = await asyncio.to_thread(self._opened.catalog.documents, found.id)
        changing = {record.id for record in everything if record.status == "indexing"}
        indexed = {document_id: count for document_id, count in indexed.items() if document_id not in changing}
        accounts = [account_of(record, indexed) for record in everything if record.id not in changing]
        return accounts, totals(accounts, indexed)

    async def damage(self, who: Principal, kb: str) -> Damage:
        """Return what of a knowledge base does not fit together: catalog, index, stored files.

        Raises:
            UnknownKnowledgeBase: there is none, or it may not be read.
        """
        return await self._opened.repairing.examine(await self.knowledge_base(who, kb))

    async def leftovers(self, who: Principal) -> Leftovers | None:
        """Return what in the data folder belongs to nothing; None where the catalog itself is damaged."""
        who.require_owner()
        if not await asyncio.to_thread(self._opened.catalog.is_sound):
            return None
        return await self._opened.repairing.leftovers()

    async def is_outdated(self, who: Principal, kb: str) -> bool:
        """Say whether the index was built otherwise than the settings ask for, so that it has to be built anew.

        Raises:
            InvalidSettings, BackendError: the model that the settings ask for is not there.
        """
        return await self._opened.reindexing.is_outdated(await self.knowledge_base(who, kb))

    async def stored(self, who: Principal, document_id: str) -> StoredDocument:
        """Open the parsed document: its text, sections and pages; the caller closes it.

        Raises:
            UnknownDocument: there is none, it may not be read, or it could not be indexed.
        """
        record = await self._served(who, document_id)
        return await asyncio.to_thread(open_stored, self._opened.store.parsed(record.parsed))

    async def find(
        self, who: Principal, document_id: str, wanted: str, *, skip: int = 0, limit: int = 100
    ) -> Occurrences:
        """Find where an exact text stands in a document: at most `limit` places, without the first `skip`.

        Raises:
            UnknownDocument: there is none, it may not be read, or it could not be indexed.
            InvalidRequest: nothing is wanted, or too much.
        """
        with await self.stored(who, document_id) as stored:
            return await asyncio.to_thread(find, stored, wanted, skip=skip, limit=limit)

    async def page_image(
        self, who: Principal, document_id: str, number: int, scale: float, marks: Sequence[Box] = ()
    ) -> bytes:
        """Return the PNG of the page with the 1-based `number`, `scale` pixels a point, its `marks` highlighted.

        Raises:
            UnknownPage: the document has no such page, or is of a format without pictures of pages.
        """
        record = await self._served(who, document_id)
        if record.media_type not in DRAWABLE or not 1 <= number <= record.pages:
            raise UnknownPage(f"The document has no picture of page {number}; read its text instead.")
        original = await asyncio.to_thread(self._opened.store.original, record.sha256)
        return await self._opened.images.png(original, record.sha256, number, scale, marks)

    async def original(self, who: Principal, document_id: str) -> Path:
        """Return where the file lies as it was received.

        Raises:
            UnknownDocument: there is none, or it may not be read.
        """
        record = await self._served(who, document_id)
        return await asyncio.to_thread(self._opened.store.original, record.sha256)

    @property
    def backend_meters(self) -> CollectorRegistry:
        """What the clients of embedding and reranking servers count about themselves."""
        return self._opened.backend_meters

    @property
    def openwebui(self) -> OpenWebUI | None:
        """The Open WebUI in whose chats the tools are called; None where the settings name none."""
        return self._opened.openwebui

    # Access

    @property
    def keyring(self) -> Keyring:
        """Keys and viewer links."""
        return self._opened.keyring

    async def authenticate(
        self, api_key: str, statement: str | None = None, *, from_openwebui: bool = False
    ) -> Principal:
        """Return who an API key belongs to, or the person its program makes a signed statement about.

        Raises:
            NotAuthenticated: nobody issued the key, or the statement is not signed with it.
        """
        return await self.keyring.authenticate(api_key, statement, from_openwebui=from_openwebui)

    def sign_view(self, who: Principal, document_id: str, *, lifetime_s: int | None = None) -> str:
        """Return a token that opens the viewer on one document for one reader."""
        return self.keyring.sign_view(who, document_id, lifetime_s)

    async def open_view(self, token: str, document_id: str) -> Principal:
        """Return the reader a viewer's token was made for, if they may still read the document.

        Raises:
            NotAuthenticated: the token is not ours or has expired.
            UnknownDocument: it opens another document, or one the reader may no longer read.
        """
        reader = await self.keyring.open_view(token, document_id)
        await self.document(reader, document_id)
        return reader

    def view_url(self, who: Principal, passage: Passage) -> str:
        """Return the address that opens the viewer at a passage."""
        return self.keyring.view_url(who, passage)

    @property
    def _opened(self) -> Parts:
        assert self._parts is not None, "a workspace is used inside `async with`"
        return self._parts

    async def _served(self, who: Principal, document_id: str) -> DocumentRecord:
        record = await self.document(who, document_id)
        if record.status not in SERVED:
            reason = record.error["message"] if record.error else ""
            raise UnknownDocument(f"This document could not be indexed: {reason}")
        return record
