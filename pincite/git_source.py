"""Git repositories as sources: cloned bare, read object by object, never checked out, no hook or filter run."""

import contextlib
import ipaddress
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from pincite.errors import InvalidSource
from pincite.sources import Sink, SourceFile, skipped, text_name, too_large

CLONE_TIMEOUT_S = 900.0
CONNECT_TIMEOUT_S = 30
READ_TIMEOUT_S = 60.0
MAX_CLONE_BYTES = 4 * 1024**3
COPY_BYTES = 1024 * 1024
HEAD = "refs/pincite/head"

_SCP = re.compile(r"(?P<user>[A-Za-z0-9_][\w.-]*)@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>[^-].*)", re.ASCII)
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_SAFE_CONFIG = (
    "protocol.allow=never", "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.symlinks=false",
    "submodule.recurse=false", "fetch.recurseSubmodules=false", "gc.auto=0",
    "maintenance.auto=false", "credential.interactive=false",
)  # fmt: skip
# How the hosts with a name part such as these show a file of a commit.
_WEB_PATHS = (
    ("github", "blob"),
    ("gitlab", "-/blob"),
    ("bitbucket", "src"),
    ("codeberg", "src/commit"),
    ("gitea", "src/commit"),
    ("forgejo", "src/commit"),
)
# What shells say, and what git and ssh say of a host.
_NO_SSH = ("ssh: not found", "ssh: command not found")
_NO_ANSWER = ("connection refused", "timed out", "no route to host", "network is unreachable", "failed to connect")
# What git and ssh say, in the C locale, and what it means to a reader; the first one counts.
_CAUSES = (
    ("could not resolve host", "its host is unknown; check the address"),
    ("authentication failed", "it needs a login; set up a git credential helper or an SSH key for this server's user"),
    ("could not read username", "it needs a login, or does not exist; set up a git credential helper"),
    *((phrase, "ssh is not installed on this server; install it, or give the https address") for phrase in _NO_SSH),
    (
        "remote host identification has changed",
        "its host shows another SSH key than before; find out why, then correct known_hosts in ~/.ssh of this server's "
        "user",
    ),
    (
        "host key verification failed",
        "its host's SSH key is unknown; put it into known_hosts in ~/.ssh of this server's user (ssh-keyscan), "
        "compared with what the host publishes",
    ),
    ("load key", "the SSH key in ~/.ssh cannot be used; its file has to be this server's user's alone (chmod 600)"),
    (
        "permission denied",
        "access was denied; let it be read with the SSH key in ~/.ssh of this server's user, one without a passphrase",
    ),
    *((phrase, "its host does not answer; check the address and the way there") for phrase in _NO_ANSWER),
    ("not found", "there is no such repository"),
    ("does not appear to be a git repository", "there is no such repository"),
    ("does not exist", "there is no such repository"),
    ("couldn't find remote ref head", "it has no commit; push one"),
    ("redirect", "it redirects elsewhere; give the final URL"),
    ("file size limit", "it is too large to clone"),
    ("file too large", "it is too large to clone"),
)


# Of a repository that stays, the one who watches it and a job may want the newest commit at once.
_FETCHING: dict[Path, threading.Lock] = {}


def clone(url: str, *, private_hosts: bool = False, folder: Path | None = None) -> "Repository":
    """Fetch the newest commit of `url`'s default branch into a bare repository, and return it.

    With `folder` the repository stays there, and the next time only what is new is fetched; without, it is a temporary
    one that goes when nothing refers to it any more. Allowed are `https://…`, `ssh://…` and `user@host:path`. Refused
    with InvalidSource: other schemes (local paths included), passwords in the URL, options in disguise, hosts on this
    machine, and in private networks unless `private_hosts`.
    """
    address, pinned = check_url(url, private_hosts=private_hosts)
    kept = folder or Path(tempfile.mkdtemp(prefix="pincite-git-"))
    try:
        with _FETCHING.setdefault(kept, threading.Lock()):
            _clone_into(kept, address, ("https", "ssh"), pinned)
    except BaseException:
        if folder is None:
            shutil.rmtree(kept, ignore_errors=True)
        raise
    finally:
        if folder is None:
            _FETCHING.pop(kept, None)
    repository = Repository(kept, address)
    if folder is None:
        weakref.finalize(repository, shutil.rmtree, kept, ignore_errors=True)
    return repository


def check_url(url: str, *, private_hosts: bool = False) -> tuple[str, str | None]:
    """Return `url` as it may be given to git, and the `host:port:address` to connect to; raise InvalidSource."""
    if (
        url.startswith("-")
        or any(c.isspace() or not c.isprintable() for c in url)
        or re.match(r"[A-Za-z0-9+.-]+::", url)
    ):
        raise InvalidSource("this is not a git URL; give one such as https://host/group/project.git")
    if "://" not in url:
        match = _SCP.fullmatch(url)
        if match is None or ".." in match["path"].split("/"):
            raise InvalidSource("this is not a git URL; give one such as git@host:group/project.git")
        _check_host(match["host"], 22, private_hosts)
        return url, None
    parts = urlsplit(url)
    if parts.scheme not in {"https", "ssh"}:
        raise InvalidSource(
            f"{parts.scheme}:// is not allowed as a source; use https:// or ssh://, or give the path of a local folder"
        )
    if parts.password is not None or (parts.scheme == "https" and parts.username is not None):
        raise InvalidSource(
            "the URL holds a login; set up a git credential helper instead, and leave it out of the URL"
        )
    if (parts.username or "").startswith("-") or ".." in parts.path.split("/") or not parts.path.strip("/"):
        raise InvalidSource("this is not a git URL; give one such as https://host/group/project.git")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 22)
    except ValueError as error:
        raise InvalidSource("the URL's port is not a number; correct it") from error
    host = parts.hostname or ""
    address = _check_host(host, port, private_hosts)
    return url, f"{host}:{port}:{address}" if parts.scheme == "https" else None


def _check_host(host: str, port: int, private_hosts: bool) -> str:
    """Return the address that `host` stands for; raise InvalidSource where it may not be asked (RFC 6890)."""
    if not re.fullmatch(r"[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9_])?|[0-9a-fA-F:.]+", host, re.ASCII):
        raise InvalidSource("the URL names no host; give one such as https://host/group/project.git")
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise InvalidSource(f"the host {host} is unknown; check the address") from error
    for text in found:
        address = ipaddress.ip_address(text.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        if not _may_ask(mapped or address, private_hosts):
            raise InvalidSource(f"the host {host} is not a public one; this server does not fetch from it")
    return sorted(found, key=lambda a: (":" in a, a))[0]


def _may_ask(address: ipaddress.IPv4Address | ipaddress.IPv6Address, private_hosts: bool) -> bool:
    never = (
        address.is_loopback, address.is_link_local, address.is_multicast, address.is_unspecified, address.is_reserved,
    )  # fmt: skip
    return not any(never) and (address.is_global or private_hosts)


def _clone_into(folder: Path, address: str, protocols: tuple[str, ...], pinned: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for lock in folder.rglob("*.lock"):
        lock.unlink()  # of a fetch that was killed: one process writes here, one job at a time
    if not _is_repository(folder):
        _run_git([*_git(), "init", "--bare", "--quiet", "--template=", str(folder)])
        _run_git([*_git(), "--git-dir", str(folder), "symbolic-ref", "HEAD", HEAD])
    allowed = [f"protocol.{p}.allow=always" for p in protocols]
    # The address that was checked is the one that is asked, and no redirect leads elsewhere.
    pin = [f"http.curloptResolve={pinned}", "http.followRedirects=false"] if pinned else ["http.followRedirects=false"]
    _run_git([
        *_git(*allowed, *pin), "--git-dir", str(folder), "fetch", "--depth", "1", "--no-tags", "--no-write-fetch-head",
        "--no-recurse-submodules", "--quiet", "--", address, f"+HEAD:{HEAD}",
    ])  # fmt: skip


def _is_repository(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir()


def _run_git(command: list[str]) -> None:
    try:
        process = subprocess.Popen(
            command, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise InvalidSource("git is not installed on this server; install it to add git sources") from error
    with process:
        _limit_file_size(process.pid)
        try:
            _, said = process.communicate(timeout=CLONE_TIMEOUT_S)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            if isinstance(error, subprocess.TimeoutExpired):
                raise InvalidSource(f"the repository could not be cloned within {CLONE_TIMEOUT_S:g} s") from error
            raise
    if process.returncode:
        text = said.decode("utf-8", "replace").lower()
        cause = next((meaning for phrase, meaning in _CAUSES if phrase in text), "git could not read it; check the URL")
        raise InvalidSource(f"the repository could not be cloned: {cause}")


def _limit_file_size(pid: int) -> None:
    try:
        import resource

        resource.prlimit(pid, resource.RLIMIT_FSIZE, (MAX_CLONE_BYTES, MAX_CLONE_BYTES))
    except (ImportError, AttributeError, OSError):
        return  # not Linux, or already over


class Repository:
    """A bare repository on disk, read at its HEAD, which is `commit` once its files are listed."""

    def __init__(self, folder: Path, source: str) -> None:
        self._folder = folder
        self._source = source
        self._batch: subprocess.Popen[bytes] | None = None
        self.commit = ""
        self._lock = threading.Lock()
        self._finalizer: weakref.finalize[..., Repository] | None = None

    def files(self, max_bytes: int) -> Iterator[SourceFile]:
        """Yield the files of HEAD, hidden ones left out; links and submodules with an error. Raises InvalidSource."""
        self.commit = self._asked("rev-parse", "--verify", "HEAD^{commit}").decode().strip()
        listed = self._asked("ls-tree", "-r", "-z", "-l", "--full-tree", self.commit)
        entries = []
        for record in filter(None, listed.split(b"\x00")):
            head, _, raw = record.partition(b"\t")
            mode, kind, object_id, size = head.split()
            count = int(size) if size.isdigit() else 0
            entries.append(_TreeEntry(text_name(os.fsdecode(raw)), mode, kind, object_id.decode(), count))
        for entry in sorted(entries):
            if not any(part.startswith(".") for part in entry.path.split("/")):
                yield self._file(entry, max_bytes)

    def _asked(self, *arguments: str) -> bytes:
        command = [*_git(), "--git-dir", str(self._folder), *arguments]
        done = subprocess.run(command, env=_environment(), capture_output=True, check=False, timeout=READ_TIMEOUT_S)
        if done.returncode:
            raise InvalidSource("the repository has no commit that this user may read; push one, or check its owner")
        return done.stdout

    def _file(self, entry: "_TreeEntry", max_bytes: int) -> SourceFile:
        path = entry.path
        if entry.mode == b"120000":
            return skipped(path, self._source, InvalidSource(f"{path}: a link; links in repositories are not followed"))
        if entry.kind != b"blob":
            return skipped(path, self._source, InvalidSource(f"{path}: a submodule; add its repository as a source"))
        if entry.size > max_bytes:
            return skipped(path, self._source, too_large(path, entry.size, max_bytes), entry.size)
        copy = partial(self._copy, entry.object_id, path)
        link = web_link(self._source, self.commit, path)
        return SourceFile(path, self._source, copy, entry.size, fingerprint=f"blob {entry.object_id}", link=link)

    def _copy(self, object_id: str, path: str, target: Sink) -> None:
        with self._lock:
            try:
                self._copy_object(self._started(), object_id, path, target)
            except OSError:
                self._end_batch()  # it may stand in the middle of an object
                raise

    def _copy_object(self, batch: "subprocess.Popen[bytes]", object_id: str, path: str, target: Sink) -> None:
        assert batch.stdin is not None
        assert batch.stdout is not None
        batch.stdin.write(object_id.encode() + b"\n")
        batch.stdin.flush()
        head = batch.stdout.readline().split()
        if len(head) != 3 or head[1] != b"blob":
            raise InvalidSource(f"{path}: the object is missing from the repository; clone it again")
        left = int(head[2])
        data = batch.stdout.read(min(left, COPY_BYTES))
        if data.startswith(_LFS_POINTER) and left < 1024:
            batch.stdout.read(1)
            raise InvalidSource(f"{path}: the content is kept in Git LFS; fetch it, and add the folder instead")
        while data:
            target.write(data)
            left -= len(data)
            data = batch.stdout.read(min(left, COPY_BYTES))
        if left:
            self._end_batch()
            raise InvalidSource(f"{path}: the repository broke off in the middle of it; add the source again")
        batch.stdout.read(1)

    def _end_batch(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._batch = None

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._batch is None:
            command = [*_git(), "--git-dir", str(self._folder), "cat-file", "--batch"]
            self._batch = subprocess.Popen(
                command, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self._finalizer = weakref.finalize(self, _end, self._batch)
        return self._batch


def web_link(source: str, commit: str, path: str) -> str:
    """Return where a file can be seen as it was in a commit; for a host that shows no files, what names it there."""
    scp = _SCP.fullmatch(source)
    parts = urlsplit(f"ssh://{scp['host']}/{scp['path']}" if scp else source)
    host, project = parts.hostname or "", parts.path.strip("/").removesuffix(".git")
    inside = next((form for name, form in _WEB_PATHS if name in host.split(".")), None)
    if inside is None:
        return f"{source}@{commit}:{path}" if host else f"{commit}:{path}"
    return f"https://{host}/{project}/{inside}/{commit}/{quote(path)}"


class _TreeEntry(NamedTuple):
    path: str
    mode: bytes
    kind: bytes
    object_id: str
    size: int


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    with process:
        process.wait()


def _git(*config: str) -> list[str]:
    options = (option for setting in (*_SAFE_CONFIG, *config) for option in ("-c", setting))
    return ["git", *options]


def _environment() -> Mapping[str, str]:
    """The user's own environment, for SSH keys and credential helpers, without prompts and lazy fetches."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PINCITE_"))}
    return kept | {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        # Nobody is there to be asked: what would be is refused, a host whose key is not known among it.
        "GIT_SSH_COMMAND": f"ssh -oBatchMode=yes -oConnectTimeout={CONNECT_TIMEOUT_S}",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
    }
