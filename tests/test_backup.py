"""A backup is a data folder as it was at one moment; restored elsewhere it gives the same answers."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pincite import snapshot
from pincite.access import Principal
from pincite.backup import CHECKSUMS, DESCRIPTION, Backup
from pincite.data_lock import DataLock
from pincite.errors import (
    CatalogDamaged,
    DataFolderBusy,
    InvalidRequest,
    InvalidSettings,
    NotPermitted,
)
from pincite.ingestion import UploadedFile
from pincite.restoring import restore
from pincite.settings import Settings, load_settings
from pincite.workspace import Workspace
from tests.backups import answers, backed_up, compressed, members, pump, pumps
from tests.fakes import FakeEmbedder, HaltingEmbedder
from tests.owner import OWNER, add, finish

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "data", parser_workers=1)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "elsewhere", parser_workers=1)


@pytest.fixture
def embedder() -> HaltingEmbedder:
    return HaltingEmbedder()


@pytest.fixture
async def workspace(settings: Settings, embedder: HaltingEmbedder) -> AsyncIterator[Workspace]:
    async with Workspace(settings, embedder=embedder) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pumps(tmp_path / "folder")


async def test_a_backup_taken_while_documents_are_added_gives_the_same_answers_elsewhere(
    workspace: Workspace, embedder: HaltingEmbedder, folder: Path, elsewhere: Settings
) -> None:
    _, key = await workspace.keyring.issue("reader", {"read"}, None)
    embedder.halt_after(5)
    job = await workspace.add(OWNER, "pumps", [str(folder)], create=True)
    await embedder.arrived.wait()
    async for shown in workspace.job_events(OWNER, job.id):
        if shown.done == 5:
            break
    before = await answers(workspace)
    [document, *_] = await workspace.documents(OWNER, "pumps")
    link = workspace.sign_view(await workspace.authenticate(key), document.id)
    archive = await backed_up(workspace)
    embedder.go.set()
    assert (await finish(workspace, job)).counts == {"indexed": 9}
    after = await answers(workspace)
    assert after != before

    restored = await asyncio.to_thread(restore, elsewhere, compressed(archive))
    assert [(kb["name"], kb["passages"]) for kb in restored.knowledge_bases] == [("pumps", 5)]
    async with Workspace(elsewhere, embedder=FakeEmbedder(), read_only=True) as opened:
        assert await answers(opened) == before
    other = FakeEmbedder()
    async with Workspace(elsewhere, embedder=other) as opened:
        # Keys and links are the same, and the job goes on as it would after a crash.
        assert (await opened.authenticate(key)).name == "reader"
        assert (await opened.open_view(link, document.id)).name == "reader"
        assert (await finish(opened, await opened.job(OWNER, job.id))).counts == {"indexed": 9}
        assert other.passages_embedded == 4
        assert await answers(opened) == after


async def test_uploads_that_wait_are_in_the_backup(
    workspace: Workspace, embedder: HaltingEmbedder, elsewhere: Settings
) -> None:
    received = workspace.incoming / "upload-1"
    received.write_text(pump(3))
    (workspace.incoming / "half-received").write_text("# Pu")
    await workspace.create_knowledge_base(OWNER, "pumps")
    embedder.halt()
    job = await workspace.add(OWNER, "pumps", [UploadedFile("pump.md", received)])
    await embedder.arrived.wait()
    await asyncio.to_thread(restore, elsewhere, compressed(await backed_up(workspace)))
    assert [path.name for path in (elsewhere.data / "incoming").iterdir()] == ["upload-1"]
    async with Workspace(elsewhere, embedder=FakeEmbedder()) as opened:
        assert (await finish(opened, await opened.job(OWNER, job.id))).counts == {"indexed": 1}


async def test_what_is_removed_or_rebuilt_while_a_backup_is_read_is_still_in_it(
    workspace: Workspace, folder: Path, elsewhere: Settings
) -> None:
    await add(workspace, "pumps", folder)
    before = await answers(workspace)
    async with workspace.backup(OWNER) as backup:
        pieces = backup.pieces()
        await workspace.update_knowledge_base(OWNER, "pumps", {"chunk_tokens": 256})
        for job in await workspace.unfinished_jobs(OWNER, "pumps"):
            assert (await finish(workspace, job)).state == "done"
        await workspace.remove_knowledge_base(OWNER, "pumps")
        archive = await asyncio.to_thread(b"".join, pieces)
    assert not list((workspace.settings.data / "originals").glob("*/*"))
    await asyncio.to_thread(restore, elsewhere, compressed(archive))
    async with Workspace(elsewhere, embedder=FakeEmbedder(), read_only=True) as opened:
        assert await answers(opened) == before


async def test_writing_waits_while_the_moment_is_kept_and_searching_does_not(
    workspace: Workspace, folder: Path, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(workspace, "pumps", folder)
    taking, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    real = snapshot.take

    def slow(settings: Settings) -> snapshot.Snapshot:
        loop.call_soon_threadsafe(taking.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        return real(settings)

    monkeypatch.setattr("pincite.workspace.take", slow)
    backing_up = asyncio.create_task(backed_up(workspace))
    await taking.wait()
    (folder / "10.md").write_text(pump(10))
    job = await workspace.add(OWNER, "pumps", [str(folder)])
    async for shown in workspace.job_events(OWNER, job.id):
        if shown.passages == 1:
            break
    before = await answers(workspace)
    go_on.set()
    archive = await backing_up
    assert (await finish(workspace, job)).counts == {"unchanged": 9, "indexed": 1}
    assert await answers(workspace) != before
    await asyncio.to_thread(restore, elsewhere, compressed(archive))
    async with Workspace(elsewhere, embedder=FakeEmbedder(), read_only=True) as opened:
        assert await answers(opened) == before


async def test_a_backup_is_for_the_owner_of_the_machine(workspace: Workspace) -> None:
    admin = Principal("key_1", "an administrator", frozenset({"read", "write", "admin"}))
    with pytest.raises(NotPermitted):
        async with workspace.backup(admin):
            pass


async def test_a_folder_without_a_server_is_backed_up_when_nobody_writes_it(
    settings: Settings, folder: Path, elsewhere: Settings
) -> None:
    async with Workspace(settings, embedder=FakeEmbedder(), read_only=True) as reader:
        with pytest.raises(InvalidRequest, match="nothing to back up"):
            await backed_up(reader)
    assert not settings.data.exists()
    async with Workspace(settings, embedder=FakeEmbedder()) as writer:
        await add(writer, "pumps", folder)
        before = await answers(writer)
    async with Workspace(settings, embedder=FakeEmbedder(), read_only=True) as reader:
        with DataLock(settings.data), pytest.raises(DataFolderBusy):
            await backed_up(reader)
        archive = await backed_up(reader)
    await asyncio.to_thread(restore, elsewhere, compressed(archive))
    async with Workspace(elsewhere, embedder=FakeEmbedder(), read_only=True) as opened:
        assert await answers(opened) == before


async def test_a_snapshot_that_a_dead_process_left_goes_and_one_in_use_stays(workspace: Workspace) -> None:
    data = workspace.settings.data
    left = data / "snapshot-left"
    left.mkdir()
    (left / "catalog.sqlite").write_bytes(b"half")
    async with workspace.backup(OWNER):
        [used] = data.glob("snapshot-*")
        await backed_up_beside(workspace, used)
    assert not list(data.glob("snapshot-*"))


async def backed_up_beside(workspace: Workspace, used: Path) -> None:
    async with workspace.backup(OWNER) as second:
        await asyncio.to_thread(lambda: list(second.pieces()))
    assert used.is_dir()


@pytest.mark.parametrize("name", ["catalog_url", "index_uri"])
async def test_what_lies_outside_of_the_data_folder_is_said_and_not_left_out(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    outside = {"catalog_url": f"sqlite:///{tmp_path}/other.sqlite", "index_uri": str(tmp_path / "other")}
    apart = load_settings(data=settings.data, parser_workers=1, **{name: outside[name]})
    async with Workspace(apart, embedder=FakeEmbedder()) as opened:
        with pytest.raises(InvalidSettings, match=f"PINCITE_{name.upper()}"):
            await backed_up(opened)
    with pytest.raises(InvalidSettings, match=f"PINCITE_{name.upper()}"):
        restore(apart, io.BytesIO())


async def test_a_catalog_that_cannot_be_read_is_named(workspace: Workspace, tmp_path: Path) -> None:
    broken = load_settings(data=tmp_path / "broken", parser_workers=1)
    broken.data.mkdir()
    (broken.data / "catalog.sqlite").write_bytes(b"no database " * 1000)
    with pytest.raises(CatalogDamaged):
        snapshot.take_locked(broken)
    assert [path.name for path in broken.data.iterdir() if path.is_dir()] == []
    with pytest.raises(CatalogDamaged):
        await Workspace(broken, embedder=FakeEmbedder()).__aenter__()


def test_a_backup_can_be_read_without_pincite(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path / "data", parser_workers=1)
    asyncio.run(_make(settings))
    taken = snapshot.take_locked(settings)
    try:
        files = members(b"".join(Backup(taken).pieces()))
    finally:
        taken.close()
    sums = files.pop(CHECKSUMS).decode().splitlines()
    assert sums == [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in files.items()]
    assert {"catalog.sqlite", "view.key", DESCRIPTION} <= files.keys()


async def _make(settings: Settings) -> None:
    async with Workspace(settings, embedder=FakeEmbedder()) as opened:
        await opened.create_knowledge_base(OWNER, "pumps")
