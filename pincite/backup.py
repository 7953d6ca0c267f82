"""A backup as a stream: a tar of a snapshot's files, what it is in front of them, their checksums behind them.

Anyone can look into one without Pincite: `zstd -dc FILE | tar -x`, then `sha256sum -c SHA256SUMS`.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

from pincite import __version__
from pincite.catalog import Catalog
from pincite.errors import InvalidBackup
from pincite.snapshot import Snapshot

# The form of the archive, not of what is in it: raise it when an older program could not read it.
FORMAT = 1
DESCRIPTION = "backup.json"
CHECKSUMS = "SHA256SUMS"
PIECE_BYTES = 1024 * 1024
NOT_A_BACKUP = "This is not a backup of Pincite; nothing was changed."
_NO_DIGEST = hashlib.sha256().hexdigest()
_END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True)
class Description:
    """What a backup says of itself: the program that made it, when, and what it holds: `size` is in bytes."""

    format: int
    version: str
    created_at: str
    files: int
    size: int
    knowledge_bases: list[dict[str, Any]]

    def to_json(self) -> bytes:
        """Return it as it is written."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1).encode() + b"\n"

    @classmethod
    def read(cls, written: bytes) -> Self:
        """Return it from what was written.

        Raises:
            InvalidBackup: it is not the description of a backup, or of one that this program cannot read.
        """
        try:
            told = json.loads(written)
            version = str(told["version"])
            newer = told["format"] > FORMAT or _numbers(version) > _numbers(__version__)
            known = None if newer else cls(**{field.name: told[field.name] for field in fields(cls)})
        except (ValueError, KeyError, TypeError):
            raise InvalidBackup(NOT_A_BACKUP) from None
        if known is None:
            raise InvalidBackup(
                f"This backup was made by Pincite {version}, which is newer than this one ({__version__}): install "
                "that version, then restore. Nothing was changed."
            )
        return known


class Backup:
    """The archive of a snapshot: its `size` in bytes is known before it is read, once, with `pieces`."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._when = datetime.now(UTC)
        self._files = [(name, path, path.stat().st_size) for name, path in snapshot.files()]
        catalog = snapshot.catalog()
        try:
            knowledge_bases = counted(catalog)
        finally:
            catalog.close()
        self.description = Description(
            format=FORMAT,
            version=__version__,
            created_at=self._when.isoformat(),
            files=len(self._files),
            size=sum(size for _, _, size in self._files),
            knowledge_bases=knowledge_bases,
        )
        self._described = self.description.to_json()
        told = [(DESCRIPTION, len(self._described)), *((name, size) for name, _, size in self._files)]
        told.append((CHECKSUMS, sum(len(_checksum(name, _NO_DIGEST)) for name, _ in told)))
        self.size = len(_END) + sum(len(self._header(name, size)) + size + _padding(size) for name, size in told)

    def pieces(self) -> Iterator[bytes]:
        """Yield the archive; blocks while files are read."""
        gathered = bytearray()
        for part in self._parts():
            gathered += part
            if len(gathered) >= PIECE_BYTES:
                yield bytes(gathered)
                gathered.clear()
        yield bytes(gathered)

    def _parts(self) -> Iterator[bytes]:
        sums = _checksum(DESCRIPTION, hashlib.sha256(self._described).hexdigest())
        yield from self._member(DESCRIPTION, self._described)
        for name, path, size in self._files:
            yield self._header(name, size)
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    digest.update(piece)
                    yield piece
            yield bytes(_padding(size))
            sums += _checksum(name, digest.hexdigest())
        yield from self._member(CHECKSUMS, sums)
        yield _END

    def _member(self, name: str, content: bytes) -> Iterator[bytes]:
        yield self._header(name, len(content)) + content + bytes(_padding(len(content)))

    def _header(self, name: str, size: int) -> bytes:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = size, 0o600, int(self._when.timestamp())
        return entry.tobuf(tarfile.PAX_FORMAT)


def counted(catalog: Catalog) -> list[dict[str, Any]]:
    """Return what a catalog's knowledge bases hold, as a backup says it."""
    return [{"name": kb.name, "documents": kb.documents, "passages": kb.passages} for kb in catalog.knowledge_bases()]


def checksums(digests: Mapping[str, str]) -> bytes:
    """Return what stands behind files with these SHA-256, in hexadecimal and in their order."""
    return b"".join(_checksum(name, digest) for name, digest in digests.items())


def _checksum(name: str, digest: str) -> bytes:
    return f"{digest}  {name}\n".encode()


def _padding(size: int) -> int:
    return -size % tarfile.BLOCKSIZE


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".")[:3])
