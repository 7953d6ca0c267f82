"""One process writes a data folder, and others find the server that does."""

import subprocess
import sys
from pathlib import Path

import pytest

from pincite.data_lock import DataLock, running_server
from pincite.errors import DataFolderBusy

HOLD = """
import sys
from pathlib import Path
from pincite.data_lock import DataLock
lock = DataLock(Path(sys.argv[1]))
lock.announce("http://127.0.0.1:7861")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    with DataLock(tmp_path), pytest.raises(DataFolderBusy, match=r"process \d+"):
        DataLock(tmp_path)


def test_the_lock_is_free_again_when_it_is_closed(tmp_path: Path) -> None:
    DataLock(tmp_path).close()
    DataLock(tmp_path).close()


def test_a_server_is_found_by_its_address_and_token(tmp_path: Path) -> None:
    with DataLock(tmp_path) as lock:
        assert running_server(tmp_path) is None
        lock.announce("http://127.0.0.1:7861")
        server = running_server(tmp_path)
        assert server is not None
        assert (server.url, server.token) == ("http://127.0.0.1:7861", lock.token)
    assert running_server(tmp_path) is None


def test_nobody_serves_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    assert running_server(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()


def test_the_lock_file_is_for_the_owner_alone(tmp_path: Path) -> None:
    with DataLock(tmp_path):
        assert (tmp_path / "writer.lock").stat().st_mode & 0o777 == 0o600


def test_a_killed_server_leaves_no_lock_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert running_server(tmp_path) is not None
        with pytest.raises(DataFolderBusy):
            DataLock(tmp_path)
        process.kill()
    assert running_server(tmp_path) is None
    with DataLock(tmp_path) as lock:
        assert lock.token
