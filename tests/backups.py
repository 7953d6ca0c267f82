"""Backups of a few documents, and what is asked of them before and after."""

import asyncio
import io
import tarfile
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pincite.data_lock import LOCK_NAME
from pincite.settings import load_settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder
from tests.owner import OWNER, add

QUESTIONS = ("How heavy is pump 3?", "Which pump weighs 14 kilograms?", "bronze")
Members = dict[str, bytes]


def pump(number: int) -> str:
    return f"# Pump {number}\n\nPump number {number} is made of bronze and weighs {number * 7} kilograms.\n"


def pumps(folder: Path, count: int = 9) -> Path:
    """Write some documents into a new folder."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.md").write_text(pump(number))
    return folder


async def backed_up(workspace: Workspace) -> bytes:
    async with workspace.backup(OWNER) as backup:
        whole = await asyncio.to_thread(lambda: b"".join(backup.pieces()))
        assert len(whole) == backup.size
    assert not list(workspace.settings.data.glob("snapshot-*"))
    return whole


def compressed(archive: bytes) -> io.BytesIO:
    sink = io.BytesIO()
    sink.write(pa.Codec("zstd").compress(archive, asbytes=True))
    sink.seek(0)
    return sink


async def answers(workspace: Workspace) -> list[object]:
    """Return what a reader sees of the answers: which passages, where they stand, what they say, their scores."""
    found = [(await workspace.search(OWNER, "pumps", question)).passages for question in QUESTIONS]
    return [[(p.id, p.document, p.pages, p.start, p.end, p.text, p.boxes, p.score) for p in each] for each in found]


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a data folder but its lock."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != LOCK_NAME]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def members(archive: bytes) -> Members:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {member.name: (opened.extractfile(member) or io.BytesIO()).read() for member in opened}


class Made(NamedTuple):
    """A backup of four documents, uncompressed, and what was answered from them."""

    archive: bytes
    answers: list[object]


async def make(folder: Path) -> Made:
    """Return a backup of four documents that are added in a folder."""
    async with Workspace(load_settings(data=folder / "data", parser_workers=1), embedder=FakeEmbedder()) as opened:
        await add(opened, "pumps", pumps(folder / "documents", 4))
        return Made(await backed_up(opened), await answers(opened))
