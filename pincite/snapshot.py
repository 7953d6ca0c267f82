"""A data folder as it is at one moment, so that a backup can be read from it while the folder goes on changing.

What an original, a parse and the index consist of is written whole and never changed, so that a second link to a file
keeps it as it was, whatever becomes of the first one; the catalog is copied by SQLite (docs/decisions/0013-backup.md).
"""

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from pincite.access import VIEW_KEY_FILE
from pincite.catalog import DAMAGED, Catalog
from pincite.data_lock import LOCK_NAME, DataLock
from pincite.errors import CatalogDamaged, DataFolderBusy, InvalidRequest, InvalidSettings
from pincite.settings import CATALOG_FILE, Settings

PREFIX = "snapshot-"


class Snapshot:
    """The files of a data folder at one moment; `close` removes it, the end of its process lets the next one do so."""

    def __init__(self, data: Path) -> None:
        self.folder = data / f"{PREFIX}{secrets.token_hex(8)}"
        self.folder.mkdir(mode=0o700)
        # Held as long as it is in use, so that nobody clears it away.
        self._lock = DataLock(self.folder)

    def files(self) -> Iterator[tuple[str, Path]]:
        """Yield the files by their names in the data folder, in the order of these."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.name != LOCK_NAME:
                yield path.relative_to(self.folder).as_posix(), path

    def catalog(self) -> Catalog:
        """Open the copied catalog."""
        return Catalog(f"sqlite:///{self.folder.absolute() / CATALOG_FILE}")

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def take_locked(settings: Settings) -> Snapshot:
    """Return the data folder as it is now, with the right to write it for that moment, as `take` does otherwise.

    Raises:
        DataFolderBusy: another process writes it.
    """
    _check(settings)
    with DataLock(settings.data):
        return take(settings)


def take(settings: Settings) -> Snapshot:
    """Return the data folder as it is now; blocks, and needs that nobody writes the index meanwhile.

    Raises:
        InvalidRequest: there is no catalog.
        InvalidSettings: the catalog or the index is not in the data folder.
        CatalogDamaged: the catalog cannot be read.
    """
    _check(settings)
    clear_snapshots(settings.data)
    snapshot = Snapshot(settings.data)
    try:
        _take(settings.data, snapshot)
    except sqlite3.DatabaseError:
        snapshot.close()
        raise CatalogDamaged(DAMAGED) from None
    except BaseException:
        snapshot.close()
        raise
    return snapshot


def _check(settings: Settings) -> None:
    check_is_whole(settings)
    if not (settings.data / CATALOG_FILE).is_file():
        raise InvalidRequest("There is nothing to back up: PINCITE_DATA names a folder without a catalog.")


def check_is_whole(settings: Settings) -> None:
    """Refuse settings by which a part of what is kept lies outside of the data folder.

    Raises:
        InvalidSettings: the catalog or the index does.
    """
    for name, what, tool in (
        ("catalog_url", "catalog", "that database with its own tool, such as pg_dump"),
        ("index_uri", "index", "the index with the tools of its storage"),
    ):
        if getattr(settings, name) is not None:
            raise InvalidSettings(
                f"PINCITE_{name.upper()} keeps the {what} outside of the data folder, and backup and restore know that "
                f"folder alone: stop the server, save {tool}, and copy the data folder at the same time."
            )


def clear_snapshots(data: Path) -> None:
    """Remove the snapshots whose processes have ended without doing so."""
    for folder in abandoned_snapshots(data):
        shutil.rmtree(folder, ignore_errors=True)


def abandoned_snapshots(data: Path) -> Iterator[Path]:
    """Yield the snapshots whose processes have ended, each locked while it is looked at."""
    for folder in data.glob(f"{PREFIX}*"):
        try:
            lock = DataLock(folder)
        except DataFolderBusy:
            continue
        with closing(lock):
            yield folder


def _take(data: Path, snapshot: Snapshot) -> None:
    # Before the catalog is copied, so that what it names cannot have been removed; and what came since, after it.
    for part in ("index", "originals", "parsed", "incoming"):
        _link_all(data / part, snapshot.folder / part)
    if (data / VIEW_KEY_FILE).is_file():
        _link(data / VIEW_KEY_FILE, snapshot.folder / VIEW_KEY_FILE)
    with closing(sqlite3.connect(data / CATALOG_FILE)) as connection:
        connection.execute("VACUUM INTO ?", (str(snapshot.folder / CATALOG_FILE),))
    catalog = snapshot.catalog()
    try:
        originals, parses = catalog.references()
        received = catalog.received_files()
    finally:
        catalog.close()
    for part, names in (("originals", originals), ("parsed", parses)):
        _keep_only({f"{name[:2]}/{name}" for name in names}, data / part, snapshot.folder / part)
    _keep_only(received, data / "incoming", snapshot.folder / "incoming")


def _keep_only(names: set[str], source: Path, target: Path) -> None:
    there = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    for name in there - names:
        (target / name).unlink()
    for name in names - there:
        _link(source / name, target / name)


def _link_all(source: Path, target: Path) -> None:
    for folder, _, names in os.walk(source):
        for name in names:
            path = Path(folder, name)
            _link(path, target / path.relative_to(source))


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # What is not there was removed while the folder was listed, or is missing anyway, of which `pincite doctor` tells.
    with suppress(FileNotFoundError):
        try:
            target.hardlink_to(source)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links
            shutil.copyfile(source, target)
