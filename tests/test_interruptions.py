"""What is stopped halfway, by a crash, a cancellation or a removal, leaves the catalog and the index in agreement."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pincite.ingestion import UploadedFile
from pincite.records import Job
from pincite.settings import Settings, load_settings
from pincite.workspace import Workspace
from tests.crashes import leave_behind
from tests.fakes import FakeEmbedder, HaltingEmbedder
from tests.owner import OWNER, add, finish

pytestmark = pytest.mark.anyio

OLD = "The pump is made of bronze and weighs forty kilograms."
NEW = "The compressor is made of steel and weighs ninety kilograms."


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "data", parser_workers=1)


@pytest.fixture
def embedder() -> HaltingEmbedder:
    return HaltingEmbedder()


@pytest.fixture
async def workspace(settings: Settings, embedder: HaltingEmbedder) -> AsyncIterator[Workspace]:
    async with Workspace(settings, embedder=embedder) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pump.txt"
    path.write_text(OLD)
    return path


async def begin(workspace: Workspace, embedder: HaltingEmbedder, file: Path) -> Job:
    """Start to add a file and return when its passages are about to be embedded."""
    embedder.halt()
    job = await workspace.add(OWNER, "manuals", [str(file)], create=True)
    await embedder.arrived.wait()
    return job


async def found(workspace: Workspace, question: str) -> list[str]:
    return [passage.text for passage in (await workspace.search(OWNER, "manuals", question)).passages]


async def after_a_crash(workspace: Workspace, tmp_path: Path) -> Settings:
    """Return the settings of a copy of the data folder, as a killed process would leave it at this moment."""
    await asyncio.to_thread(leave_behind, workspace.settings.data, tmp_path / "crashed")
    return load_settings(data=tmp_path / "crashed", parser_workers=1)


async def settle(workspace: Workspace) -> None:
    """Wait for the jobs that the start has taken up or queued."""
    for job in await workspace.unfinished_jobs(OWNER, "manuals"):
        assert (await finish(workspace, job)).state == "done"


async def test_a_crash_while_a_new_document_is_indexed_is_taken_up_again(
    workspace: Workspace, embedder: HaltingEmbedder, file: Path, tmp_path: Path
) -> None:
    job = await begin(workspace, embedder, file)
    crashed = await after_a_crash(workspace, tmp_path)
    async with Workspace(crashed, embedder=FakeEmbedder()) as restarted:
        await settle(restarted)
        ended = await restarted.job(OWNER, job.id)
        assert (ended.state, ended.done, ended.total) == ("done", 1, 1)
        assert [result["status"] for result in ended.results] == ["indexed"]
        assert await restarted.indexed_passages(OWNER, "manuals") == 1
        assert await found(restarted, OLD) == [OLD]


async def test_an_upload_survives_a_crash(workspace: Workspace, embedder: HaltingEmbedder, tmp_path: Path) -> None:
    received = workspace.incoming / "upload-1"
    received.write_text(OLD)
    await workspace.create_knowledge_base(OWNER, "manuals")
    embedder.halt()
    job = await workspace.add(OWNER, "manuals", [UploadedFile("pump.txt", received)])
    await embedder.arrived.wait()
    crashed = await after_a_crash(workspace, tmp_path)
    async with Workspace(crashed, embedder=FakeEmbedder()) as restarted:
        await settle(restarted)
        [result] = (await restarted.job(OWNER, job.id)).results
        assert result["status"] == "indexed"
        assert await found(restarted, OLD) == [OLD]
        assert not list(restarted.incoming.iterdir())


async def test_a_document_that_was_finished_before_a_crash_is_not_touched_again(
    workspace: Workspace, embedder: HaltingEmbedder, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(9):
        (folder / f"{number}.txt").write_text(f"{number}. {OLD}")
    embedder.halt_after(4)
    job = await workspace.add(OWNER, "manuals", [str(folder)], create=True)
    await embedder.arrived.wait()
    async for snapshot in workspace.job_events(OWNER, job.id):
        if snapshot.done == 4:
            break
    crashed = await after_a_crash(workspace, tmp_path)
    other = FakeEmbedder()
    async with Workspace(crashed, embedder=other) as restarted:
        await settle(restarted)
        ended = await restarted.job(OWNER, job.id)
        assert (ended.done, ended.total, ended.counts) == (9, 9, {"indexed": 9})
        assert sorted(result["path"] for result in ended.results) == [f"{number}.txt" for number in range(9)]
        assert {result["status"] for result in ended.results} == {"indexed"}
        assert other.passages_embedded == 5
        assert await restarted.indexed_passages(OWNER, "manuals") == 9


async def test_a_crash_while_a_document_is_replaced_keeps_the_old_version_until_the_new_one_is_there(
    workspace: Workspace, embedder: HaltingEmbedder, file: Path, tmp_path: Path
) -> None:
    await add(workspace, "manuals", file)
    file.write_text(NEW)
    await begin(workspace, embedder, file)
    crashed = await after_a_crash(workspace, tmp_path)
    halting = HaltingEmbedder()
    halting.halt()
    async with Workspace(crashed, embedder=halting) as restarted:
        await halting.arrived.wait()
        assert await found(restarted, OLD) == [OLD]
        halting.go.set()
        await settle(restarted)
        assert await found(restarted, NEW) == [NEW]
        [record] = await restarted.documents(OWNER, "manuals")
        assert (record.status, record.passages) == ("indexed", 1)
        with await restarted.stored(OWNER, record.id) as stored:
            assert stored.text == NEW


async def test_a_cancelled_job_leaves_no_half_document(
    workspace: Workspace, embedder: HaltingEmbedder, file: Path
) -> None:
    job = await begin(workspace, embedder, file)
    await workspace.cancel_job(OWNER, job.id)
    assert (await workspace.job(OWNER, job.id)).state == "cancelled"
    [record] = await workspace.documents(OWNER, "manuals")
    assert (record.status, record.error and record.error["code"]) == ("failed", "interrupted")
    assert await workspace.indexed_passages(OWNER, "manuals") == 0
    assert not list((workspace.settings.data / "originals").glob("*/*"))
    embedder.go.set()
    assert (await add(workspace, "manuals", file)).results[0]["status"] == "indexed"


async def test_documents_that_wait_to_be_written_when_their_job_is_cancelled_leave_nothing(
    workspace: Workspace, embedder: HaltingEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.index.grouped_writes._PATIENCE_S", 3600)
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"{number}. {OLD}")
    embedder.halt_after(2)
    job = await workspace.add(OWNER, "manuals", [str(folder)], create=True)
    await embedder.arrived.wait()
    await workspace.cancel_job(OWNER, job.id)
    done = (await workspace.job(OWNER, job.id)).done  # 0, unless one was ready before the others had begun
    assert await workspace.indexed_passages(OWNER, "manuals") == done
    states = [record.status for record in await workspace.documents(OWNER, "manuals")]
    assert (states.count("failed"), states.count("indexed")) == (3 - done, done)
    embedder.go.set()
    assert (await add(workspace, "manuals", folder)).counts["indexed"] == 3 - done
    assert await workspace.indexed_passages(OWNER, "manuals") == 3


async def test_a_cancelled_replacement_keeps_the_old_version(
    workspace: Workspace, embedder: HaltingEmbedder, file: Path
) -> None:
    await add(workspace, "manuals", file)
    file.write_text(NEW)
    job = await begin(workspace, embedder, file)
    await workspace.cancel_job(OWNER, job.id)
    assert await found(workspace, OLD) == [OLD]
    [record] = await workspace.documents(OWNER, "manuals")
    assert (record.status, record.passages) == ("indexed", 1)
    embedder.go.set()
    assert (await add(workspace, "manuals", file)).results[0]["status"] == "indexed"
    assert await found(workspace, NEW) == [NEW]


async def test_a_document_removed_while_it_is_replaced_stays_away(
    workspace: Workspace, embedder: HaltingEmbedder, file: Path
) -> None:
    document_id = (await add(workspace, "manuals", file)).results[0]["document_id"]
    file.write_text(NEW)
    job = await begin(workspace, embedder, file)
    await workspace.remove_document(OWNER, document_id)
    embedder.go.set()
    result = (await finish(workspace, job)).results[0]
    assert (result["status"], result["error"]["code"]) == ("failed", "unknown_document")
    assert await workspace.documents(OWNER, "manuals") == []
    assert await workspace.indexed_passages(OWNER, "manuals") == 0
    assert not list((workspace.settings.data / "originals").glob("*/*"))


async def test_a_document_removed_while_the_index_is_rebuilt_stays_away(
    workspace: Workspace, embedder: HaltingEmbedder, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.txt").write_text(NEW)
    await add(workspace, "manuals", tmp_path / "other.txt")
    document_id = (await add(workspace, "manuals", file)).results[0]["document_id"]
    embedder.halt()
    await workspace.update_knowledge_base(OWNER, "manuals", {"chunk_tokens": 256})
    await embedder.arrived.wait()
    assert OLD in await found(workspace, OLD)
    await workspace.remove_document(OWNER, document_id)
    embedder.go.set()
    await settle(workspace)
    assert [record.path for record in await workspace.documents(OWNER, "manuals")] == ["other.txt"]
    assert await workspace.indexed_passages(OWNER, "manuals") == 1
    assert (await workspace.knowledge_base(OWNER, "manuals")).settings.chunk_tokens == 256


async def test_a_model_that_fails_is_told_for_each_document_and_nothing_is_lost(
    workspace: Workspace, embedder: HaltingEmbedder, file: Path
) -> None:
    await add(workspace, "manuals", file)
    file.write_text(NEW)
    embedder.broken = True
    result = (await add(workspace, "manuals", file)).results[0]
    assert (result["status"], result["error"]["code"]) == ("failed", "backend_error")
    assert await found(workspace, OLD) == [OLD]
    embedder.broken = False
    assert (await add(workspace, "manuals", file)).results[0]["status"] == "indexed"
    assert await found(workspace, NEW) == [NEW]


async def test_closing_the_workspace_leaves_what_runs_for_the_next_start(
    settings: Settings, embedder: HaltingEmbedder, file: Path
) -> None:
    async with Workspace(settings, embedder=embedder) as workspace:
        job = await begin(workspace, embedder, file)
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        await settle(workspace)
        assert (await workspace.job(OWNER, job.id)).state == "done"
        assert await found(workspace, OLD) == [OLD]
        assert await workspace.indexed_passages(OWNER, "manuals") == 1
