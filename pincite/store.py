"""The files of a knowledge base: originals and stored parses, named by their content, written whole or not at all.

Every call blocks; call it in a thread.
"""

import hashlib
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from pincite.errors import UnknownDocument

PARSED_SUFFIX = ".arrow"


class Store:
    """Content-addressed files in a data folder, and beside them what comes in: uploads, and clones of repositories.

    `originals/ab/abcd…` is a file as received, under its SHA-256. `parsed/ab/abcd…-….arrow` is what a parser made of
    it; the name also carries the file's own name, because a parser looks at it, and the parser's version.
    """

    def __init__(self, folder: Path) -> None:
        self._originals = folder / "originals"
        self._parsed = folder / "parsed"
        self.incoming = folder / "incoming"
        self.repositories = folder / "repositories"
        self._held: Counter[Path] = Counter()
        self._lock = Lock()

    def prepare(self, kept: Collection[str] = ()) -> None:
        """Make the folders and clear away what an earlier process has received, without the names that are `kept`."""
        for folder in (self._originals, self._parsed, self.incoming):
            folder.mkdir(parents=True, exist_ok=True)
        for path in self.incoming.iterdir():
            if path.name not in kept:
                path.unlink()

    def original(self, sha256: str) -> Path:
        """Return the path of an original.

        Raises:
            UnknownDocument: it is not there.
        """
        path = self._original_path(sha256)
        if not path.is_file():
            raise UnknownDocument("The original file is missing from the data folder; add the document again.")
        return path

    def has_original(self, sha256: str, size: int) -> bool:
        """Say whether an original of this size in bytes is there."""
        try:
            return self._original_path(sha256).stat().st_size == size
        except FileNotFoundError:
            return False

    def keep_original(self, sha256: str, received: Path) -> Path:
        """Keep a received file as an original too; it stays where it was received until its owner removes it there."""
        path = self._original_path(sha256)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._draft(path)
            try:
                try:
                    draft.hardlink_to(received)
                except OSError:  # another file system, or one without links
                    shutil.copyfile(received, draft)
                draft.chmod(0o600)
                _sync_file(draft)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
            _sync_folder(path.parent)
        return path

    def parsed(self, name: str) -> Path:
        """Return the path of a stored parse, there or not."""
        return self._parsed / name[:2] / name

    def put_parsed(self, name: str, data: bytes) -> Path:
        """Keep what a parser made."""
        path = self.parsed(name)
        self._write(path, data)
        return path

    @contextmanager
    def hold(self, sha256: str, parsed: str) -> Iterator[None]:
        """Keep an original and a parse from being removed before the catalog refers to them."""
        paths = (self._original_path(sha256), self.parsed(parsed))
        with self._lock:
            self._held.update(paths)
        try:
            yield
        finally:
            with self._lock:
                self._held.subtract(paths)
                self._held += Counter()  # forget the zeros

    def remove(self, *, sha256: str = "", parsed: str = "") -> None:
        """Remove a file that nothing refers to any more, unless someone is about to."""
        path = self._original_path(sha256) if sha256 else self.parsed(parsed)
        with self._lock:
            if path not in self._held:
                path.unlink(missing_ok=True)

    def sweep(self, originals: set[str], parsed: set[str]) -> int:
        """Remove every file that is not named here, such as what a crash left; return how many there were."""
        unnamed = list(self.unnamed(originals, parsed))
        for path in unnamed:
            path.unlink(missing_ok=True)
        return len(unnamed)

    def unnamed(self, originals: set[str], parsed: set[str]) -> Iterator[Path]:
        """Yield every original and parse that is not named here."""
        for folder, kept in ((self._originals, originals), (self._parsed, parsed)):
            yield from (path for path in folder.glob("*/*") if path.name not in kept)

    def _original_path(self, sha256: str) -> Path:
        return self._originals / sha256[:2] / sha256

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._draft(path)
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)

    def _draft(self, path: Path) -> Path:
        # In the same folder, so that the rename is atomic; swept as unknown if a crash leaves it.
        return path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")


def parsed_name(sha256: str, file_name: str, parser_version: str) -> str:
    """Return the name of the stored parse of a file: the same bytes under another name may parse otherwise."""
    name_hash = hashlib.sha256(file_name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{sha256}-{name_hash}-{parser_version}{PARSED_SUFFIX}"


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
