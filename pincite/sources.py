"""Where documents come from: a file, a folder, a bare git repository on disk, or a git URL.

A source is only ever read. Links are not followed out of a folder, special files are never opened, and a repository is
read object by object, never checked out, so that nothing in it can run.
"""

import fnmatch
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pincite.errors import DocumentTooLarge, InvalidSource, PinciteError

if TYPE_CHECKING:
    from pincite.git_source import Repository

MAX_BYTES = 200 * 1024 * 1024
COPY_BYTES = 1024 * 1024
SETTLED_NS = 2_000_000_000

_SCP_LIKE = re.compile(r"[^/\s:@]+@[^/\s]+:")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://|:)")


class Sink(Protocol):
    """Where a file's content goes, piece by piece."""

    def write(self, data: bytes, /) -> int: ...


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source.

    `path` is its name inside the source, with "/" between folders; `source` is the source's identity (an absolute path
    or a URL; never show it to a caller). `size` is in bytes. `copy` writes the content to an open file, piece by piece.
    A file that was skipped has an `error` that says why, and `copy` raises it. A file whose `fingerprint` is that of
    before has not changed; it is empty where that cannot be told. `link` is where the file can be seen at its origin.
    """

    path: str
    source: str
    copy: Callable[[Sink], None]
    size: int
    error: PinciteError | None = None
    fingerprint: str = ""
    link: str = ""

    def read(self) -> bytes:
        """Return the content."""
        content = BytesIO()
        self.copy(content)
        return content.getvalue()


@dataclass(slots=True)
class Listing:
    """The files of a source, listed once; `revision` is the commit they are of, known when the last is listed."""

    files: Iterator[SourceFile]
    repository: "Repository | None" = None

    @property
    def revision(self) -> str:
        """The commit, empty for what has none."""
        return self.repository.commit if self.repository else ""


def is_git_url(text: str) -> bool:
    """Whether `text` names something remote rather than a path on this machine."""
    return bool(_SCHEME.match(text) or (_SCP_LIKE.match(text) and not Path(text).exists()))


def expand(
    path_or_url: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    max_bytes: int = MAX_BYTES,
    private_hosts: bool = False,
) -> Iterator[SourceFile]:
    """Yield the files of a source; the same as `listing`, where nothing is to be kept for the next time."""
    found = listing(path_or_url, include=include, exclude=exclude, max_bytes=max_bytes, private_hosts=private_hosts)
    return found.files


def listing(
    path_or_url: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    max_bytes: int = MAX_BYTES,
    private_hosts: bool = False,
    clone_folder: Path | None = None,
) -> Listing:
    """Return the files of a source in order of their paths; raise InvalidSource where there is no such source.

    `include` and `exclude` are glob patterns on the path inside the source or on the file name ("*.pdf", "drafts/*").
    Hidden files and folders (a name that begins with ".") are passed over. Everything else that cannot be read is
    yielded with an error: links that lead out of the folder or nowhere, special files, what is over `max_bytes`.
    `private_hosts` allows git URLs in private networks; leave it off for URLs that come from outside. A repository is
    fetched into `clone_folder`, if given, where the next listing goes on from.
    """
    if is_git_url(path_or_url):
        from pincite.git_source import clone

        repository = clone(path_or_url, private_hosts=private_hosts, folder=clone_folder)
        return Listing(_chosen(repository.files(max_bytes), include, exclude), repository)
    if not path_or_url or "\x00" in path_or_url:
        raise InvalidSource("the source is empty; give a file, a folder or a git URL")
    path = Path(path_or_url).expanduser()
    try:
        kind = path.stat().st_mode
    except OSError as error:
        raise InvalidSource(f"there is no file or folder {path.name!r} that can be read; check the path") from error
    if stat.S_ISDIR(kind):
        try:
            is_repository = _is_bare_repository(path)
        except PermissionError as error:
            raise _unreadable(path.name, "folder", error) from error
        if is_repository:
            from pincite.git_source import Repository

            repository = Repository(path, str(path.resolve()))
            return Listing(_chosen(repository.files(max_bytes), include, exclude), repository)
        return Listing(_chosen(_folder(path.resolve(), max_bytes), include, exclude))
    if not stat.S_ISREG(kind):
        raise InvalidSource(f"{path.name!r} is neither a file nor a folder; give a file, a folder or a git URL")
    return Listing(iter([_file(path.resolve(), path.name, str(path.resolve()), max_bytes)]))


def skipped(path: str, source: str, error: PinciteError, size: int = 0) -> SourceFile:
    """Return the entry of a file that is not read, because of `error`."""

    def refuse(_: Sink) -> None:
        raise error

    return SourceFile(path, source, refuse, size, error)


def text_name(name: str) -> str:
    """Return a file name as text that can be stored: bytes that are no UTF-8 become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def too_large(path: str, size: int, max_bytes: int) -> DocumentTooLarge:
    """Return the error of a file over the limit."""
    return DocumentTooLarge(f"{path}: {size} bytes are over the limit of {max_bytes}; split the document")


def _chosen(files: Iterator[SourceFile], include: Sequence[str], exclude: Sequence[str]) -> Iterator[SourceFile]:
    for file in files:
        if (not include or _matches(file.path, include)) and not _matches(file.path, exclude):
            yield file


def _matches(path: str, patterns: Sequence[str]) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatch.fnmatchcase(path, p) or fnmatch.fnmatchcase(name, p) for p in patterns)


def _is_bare_repository(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _folder(root: Path, max_bytes: int) -> Iterator[SourceFile]:
    """Walk without recursion, each folder's entries in order; a linked folder is not entered."""
    source = str(root)
    pending: list[tuple[Path, str]] = [(root, "")]
    while pending:
        folder, prefix = pending.pop()
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda e: e.name)
        except OSError as error:
            unreadable = _unreadable(text_name(prefix or root.name), "folder", error)
            if folder == root:
                raise unreadable from error
            yield skipped(text_name(prefix), source, unreadable)
            continue
        folders = []
        for entry in entries:
            path = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append((Path(entry.path), path + "/"))
            else:
                yield _entry(entry, text_name(path), root, max_bytes)
        pending.extend(reversed(folders))


def _entry(entry: os.DirEntry[str], path: str, root: Path, max_bytes: int) -> SourceFile:
    source = str(root)
    if entry.is_symlink():
        try:
            target = Path(entry.path).resolve(strict=True)
        except (OSError, RuntimeError):
            return skipped(path, source, InvalidSource(f"{path}: the link leads nowhere; it was not followed"))
        if not target.is_relative_to(root):
            return skipped(
                path, source, InvalidSource(f"{path}: the link leads out of the folder; it was not followed")
            )
        if target.is_dir():
            return skipped(path, source, InvalidSource(f"{path}: a link to a folder; it was not followed"))
        return _file(target, path, source, max_bytes)
    return _file(Path(entry.path), path, source, max_bytes)


def _file(file: Path, path: str, source: str, max_bytes: int) -> SourceFile:
    try:
        found = file.stat(follow_symlinks=False)
    except OSError as error:
        return skipped(path, source, _unreadable(path, "file", error))
    if not stat.S_ISREG(found.st_mode):
        return skipped(path, source, InvalidSource(f"{path}: not a regular file; it was not opened"))
    if found.st_size > max_bytes:
        return skipped(path, source, too_large(path, found.st_size, max_bytes), found.st_size)
    return SourceFile(
        path, source, partial(_copy, file, path, max_bytes), found.st_size, fingerprint=_fingerprint(found)
    )


def _fingerprint(found: os.stat_result) -> str:
    # What was written a moment ago may be written again within the same tick of the file system's clock.
    if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < SETTLED_NS:
        return ""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _copy(file: Path, path: str, max_bytes: int, target: Sink) -> None:
    for piece in _pieces(file, path, max_bytes):
        target.write(piece)


def _pieces(file: Path, path: str, max_bytes: int) -> Iterator[bytes]:
    """Read a file that may have been exchanged since it was listed: no link, no device, no more than the limit."""
    read = 0
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InvalidSource(f"{path}: not a regular file; it was not read")
            while piece := stream.read(COPY_BYTES):
                read += len(piece)
                if read > max_bytes:
                    raise too_large(path, read, max_bytes)
                yield piece
    except OSError as error:
        raise _unreadable(path, "file", error) from error


def _unreadable(path: str, what: str, error: OSError) -> InvalidSource:
    """Return the error that says who has to be allowed to read: in a container that is nobody's usual account."""
    if isinstance(error, PermissionError):
        whom = f"user {os.geteuid()}, as whom Pincite runs"
        return InvalidSource(f"{path}: the {what} cannot be read; let {whom}, read it (chmod -R a+rX)")
    return InvalidSource(f"{path}: the {what} cannot be read ({error.strerror})")
