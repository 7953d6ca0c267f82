"""Restoring puts a whole backup in its place, or changes nothing; what is not whole or not a backup is refused."""

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pincite import restoring
from pincite.backup import CHECKSUMS, DESCRIPTION
from pincite.errors import DataFolderBusy, InvalidBackup, InvalidRequest
from pincite.restoring import finish_restore, restore
from pincite.settings import Settings, load_settings
from pincite.workspace import Workspace
from tests.backups import Made, Members, answers, compressed, content, make, members
from tests.fakes import FakeEmbedder
from tests.owner import add

pytestmark = pytest.mark.anyio


@pytest.fixture
def elsewhere(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "elsewhere", parser_workers=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return asyncio.run(make(tmp_path_factory.mktemp("made")))


@pytest.fixture
def archive(made: Made) -> bytes:
    return made.archive


def packed(files: Members, *entries: tarfile.TarInfo, sums: bool = True) -> io.BytesIO:
    """Return a backup of these files, with checksums that are right, and of further entries that have no content."""
    if sums:
        lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items() if name != CHECKSUMS]
        files = {name: data for name, data in files.items() if name != CHECKSUMS} | {CHECKSUMS: "".join(lines).encode()}
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as made:
        for name, data in files.items():
            if name == CHECKSUMS:
                for extra in entries:
                    made.addfile(extra)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return compressed(sink.getvalue())


def described(files: Members, **changes: object) -> Members:
    return files | {DESCRIPTION: json.dumps(json.loads(files[DESCRIPTION]) | changes).encode()}


def refused(settings: Settings, backup: io.BytesIO, message: str) -> None:
    """Prove that a backup is refused, in an empty folder and in place of what another one holds."""
    before = content(settings.data)
    with pytest.raises((InvalidBackup, InvalidRequest), match=message):
        restore(settings, io.BytesIO(backup.getvalue()), replace=bool(before))
    assert content(settings.data) == before


def test_half_a_backup_is_refused_wherever_it_ends(archive: bytes, elsewhere: Settings) -> None:
    whole = compressed(archive).getvalue()
    for length in {0, 1, 10, *range(0, len(whole), len(whole) // 8), len(whole) - 1}:
        refused(elsewhere, io.BytesIO(whole[:length]), "nothing was changed")
    # The compression may be whole although the archive in it is not.
    for length in {0, 512, *range(0, len(archive) - 1024, len(archive) // 8), len(archive) - 2048}:
        refused(elsewhere, compressed(archive[:length]), "nothing was changed")
    assert content(elsewhere.data) == {}


def test_a_changed_byte_is_noticed(archive: bytes, elsewhere: Settings) -> None:
    whole = archive.rstrip(b"\0")
    for place in range(600, len(whole), len(whole) // 12):
        changed = bytearray(archive)
        changed[place] ^= 0x20
        try:
            restore(elsewhere, compressed(bytes(changed)), replace=True)
        except InvalidBackup:
            continue
        # What is not content: the padding of a file, or an owner in a header.
        assert members(bytes(changed)) == members(archive)


def test_a_foreign_file_is_no_backup(elsewhere: Settings, archive: bytes) -> None:
    files = members(archive)
    for foreign in (
        io.BytesIO(b"%PDF-1.7 something else entirely"),
        io.BytesIO(archive),
        compressed(b"text " * 1000),
        packed({"readme.txt": b"hello"}),
        packed(files | {DESCRIPTION: b"[]"}),
        packed(files | {DESCRIPTION: b"{}"}),
        packed(files | {DESCRIPTION: b"\xff\xfe"}),
        packed({name: data for name, data in files.items() if name != DESCRIPTION}),
    ):
        refused(elsewhere, foreign, "is not a backup")


@pytest.mark.parametrize("changes", [{"version": "99.0.0"}, {"format": 2}, {"format": 2, "size": None}])
def test_a_backup_of_a_newer_version_says_so(elsewhere: Settings, archive: bytes, changes: dict[str, object]) -> None:
    refused(elsewhere, packed(described(members(archive), **changes)), "newer than this one")


def link(kind: bytes, name: str, target: str) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def test_no_name_in_a_backup_leads_out_of_the_folder(elsewhere: Settings, archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    files = members(archive)
    for name in (
        "../victim",
        "/tmp/pincite-victim",
        "index/../../victim",
        "index/.",
        "index//file",
        "index/a\0b",
        "originals/../view.key",
        "other/file",
        "writer.lock",
        "index",
        "catalog.sqlite/x",
        "view.key/../x",
        "restored/catalog.sqlite",
    ):
        size = json.loads(files[DESCRIPTION])["size"] + 1
        hostile = described(files, size=size)
        refused(elsewhere, packed({**hostile, name: b"x"}), "nothing was changed")
    for entry in (
        link(tarfile.SYMTYPE, "index/link", str(tmp_path)),
        link(tarfile.LNKTYPE, "index/link", "../victim"),
        link(tarfile.LNKTYPE, "index/link", "catalog.sqlite"),
        link(tarfile.FIFOTYPE, "index/pipe", ""),
        link(tarfile.CHRTYPE, "index/device", ""),
        link(tarfile.DIRTYPE, "index/folder", ""),
    ):
        refused(elsewhere, packed(files, entry), "nothing was changed")
    assert (tmp_path / "victim").read_text() == "mine"


def test_files_that_are_too_many_too_few_or_twice_are_refused(elsewhere: Settings, archive: bytes) -> None:
    files = members(archive)
    original = next(name for name in files if name.startswith("originals/"))
    without = {name: data for name, data in files.items() if name != original}
    refused(elsewhere, packed(without), "nothing was changed")
    refused(elsewhere, packed({**files, "index/more": bytes(100)}), "nothing was changed")
    refused(elsewhere, packed(files, tarfile.TarInfo(original)), "nothing was changed")
    refused(elsewhere, packed({**files, CHECKSUMS: b""}, sums=False), "nothing was changed")
    refused(elsewhere, packed(described(files, knowledge_bases=[])), "nothing was changed")
    refused(elsewhere, packed(described(files, size=10**18)), "MB")


async def test_a_folder_that_holds_something_is_replaced_only_when_told(
    made: Made, elsewhere: Settings, tmp_path: Path
) -> None:
    archive = made.archive
    (tmp_path / "valve.md").write_text("# Valve\n\nThe valve is made of steel.\n")
    async with Workspace(elsewhere, embedder=FakeEmbedder()) as other:
        await add(other, "pumps", tmp_path / "valve.md")
        with pytest.raises(DataFolderBusy):
            restore(elsewhere, compressed(archive), replace=True)
    before = content(elsewhere.data)
    with pytest.raises(InvalidRequest, match="--replace"):
        restore(elsewhere, compressed(archive))
    refused(elsewhere, compressed(archive[:-5000]), "nothing was changed")
    (elsewhere.data / "note").write_text("not Pincite's")
    assert content(elsewhere.data) == before | {"note": b"not Pincite's"}
    restore(elsewhere, compressed(archive), replace=True)
    async with Workspace(elsewhere, embedder=FakeEmbedder()) as opened:
        assert await answers(opened) == made.answers
    assert (elsewhere.data / "note").read_text() == "not Pincite's"


class Crash(Exception):
    pass


def crash_at(moment: int, done: Callable[..., object]) -> Callable[..., object]:
    """Return what does the same until, at the moment of this number, the machine stops."""
    left = iter(range(moment))

    def stopping(*arguments: object) -> object:
        if next(left, None) is None:
            raise Crash
        return done(*arguments)

    return stopping


@pytest.mark.parametrize("moment", range(8))
async def test_a_crash_while_a_folder_is_replaced_leaves_the_old_or_the_new_one(
    made: Made,
    elsewhere: Settings,
    tmp_path: Path,
    moment: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "valve.md").write_text("# Valve\n\nThe valve is made of steel.\n")
    async with Workspace(elsewhere, embedder=FakeEmbedder()) as other:
        await add(other, "pumps", tmp_path / "valve.md")
        before = await answers(other)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", crash_at(moment, Path.rename))
        with pytest.raises(Crash):
            restore(elsewhere, compressed(made.archive), replace=True)
    async with Workspace(elsewhere, embedder=FakeEmbedder()) as opened:
        assert await answers(opened) == (made.answers if moment else before)
    assert not (elsewhere.data / restoring.UNPACKING).exists()
    assert not (elsewhere.data / restoring.COMPLETE).exists()
    finish_restore(elsewhere.data)
