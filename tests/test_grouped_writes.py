"""Documents that are ready at about the same time are written at once, and each still stands or fails for itself."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from pincite.chunking import chunk
from pincite.document import Document
from pincite.index import DocumentRows, GroupedWrites, Index
from pincite.passage import DocumentReference
from tests.fakes import FakeEmbedder

pytestmark = pytest.mark.anyio

TEXT = "The pump is made of bronze and weighs forty kilograms."


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    opened = await Index.open(str(tmp_path), "kb", FakeEmbedder().model)
    yield opened
    await opened.close()


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> GroupedWrites:
    monkeypatch.setattr("pincite.index.grouped_writes._PATIENCE_S", 3600)
    return GroupedWrites()


@pytest.fixture
async def other(writes: GroupedWrites) -> AsyncIterator["Other"]:
    """A task that might still bring a document, until it is told not to."""
    started = Other()
    await started.begin(writes)
    yield started
    await started.end()


class Other:
    async def begin(self, writes: GroupedWrites) -> None:
        begun, self._ended = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._be_underway(writes, begun))
        await begun.wait()

    async def _be_underway(self, writes: GroupedWrites, begun: asyncio.Event) -> None:
        with writes.underway():
            begun.set()
            await self._ended.wait()

    async def end(self) -> None:
        self._ended.set()
        await self._task


async def rows_of(index: Index, name: str, text: str = TEXT, *, is_new: bool = True) -> DocumentRows:
    embedder = FakeEmbedder()
    document = Document(name, "text/plain", text)
    chunks = chunk(document, max_tokens=40, count_tokens=embedder.count_tokens)
    return await index.prepare(DocumentReference(name, name, name), document, chunks, embedder, is_new=is_new)


async def begin(writes: GroupedWrites, index: Index, document: DocumentRows) -> "asyncio.Task[None]":
    """Return the task that writes a document, once it waits for others."""
    waiting = asyncio.Event()

    async def write() -> None:
        with writes.underway():
            waiting.set()
            await writes.put(index, document)

    task = asyncio.create_task(write())
    await waiting.wait()
    return task


async def version(index: Index) -> int:
    return int(await index._table.version())


async def test_documents_that_wait_for_each_other_are_one_write(
    index: Index, writes: GroupedWrites, other: Other
) -> None:
    tasks = [await begin(writes, index, await rows_of(index, f"{number}")) for number in range(5)]
    before = await version(index)
    await other.end()
    await asyncio.gather(*tasks)
    assert await index.passages_by_document() == {f"{number}": 1 for number in range(5)}
    assert await version(index) == before + 1


async def test_a_document_that_nobody_else_could_join_does_not_wait(index: Index, writes: GroupedWrites) -> None:
    await (await begin(writes, index, await rows_of(index, "alone")))
    await writes.put(index, await rows_of(index, "of nobody's"))
    assert await index.passages_by_document() == {"alone": 1, "of nobody's": 1}


async def test_enough_documents_do_not_wait_for_more(
    index: Index, writes: GroupedWrites, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.index.grouped_writes.MOST_DOCUMENTS", 3)
    documents = [await rows_of(index, f"{number}") for number in range(3)]
    before = await version(index)
    await asyncio.gather(*[await begin(writes, index, document) for document in documents])
    assert await version(index) == before + 1
    monkeypatch.setattr("pincite.index.grouped_writes._MOST_ROWS", 1)
    await (await begin(writes, index, await rows_of(index, "a long one")))
    assert await index.count() == 4


async def test_a_document_waits_for_others_only_so_long(
    index: Index, writes: GroupedWrites, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.index.grouped_writes._PATIENCE_S", 0)
    await (await begin(writes, index, await rows_of(index, "first")))
    assert await index.count() == 1


async def test_new_changed_and_emptied_documents_go_together(index: Index, writes: GroupedWrites, other: Other) -> None:
    long = "\n\n".join([TEXT] * 8)
    await index.put(*[await rows_of(index, name, long) for name in ("changed", "emptied", "kept")])
    before = await index.passages_by_document()
    documents = [
        await rows_of(index, "new", long),
        await rows_of(index, "changed", is_new=False),
        await rows_of(index, "emptied", "", is_new=False),
        await rows_of(index, "empty", ""),
    ]
    tasks = [await begin(writes, index, document) for document in documents]
    await other.end()
    await asyncio.gather(*tasks)
    passages = await index.passages_by_document()
    assert before["kept"] > 1
    assert passages == {"kept": before["kept"], "new": before["kept"], "changed": 1}
    assert await index._table.count_rows() == sum(passages.values())


async def test_a_document_that_cannot_be_written_fails_alone(index: Index, writes: GroupedWrites, other: Other) -> None:
    await index.put(await rows_of(index, "changed", "\n\n".join([TEXT] * 8)))
    broken = replace(await rows_of(index, "broken", is_new=False), rows=pa.table({"id": ["broken"]}))
    # Of the new one the group's first attempt has already written the rows.
    documents = [await rows_of(index, "new"), broken, await rows_of(index, "changed", is_new=False)]
    tasks = [await begin(writes, index, document) for document in documents]
    await other.end()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [error is None for error in told] == [True, False, True]
    assert await index.passages_by_document() == {"new": 1, "changed": 1}
    assert await index._table.count_rows() == 2


async def test_a_document_whose_job_is_cancelled_while_it_waits_is_never_written(
    index: Index, writes: GroupedWrites, other: Other
) -> None:
    kept, cancelled = [await begin(writes, index, await rows_of(index, name)) for name in ("kept", "cancelled")]
    cancelled.cancel()
    await asyncio.wait([cancelled])
    await other.end()
    await kept
    assert cancelled.cancelled()
    assert await index.passages_by_document() == {"kept": 1}


async def test_a_document_whose_job_is_cancelled_while_it_is_written_is_there_when_the_job_ends(
    index: Index, writes: GroupedWrites
) -> None:
    async with index.still():
        task = await begin(writes, index, await rows_of(index, "cancelled"))
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=0)
        assert not done
    await asyncio.wait([task])
    assert task.cancelled()
    assert await index.count() == 1
