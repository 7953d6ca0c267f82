"""One writer on a data folder: a lock that the system frees when its holder dies, and the way to reach the holder."""

import fcntl
import json
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pincite.errors import DataFolderBusy

LOCK_NAME = "writer.lock"
LOCK_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class RunningServer:
    """The server that writes this data folder: `token` is the bearer key with which its owner may use it."""

    pid: int
    url: str
    token: str


class DataLock:
    """The right to write a data folder, held until closed.

    The lock is `flock` on a file that is never deleted: it goes with its holder's death, however sudden, and a stale
    file means nothing. The file (mode 0600, for the owner alone) says who holds it and, for a server, how to reach it.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            DataFolderBusy: another process holds it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _lock(self._descriptor):
            os.close(self._descriptor)
            holder = _read(folder).get("pid")
            who = f"process {holder}" if holder else "another process"
            raise DataFolderBusy(
                f"The data folder is in use: {who} is writing to it. Wait until it has finished, or use its server."
            )
        self.token = secrets.token_urlsafe(32)
        self._write({"pid": os.getpid()})

    def announce(self, url: str) -> None:
        """Say that a server runs here at `url`, so that commands on this data folder go through it."""
        self._write({"pid": os.getpid(), "url": url, "token": self.token})

    def close(self) -> None:
        """Give the lock back; closing twice is harmless."""
        if self._descriptor >= 0:
            self._write({})
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, content: dict[str, Any]) -> None:
        # In place and in one write: replacing the file would leave the lock on the old one.
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(content).encode(), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def running_server(folder: Path) -> RunningServer | None:
    """Return the server that holds the data folder's lock, or None: nobody does, or no server."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # A shared lock is refused while a writer holds the exclusive one, and lets other askers ask at the same time.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        content = _read(folder)
        if {"pid", "url", "token"} <= content.keys():
            return RunningServer(content["pid"], content["url"], content["token"])
    finally:
        os.close(descriptor)
    return None


def _lock(descriptor: int) -> bool:
    # Someone who merely asks who the writer is holds the lock for an instant, hence more than one try.
    for attempt in range(LOCK_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.01 * attempt)
        else:
            return True
    return False


def _read(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / LOCK_NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
