"""`pincite backup` and `pincite restore`: everything in one file, and back again."""

import asyncio
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from pincite.cli.terminal import visible

if TYPE_CHECKING:
    from rich.progress import Progress

STANDARD = "-"
MEGABYTE = 1_000_000


def backup(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Where to write it, such as pincite.tar.zst; - for standard output.")
    ],
) -> int:
    """Write documents, indexes, settings and keys to one file, also while the server runs.

    It holds what there is at this moment, and appears when it is complete. Keep it where secrets are kept.
    """
    size, compressed = asyncio.run(_backup(file))
    where = "standard output" if file == STANDARD else visible(file)
    sizes = f"{size / MEGABYTE:,.1f} MB, compressed {compressed / MEGABYTE:,.1f} MB"
    typer.echo(f"Backed up to {where}: {sizes}.", err=file == STANDARD)
    return 0


def restore(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="What `pincite backup` has written; - for standard input.")
    ],
    replace: Annotated[bool, typer.Option("--replace", help="Delete what the data folder holds.")] = False,
) -> int:
    """Make an empty data folder what another was when it was backed up; no server may run on it.

    The backup is unpacked beside what there is and checked: one that is damaged changes nothing.
    """
    from pincite.errors import InvalidRequest
    from pincite.restoring import restore as restore_from
    from pincite.settings import load_settings

    settings = load_settings()
    try:
        with _opened(file) as (source, size), _bar() as bar:
            restored = restore_from(settings, bar.wrap_file(source, size, description="Restoring"), replace=replace)
    except OSError as error:
        raise InvalidRequest(f"The backup could not be restored ({error.strerror}).") from None
    typer.echo(f"Restored the backup of {restored.created_at[:16].replace('T', ' ')} UTC.")
    for kb in restored.knowledge_bases:
        typer.echo(visible(f"{kb['name']}: {kb['documents']} documents, {kb['passages']} passages"))
    return 0


async def _backup(file: str) -> tuple[int, int]:
    """Write the backup; return how many bytes it has, and how many compressed."""
    import pyarrow as pa

    from pincite.cli.door import open_door
    from pincite.errors import InvalidRequest

    try:
        with _appearing(file) as target, _bar() as bar:
            async with open_door() as door, door.backup() as stream:
                task = bar.add_task("Backing up", total=stream.size)
                counted = _Counted(target)
                with pa.CompressedOutputStream(pa.PythonFile(counted, "w"), "zstd") as compressed:
                    async for piece in stream.pieces:
                        await asyncio.to_thread(compressed.write, piece)
                        bar.advance(task, len(piece))
                return stream.size, counted.bytes
    except OSError as error:
        raise InvalidRequest(f"The backup could not be written ({error.strerror}); there is none.") from None


class _Counted:
    """A file that counts what is written to it, and that closing the stream in front of it leaves open."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.bytes = 0

    def write(self, piece: bytes) -> int:
        self.bytes += len(piece)
        return self._file.write(piece)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.flush()


@contextmanager
def _appearing(file: str) -> Iterator[BinaryIO]:
    """Yield a file for its owner alone that gets its name when the block has ended well, and is gone otherwise."""
    from pincite.errors import InvalidRequest

    if file == STANDARD:
        if sys.stdout.isatty():
            raise InvalidRequest("A backup is no text for a terminal; name a file, or send it on.")
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    target = Path(file)
    if target.is_dir():
        raise InvalidRequest(f"{file} is a folder; name a file in it.")
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            yield written
            written.flush()
            os.fsync(written.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, int]]:
    """Yield the file, and how many bytes it has, 0 where nobody knows."""
    if file == STANDARD:
        yield sys.stdin.buffer, 0
        return
    with Path(file).open("rb") as source:
        yield source, os.fstat(source.fileno()).st_size


def _bar() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
