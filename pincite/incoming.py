"""The files of a job on their way into the store: listed by a source, received from a sender, or kept from before."""

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from pincite.errors import InvalidSource
from pincite.sources import SourceFile
from pincite.store import Store, sha256_of_file

LOST = "The file that was sent is no longer there; send it again."


class Content(NamedTuple):
    """A file's SHA-256 and its size in bytes."""

    sha256: str
    size: int


class IncomingFile(Protocol):
    """One file, wherever it comes from. Every call blocks."""

    fingerprint: str
    link: str

    def read(self, store: Store) -> Content:
        """Return what identifies the content, which is on the disk from now on."""

    def keep(self, store: Store) -> None:
        """Keep the file as an original."""

    def discard(self) -> None:
        """Let go of what was read or received; called when the file's result is written down."""


class Listed:
    """A file that a folder or a repository lists; it is copied once, and what is copied is what is hashed."""

    def __init__(self, file: SourceFile) -> None:
        self.fingerprint = file.fingerprint
        self.link = file.link
        self._file = file
        self._copied: tuple[str, Path] | None = None

    def read(self, store: Store) -> Content:
        path = store.incoming / f"listed-{uuid.uuid4().hex}"
        try:
            with path.open("xb") as target:
                hashing = _Hashing(target)
                self._file.copy(hashing)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._copied = hashing.hash.hexdigest(), path
        return Content(self._copied[0], hashing.size)

    def keep(self, store: Store) -> None:
        assert self._copied is not None
        store.keep_original(*self._copied)
        self.discard()

    def discard(self) -> None:
        if self._copied is not None:
            self._copied[1].unlink(missing_ok=True)


class Received:
    """An uploaded file, already on the disk, where it stays until what became of it is written down."""

    fingerprint = ""
    link = ""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sha256 = ""

    def read(self, store: Store) -> Content:
        try:
            self._sha256 = sha256_of_file(self._path)
            return Content(self._sha256, self._path.stat().st_size)
        except FileNotFoundError:
            raise InvalidSource(LOST) from None

    def keep(self, store: Store) -> None:
        store.keep_original(self._sha256, self._path)

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)


class Kept:
    """A file that was received before and has failed then: its original is still there."""

    fingerprint = ""
    link = ""

    def __init__(self, sha256: str) -> None:
        self._sha256 = sha256

    def read(self, store: Store) -> Content:
        if not self._sha256:
            raise InvalidSource(LOST)
        return Content(self._sha256, store.original(self._sha256).stat().st_size)

    def keep(self, store: Store) -> None:
        store.original(self._sha256)

    def discard(self) -> None:
        """It stays."""


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """One source of a job, as it is written down: a path or an address, or an upload's name and its received file.

    `include` and `exclude` are patterns, None to go on with those of before.
    """

    address: str = ""
    upload: str = ""
    received: str = ""
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None
    watched: bool | None = None

    @classmethod
    def read(cls, written: dict[str, Any]) -> "SourceRequest":
        """Return what stood in a job's request."""
        patterns = {
            name: tuple(written[name]) if written.get(name) is not None else None for name in ("include", "exclude")
        }
        return cls(**(written | patterns))


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How sources are read: patterns of the files that count, whether to go on watching, and what may be removed.

    None leaves a source as it was; `remove_vanished` removes documents also where more than half of a source is gone.
    With `changes_only` the job tells nothing of what has not changed, nor of files that have failed as they are.
    """

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None
    watched: bool | None = None
    remove_vanished: bool = False
    changes_only: bool = False


class _Hashing:
    """A file that is hashed while it is written."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.size += len(data)
        return self._target.write(data)
