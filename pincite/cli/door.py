"""How a command reaches a data folder: through the server that runs on it, or by opening it itself.

Both ways give the same JSON-like values, those of the REST interface.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pincite.access import Principal
from pincite.data_lock import running_server
from pincite.errors import BackendError, DataFolderBusy, UnknownKnowledgeBase
from pincite.incoming import SourceOptions
from pincite.records import Job
from pincite.settings import Settings, load_settings

# Time for another command to finish, or for a server that has just started to say where it is.
BUSY_ATTEMPTS = 40
BUSY_WAIT_S = 0.25

Shape = dict[str, Any]


class Stream(NamedTuple):
    """Bytes to come, and how many."""

    size: int
    pieces: AsyncIterator[bytes]


class Door(Protocol):
    """What commands do with a data folder; `kb` is an id or a name."""

    viewer_runs: bool

    async def knowledge_bases(self) -> list[Shape]: ...

    async def documents(self, kb: str) -> list[Shape]: ...

    def add(self, kb: str, sources: Sequence[str], options: SourceOptions) -> AsyncIterator[Shape]:
        """Yield the jobs that add the sources, after each other, at every change, each result once."""
        ...

    def retry(self, job_id: str) -> AsyncIterator[Shape]:
        """Yield, in the same way, the job that tries again what failed in another."""
        ...

    def repair(self, kb: str) -> AsyncIterator[Shape]:
        """Yield, in the same way, the job that mends a knowledge base."""
        ...

    async def jobs(self, kb: str) -> list[Shape]: ...

    async def cancel(self, job_id: str) -> None: ...

    async def sources(self, kb: str) -> list[Shape]: ...

    async def remove_source(self, kb: str, source_id: str) -> None: ...

    async def search(self, kb: str, question: str, k: int | None) -> Shape: ...

    async def ask(self, kb: str, question: str, k: int | None) -> Shape: ...

    async def change_settings(self, kb: str, changes: Shape) -> Shape: ...

    async def remove_document(self, kb: str, document_id: str) -> None: ...

    async def remove_knowledge_base(self, kb: str) -> None: ...

    def backup(self) -> AbstractAsyncContextManager[Stream]:
        """Yield a backup of the data folder, uncompressed."""
        ...


@asynccontextmanager
async def open_door(settings: Settings | None = None, *, write: bool = False) -> AsyncIterator[Door]:
    """Yield the way to the data folder of the settings; a server is preferred, as its model is loaded already.

    Raises:
        DataFolderBusy: another command is writing, and goes on doing so.
    """
    settings = settings or load_settings()
    for attempt in range(BUSY_ATTEMPTS):
        server = running_server(settings.data)
        if server is not None:
            from pincite.cli.server_door import ServerDoor

            async with ServerDoor.connect(server) as door:
                yield door
            return
        folder = FolderDoor(settings, write=write)
        try:
            await folder.open()
        except DataFolderBusy:
            if attempt == BUSY_ATTEMPTS - 1:
                raise
            await asyncio.sleep(BUSY_WAIT_S)
            continue
        try:
            yield folder
        finally:
            await folder.close()
        return


class FolderDoor:
    """The data folder, opened by this process."""

    viewer_runs = False

    def __init__(self, settings: Settings, *, write: bool) -> None:
        from pincite.workspace import Workspace

        self._workspace = Workspace(settings, read_only=not write)
        self._who = Principal.system()

    async def open(self) -> None:
        await self._workspace.__aenter__()

    async def close(self) -> None:
        await self._workspace.__aexit__(None, None, None)

    async def knowledge_bases(self) -> list[Shape]:
        return [
            {
                "id": kb.id,
                "name": kb.name,
                "settings": kb.settings.model_dump(mode="json"),
                "documents": kb.documents,
                "passages": kb.passages,
                "created_at": kb.created_at.isoformat(),
            }
            for kb in await self._workspace.knowledge_bases(self._who)
        ]

    async def documents(self, kb: str) -> list[Shape]:
        return [
            {
                "id": record.id,
                "title": record.title,
                "path": record.path,
                "media_type": record.media_type,
                "size": record.size,
                "pages": record.pages,
                "passages": record.passages,
                "pages_without_text": record.pages_without_text,
                "pages_failed": record.pages_failed,
                "characters": record.characters,
                "characters_in_passages": record.characters_in_passages,
                "tokens": record.tokens,
                "tokens_embedded": record.tokens_embedded,
                "link": record.link,
                "status": record.status,
                "warnings": list(record.warnings),
                "error": record.error,
                "added_at": record.added_at.isoformat(),
            }
            for record in await self._workspace.documents(self._who, kb)
        ]

    async def add(self, kb: str, sources: Sequence[str], options: SourceOptions) -> AsyncIterator[Shape]:
        absolute = [absolute_source(source) for source in sources]
        added = await self._workspace.add(self._who, kb, absolute, create=True, options=options)
        async for job in self._followed(added):
            yield job

    async def retry(self, job_id: str) -> AsyncIterator[Shape]:
        async for job in self._followed(await self._workspace.retry_job(self._who, job_id)):
            yield job

    async def repair(self, kb: str) -> AsyncIterator[Shape]:
        async for job in self._followed(await self._workspace.repair(self._who, kb)):
            yield job

    async def _followed(self, job: Job) -> AsyncIterator[Shape]:
        try:
            async for snapshot in self._workspace.job_events(self._who, job.id, since=0):
                yield _job_shape(snapshot)
        except asyncio.CancelledError:
            # Whoever stops the command means the job; left unfinished, the next command would go on with it.
            await self._workspace.cancel_job(self._who, job.id)
            raise

    async def jobs(self, kb: str) -> list[Shape]:
        return [_job_shape(job) for job in await self._workspace.jobs(self._who, kb)]

    async def cancel(self, job_id: str) -> None:
        await self._workspace.cancel_job(self._who, job_id)

    async def sources(self, kb: str) -> list[Shape]:
        return [
            {
                "id": source.id,
                "location": source.location,
                "include": list(source.include),
                "exclude": list(source.exclude),
                "watched": source.watched,
                "revision": source.revision,
                "synced_at": source.synced_at and source.synced_at.isoformat(),
                "error": source.error,
            }
            for source in await self._workspace.sources(self._who, kb)
        ]

    async def remove_source(self, kb: str, source_id: str) -> None:
        await self._workspace.remove_source(self._who, kb, source_id)

    async def search(self, kb: str, question: str, k: int | None) -> Shape:
        from pincite.answers.answerability import may_answer
        from pincite.passage import citation

        result = await self._workspace.search(self._who, kb, question, k=k)
        passages = [citation(p, self._workspace.view_url(self._who, p)) for p in result.passages]
        why = result.why
        return {
            "question": result.question,
            "passages": passages,
            "why": why and {"reason": why.reason, "message": why.message, "best_score": why.best_score},
            "answerable": may_answer(result),
            "notes": list(result.notes),
        }

    async def ask(self, kb: str, question: str, k: int | None) -> Shape:
        from pincite.answers import Answer, answer_shape

        answer = [event async for event in self._workspace.answer(self._who, kb, question, k=k)][-1]
        assert isinstance(answer, Answer)
        return answer_shape(answer, [self._workspace.view_url(self._who, passage) for passage in answer.passages])

    async def change_settings(self, kb: str, changes: Shape) -> Shape:
        changed = await self._workspace.update_knowledge_base(self._who, kb, changes)
        for job in await self._workspace.unfinished_jobs(self._who, changed.id):
            # This process ends with the command; the rebuilding must not.
            ended = [snapshot async for snapshot in self._workspace.job_events(self._who, job.id)][-1]
            if ended.error is not None:
                raise BackendError(
                    f"The settings are kept, but the documents could not be indexed anew ({ended.error['message']}); "
                    "the older index serves. Set it again to try again."
                )
        return changed.settings.model_dump(mode="json")

    async def remove_document(self, kb: str, document_id: str) -> None:
        await self._workspace.knowledge_base(self._who, kb)
        await self._workspace.remove_document(self._who, document_id)

    async def remove_knowledge_base(self, kb: str) -> None:
        await self._workspace.remove_knowledge_base(self._who, kb)

    @asynccontextmanager
    async def backup(self) -> AsyncIterator[Stream]:
        async with self._workspace.backup(self._who) as backup:
            yield Stream(backup.size, _in_a_thread(backup.pieces()))


async def _in_a_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


def _job_shape(job: Job) -> Shape:
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "stage": job.stage,
        "done": job.done,
        "total": job.total,
        "passages": job.passages,
        "counts": job.counts,
        "rate": job.rate,
        "seconds_left": job.seconds_left,
        "results": job.results,
        "error": job.error,
        "created_at": job.created_at.isoformat(),
        "finished_at": job.finished_at and job.finished_at.isoformat(),
    }


def absolute_source(source: str) -> str:
    """Return a path as an absolute one, because a server works in another folder; addresses stay as they are."""
    from pincite.sources import is_git_url

    return source if is_git_url(source) else str(Path(source).expanduser().absolute())


def named(knowledge_bases: Sequence[Shape], kb: str) -> Shape:
    """Return the knowledge base of an id or a name.

    Raises:
        UnknownKnowledgeBase: there is none.
    """
    for found in knowledge_bases:
        if kb in {found["id"], found["name"]}:
            return found
    raise no_such_knowledge_base(kb)


def no_such_knowledge_base(kb: str) -> UnknownKnowledgeBase:
    """Return the error of a name or id that no knowledge base has."""
    return UnknownKnowledgeBase(f"There is no knowledge base “{kb}”; `pincite list` shows the ones there are.")
