"""`pincite backup` and `pincite restore`: one file, whole or not at all, that gives the same answers elsewhere."""

import io
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pincite.cli.door import FolderDoor, Stream
from pincite.errors import BackendError
from tests.cli.conftest import LEAVE, PUMP, Pincite
from tests.cli.server_process import ROOT, serve

QUESTIONS = (LEAVE, PUMP, "How many days?")


def answers(pincite_command: Pincite) -> list[dict[str, Any]]:
    """Return the citations of some questions without their links, which name the server and the time."""
    found = [pincite_command("search", "manuals", question, "--json").lines[0]["passages"] for question in QUESTIONS]
    return [{name: value for name, value in passage.items() if name != "url"} for each in found for passage in each]


def test_a_backup_of_a_running_server_answers_the_same_elsewhere(
    data: Path, pincite_command: Pincite, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(100):
        (many / f"{number}.md").write_text(f"# Note {number}\n\nThis is what note {number} says.\n")
    file = tmp_path / "backup.tar.zst"
    with serve(data) as server:
        pincite_command("add", "manuals", folder)
        before = answers(pincite_command)
        assert before
        with server.client() as http:
            owner = {"Authorization": f"Bearer {server.found.token}"}
            http.post("/api/knowledge-bases", headers=owner, json={"name": "notes"}).raise_for_status()
            adding = http.post("/api/knowledge-bases/notes/documents", headers=owner, json={"url": str(many)})
            assert adding.status_code == 202
            refused = http.get("/api/backup", headers={"Authorization": f"Bearer {server.key}"})
            assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
        done = pincite_command("backup", file)
        assert (done.code, "Backed up" in done.out) == (0, True)
        assert list(tmp_path.glob("*.zst*")) == [file]
        assert file.stat().st_mode & 0o777 == 0o600
        assert pincite_command("restore", file).code == 1  # the server writes this folder
        assert answers(pincite_command) == before
    assert not list(data.glob("snapshot-*"))

    monkeypatch.setenv("PINCITE_DATA", str(tmp_path / "elsewhere"))
    restored = pincite_command("restore", file)
    assert restored.code == 0
    assert "manuals: 2 documents, 2 passages" in restored.out
    assert answers(pincite_command) == before
    again = pincite_command("restore", file)
    assert (again.code, "--replace" in again.err) == (2, True)
    assert pincite_command("restore", file, "--replace").code == 0
    # The documents that were still being added are there once the job has gone on.
    assert pincite_command("add", "notes", many).code == 0
    assert {kb["name"]: kb["documents"] for kb in pincite_command("list", "--json").lines} == {
        "manuals": 2,
        "notes": 100,
    }
    assert pincite_command("doctor").code == 0


def test_a_backup_goes_through_a_pipe(
    data: Path, pincite_command: Pincite, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pincite_command("add", "manuals", folder)
    before = answers(pincite_command)
    written = subprocess.run(command("backup", "-"), env=environment(data), cwd=ROOT, capture_output=True, check=True)
    assert b"Backed up" in written.stderr
    monkeypatch.setenv("PINCITE_DATA", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(written.stdout)))
    assert pincite_command("restore", "-").code == 0
    assert answers(pincite_command) == before


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "tests.cli.fake_model", *map(str, arguments)]


def environment(data: Path) -> dict[str, str]:
    return os.environ | {"PINCITE_DATA": str(data), "PINCITE_PARSER_WORKERS": "1", "PYTHONPATH": str(ROOT)}


HALTING = """
import sys
from pincite import backup
from pincite.cli import main

pieces = backup.Backup.pieces
backup.PIECE_BYTES = 1024

def halting(self):
    all = pieces(self)
    for _ in range(3):
        yield next(all)
    print("halted", flush=True)
    sys.stdin.read()

backup.Backup.pieces = halting
main()
"""


def test_a_killed_backup_leaves_no_file_of_that_name_and_hinders_no_other(
    data: Path, pincite_command: Pincite, folder: Path, tmp_path: Path
) -> None:
    pincite_command("add", "manuals", folder)
    file = tmp_path / "backup.tar.zst"
    with subprocess.Popen(
        [sys.executable, "-c", HALTING, "backup", str(file)],
        env=environment(data),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"halted\n"
        process.kill()
    assert not file.exists()
    assert list(data.glob("snapshot-*"))
    assert pincite_command("backup", file).code == 0
    assert file.exists()
    assert not list(data.glob("snapshot-*"))


def test_a_backup_that_breaks_off_is_told_and_leaves_the_older_one(
    data: Path, pincite_command: Pincite, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pincite_command("add", "manuals", folder)
    file = tmp_path / "backup.tar.zst"
    file.write_bytes(b"an older backup")

    async def breaking() -> AsyncIterator[bytes]:
        yield b"begun"
        raise BackendError("The server on this data folder does not answer; see its log.")

    @asynccontextmanager
    async def backup(_: FolderDoor) -> AsyncIterator[Stream]:
        yield Stream(1000, breaking())

    monkeypatch.setattr(FolderDoor, "backup", backup)
    broken = pincite_command("backup", file)
    assert (broken.code, broken.err.count("\n")) == (1, 1)
    assert file.read_bytes() == b"an older backup"
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == [file.name]


def test_what_cannot_be_done_is_told_in_a_line(
    data: Path, pincite_command: Pincite, folder: Path, tmp_path: Path
) -> None:
    nothing = pincite_command("backup", tmp_path / "backup.tar.zst")
    assert (nothing.code, "nothing to back up" in nothing.err) == (2, True)
    assert not list(tmp_path.glob("*backup*"))
    pincite_command("add", "manuals", folder)
    for arguments, code, told in (
        (("backup", tmp_path), 2, "is a folder"),
        (("backup", tmp_path / "missing" / "file"), 2, "No such file or directory"),
        (("backup", "/dev/full/file"), 2, "Not a directory"),
        (("restore", tmp_path / "missing"), 2, "No such file or directory"),
        (("restore", folder / "leave.md", "--replace"), 1, "not a backup"),
    ):
        ran = pincite_command(*arguments)
        assert (ran.code, told in ran.err, ran.err.count("\n")) == (code, True, 1), ran.err
    assert len(pincite_command("list", "manuals", "--json").lines) == 2
