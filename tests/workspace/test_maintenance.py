"""When the index is compacted: once for many jobs, and always before it is closed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import lancedb
import pytest

from embedding_backend import PassageText, Vectors
from pincite.index import Index
from pincite.settings import Settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder
from tests.owner import OWNER, add, finish
from tests.workspace.documents import LEAVE, PUMP

pytestmark = pytest.mark.anyio

NEVER_S = 1e6


class Held(FakeEmbedder):
    """Never answers for a passage about pumps."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = asyncio.Event()

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        if any(PUMP in passage.text for passage in passages):
            self.arrived.set()
            await asyncio.Event().wait()
        return await super().embed_passages(passages)


async def fragments(settings: Settings) -> int:
    """Return how many writes of the only table are not compacted."""
    with await lancedb.connect_async(settings.index_location) as connection:
        (name,) = (await connection.list_tables()).tables
        table = await connection.open_table(name)
        return int((await table.stats())["fragment_stats"]["num_fragments"])


async def test_jobs_one_after_the_other_leave_an_index_that_is_compacted_once_when_it_is_closed(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.generations.QUIET_S", NEVER_S)
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        for path in sorted(folder.iterdir()):
            await add(workspace, "manuals", path)
        assert await fragments(settings) == 3
        found = await workspace.search(OWNER, "manuals", LEAVE)
        assert found.passages[0].document.path == "leave.md"
    assert await fragments(settings) == 1


async def test_an_index_is_compacted_once_nothing_is_added_any_more(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintained = asyncio.Event()
    maintain = Index.maintain

    async def noted(index: Index) -> None:
        await maintain(index)
        maintained.set()

    monkeypatch.setattr("pincite.generations.QUIET_S", 0)
    monkeypatch.setattr(Index, "maintain", noted)
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        await add(workspace, "manuals", folder)
        await maintained.wait()
        assert await fragments(settings) == 1


async def test_a_job_that_is_broken_off_leaves_compacting_to_the_process_that_ends_it(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.generations.QUIET_S", NEVER_S)
    embedder = Held()
    async with Workspace(settings, embedder=embedder) as workspace:
        await add(workspace, "manuals", folder / "leave.md")
        await add(workspace, "manuals", folder / "合同.txt")
        await workspace.add(OWNER, "manuals", [str(folder / "pump.md")])
        await embedder.arrived.wait()
    assert await fragments(settings) == 2
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        for job in await workspace.jobs(OWNER, "manuals"):
            await finish(workspace, job)
    assert await fragments(settings) == 1
