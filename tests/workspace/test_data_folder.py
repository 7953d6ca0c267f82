"""Several processes and several lives share one data folder."""

import asyncio
from pathlib import Path

import pytest

from pincite.errors import (
    DataFolderBusy,
    IndexMismatch,
    Overloaded,
)
from pincite.settings import Settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder
from tests.owner import OWNER, add, finish, statuses
from tests.workspace.documents import LEAVE, PUMP

pytestmark = pytest.mark.anyio


async def test_a_reader_beside_the_writer_finds_what_it_writes(
    workspace: Workspace, settings: Settings, folder: Path
) -> None:
    async with Workspace(settings, embedder=FakeEmbedder(), read_only=True) as beside:
        await add(workspace, "manuals", folder)
        found = await beside.search(OWNER, "manuals", LEAVE)
        assert found.passages[0].document.path == "leave.md"
        with pytest.raises(DataFolderBusy):
            await beside.add(OWNER, "manuals", [str(folder)])


async def test_a_reader_of_no_folder_finds_nothing_and_makes_nothing(settings: Settings) -> None:
    async with Workspace(settings, embedder=FakeEmbedder(), read_only=True) as workspace:
        assert await workspace.knowledge_bases(OWNER) == []
    assert not settings.data.exists()


async def test_two_writers_do_not_share_a_folder(workspace: Workspace, settings: Settings) -> None:
    with pytest.raises(DataFolderBusy):
        await Workspace(settings, embedder=FakeEmbedder()).__aenter__()


async def test_everything_is_there_after_a_restart(settings: Settings, folder: Path) -> None:
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        job = await add(workspace, "manuals", folder)
        token = workspace.sign_view(OWNER, job.results[0]["document_id"])
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        assert (await workspace.job(OWNER, job.id)).results == job.results
        assert statuses(await add(workspace, "manuals", folder)).keys() == statuses(job).keys()
        assert (await workspace.search(OWNER, "manuals", PUMP)).passages[0].document.path == "pump.md"
        await workspace.open_view(token, job.results[0]["document_id"])


async def test_another_embedding_model_is_named_and_adding_again_indexes_everything_anew(
    settings: Settings, folder: Path
) -> None:
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        await add(workspace, "manuals", folder)
    async with Workspace(settings, embedder=FakeEmbedder(scheme="other")) as workspace:
        with pytest.raises(IndexMismatch, match="fake"):
            await workspace.search(OWNER, "manuals", PUMP)
        again = await add(workspace, "manuals", folder / "pump.md")
        assert statuses(again) == {"pump.md": "unchanged"}  # the rebuilding before it has seen to it
        best = (await workspace.search(OWNER, "manuals", LEAVE)).passages[0]
        assert best.document.path == "leave.md"
        assert await workspace.indexed_passages(OWNER, "manuals") == 3


async def test_a_server_that_starts_with_another_model_rebuilds_by_itself(settings: Settings, folder: Path) -> None:
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        await add(workspace, "manuals", folder)
    async with Workspace(settings, embedder=FakeEmbedder(scheme="other")) as workspace:
        workspace.begin_service()
        while not (await workspace.health())["ready"]:
            await asyncio.sleep(0)
        for job in await workspace.unfinished_jobs(OWNER, "manuals"):
            assert (await finish(workspace, job)).state == "done"
        assert (await workspace.search(OWNER, "manuals", PUMP)).passages[0].document.path == "pump.md"
        assert (await workspace.health())["index"] == "ok"


async def test_a_full_queue_refuses_more(settings: Settings, folder: Path) -> None:
    small = settings.model_copy(update={"running_jobs": 1, "queued_jobs": 1})
    async with Workspace(small, embedder=FakeEmbedder()) as workspace:
        jobs = [await workspace.add(OWNER, "manuals", [str(folder)], create=True) for _ in range(2)]
        with pytest.raises(Overloaded):
            await workspace.add(OWNER, "manuals", [str(folder)])
        for job in jobs:
            assert (await finish(workspace, job)).state == "done"
