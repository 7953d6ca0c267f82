"""A data folder from a backup: unpacked beside what there is, checked, and only then put in its place.

Once the unpacked files are known to be whole, one rename says so; the moves that follow can be done again by whoever
opens the folder next, so that no crash leaves half of a restored folder.
"""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import pyarrow as pa

from pincite.access import VIEW_KEY_FILE
from pincite.backup import CHECKSUMS, DESCRIPTION, NOT_A_BACKUP, PIECE_BYTES, Description, checksums, counted
from pincite.catalog import Catalog
from pincite.data_lock import DataLock
from pincite.errors import InvalidBackup, InvalidRequest
from pincite.settings import CATALOG_FILE, Settings
from pincite.snapshot import check_is_whole

# What a data folder consists of; the folders are made also where a backup has nothing in them.
FOLDERS = ("index", "originals", "parsed", "incoming", "repositories")
FILES = (CATALOG_FILE, VIEW_KEY_FILE)
UNPACKING = "restoring"
COMPLETE = "restored"
UNFINISHED = (UNPACKING, COMPLETE)
_MOST_DESCRIPTION_BYTES = 16 * 1024 * 1024
NOT_WHOLE = "The backup is damaged or not complete; nothing was changed. Take another one."


def restore(settings: Settings, compressed: BinaryIO, *, replace: bool = False) -> Description:
    """Make the data folder what it was when the backup was taken, and return what the backup says of itself.

    Blocks. With `replace` it may hold something, which is deleted once the backup is known to be whole.

    Raises:
        DataFolderBusy: a process writes the folder.
        InvalidRequest: there is something in it, or too little space for the backup.
        InvalidSettings: the catalog or the index would not be in the data folder.
        InvalidBackup: it is none, it is not whole, or of a newer version.
    """
    check_is_whole(settings)
    data = settings.data
    with DataLock(data):
        finish_restore(data)
        if not replace and any((data / name).exists() for name in (*FOLDERS, *FILES)):
            raise InvalidRequest(
                "The data folder is not empty; name another one in PINCITE_DATA, or let --replace delete what is in it."
            )
        unpacked = data / UNPACKING
        unpacked.mkdir(mode=0o700)
        try:
            description = _unpack(compressed, unpacked)
            _check_catalog(unpacked, description)
            os.sync()
        except BaseException:
            shutil.rmtree(unpacked, ignore_errors=True)
            raise
        unpacked.rename(data / COMPLETE)
        finish_restore(data)
        return description


def finish_restore(data: Path) -> None:
    """Put what was restored in its place, and remove what was not unpacked to its end; for who may write the folder."""
    shutil.rmtree(data / UNPACKING, ignore_errors=True)
    complete = data / COMPLETE
    if not complete.is_dir():
        return
    # What still lies here has not been moved, so that what has its name there is older and may go.
    for name in sorted(path.name for path in complete.iterdir()):
        if name == CATALOG_FILE:
            for journal in (f"{name}-wal", f"{name}-shm"):
                _delete(data / journal)
        _delete(data / name)
        (complete / name).rename(data / name)
    complete.rmdir()


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _unpack(compressed: BinaryIO, folder: Path) -> Description:
    """Unpack a backup into an empty folder; nothing in it is believed before its checksums are."""
    for name in FOLDERS:
        (folder / name).mkdir()
    with _told(NOT_A_BACKUP), pa.CompressedInputStream(pa.PythonFile(compressed, "r"), "zstd") as stream:
        archive = tarfile.open(fileobj=stream, mode="r|", bufsize=PIECE_BYTES)  # noqa: SIM115 - the stream is closed
        first = archive.next()
        if first is None or first.name != DESCRIPTION or first.size > _MOST_DESCRIPTION_BYTES:
            raise InvalidBackup(NOT_A_BACKUP)
        written = _opened(archive, first).read()
        description = Description.read(written)
        if shutil.disk_usage(folder).free < description.size:
            needed = round(description.size / 1_000_000)
            raise InvalidRequest(f"The backup needs {needed:,} MB, which the data folder's file system has not.")
        with _told(NOT_WHOLE):
            digests = {DESCRIPTION: hashlib.sha256(written).hexdigest()}
            last = _unpack_files(archive, folder, description, digests)
            if last is None or last.size != len(checksums(digests)):
                raise InvalidBackup(NOT_WHOLE)
            if _opened(archive, last).read() != checksums(digests):
                raise InvalidBackup(NOT_WHOLE)
    return description


def _unpack_files(
    archive: tarfile.TarFile, folder: Path, description: Description, digests: dict[str, str]
) -> tarfile.TarInfo | None:
    """Write every file, add its SHA-256, and return the member behind them, None where the archive ends before it."""
    left = description.size
    while (member := archive.next()) is not None and member.name != CHECKSUMS:
        archive.members = []  # type: ignore[attr-defined]  # it would keep them all
        left -= member.size
        if left < 0:
            raise InvalidBackup(NOT_WHOLE)
        digests[member.name] = _write(archive, member, folder)
    if left:
        raise InvalidBackup(NOT_WHOLE)
    return member


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    """Write a file of the archive where it belongs, and return its SHA-256 in hexadecimal."""
    top, *below = member.name.split("/")
    belongs = member.name in FILES or (top in FOLDERS and below)
    if not belongs or "\0" in member.name or any(part in {"", ".", ".."} for part in below):
        raise InvalidBackup(NOT_WHOLE)
    target = folder / member.name
    digest = hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except (FileExistsError, NotADirectoryError):  # a name that was there before
        raise InvalidBackup(NOT_WHOLE) from None
    with os.fdopen(descriptor, "wb") as file:
        source = _opened(archive, member)
        while piece := source.read(PIECE_BYTES):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    opened = archive.extractfile(member) if member.isreg() else None
    if opened is None:
        raise InvalidBackup(NOT_WHOLE)
    return opened


@contextmanager
def _told(unreadable: str) -> Iterator[None]:
    """Raise InvalidBackup with this message where the backup cannot be read; say why where a file cannot be written."""
    try:
        yield
    except (tarfile.TarError, EOFError):
        raise InvalidBackup(unreadable) from None
    except OSError as error:
        if error.errno is None:  # Arrow's own, of the compression
            raise InvalidBackup(unreadable) from None
        raise InvalidRequest(f"The backup could not be unpacked ({error.strerror}); nothing was changed.") from None


def _check_catalog(folder: Path, description: Description) -> None:
    catalog = Catalog(f"sqlite:///{folder.absolute() / CATALOG_FILE}")
    try:
        knowledge_bases = counted(catalog)
    finally:
        catalog.close()
    if knowledge_bases != description.knowledge_bases:
        raise InvalidBackup(NOT_WHOLE)
