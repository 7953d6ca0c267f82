"""Broken and hostile files through the real `pincite add`, with the real server answering searches all the while.

Only its embedding model is a stand-in, as some of the files hold megabytes of text.

The folder has a `manifest.jsonl`: {file, expected, also_ok} a line, the outcomes being "ingested", "ingested partially
with warning" and "clear error"; a file of `kind` "list" holds addresses (`url`) or upload names (`filename`), each of
which is tried. What the kernel counts proves that nothing was fetched: all of it runs in a network of its own, without
a way out, whose statistics count each attempt to leave.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx

from benchmarks.report import machine
from pincite.data_lock import RunningServer, running_server
from pincite.parsing.worker import ParseLimits

KB = "hostile"
HARMLESS = "The warranty of the pump lasts thirty months from delivery.\n"
QUESTION = "How long does the warranty of the pump last?"
MOST_S = 3600
OUTCOMES = {"indexed": "ingested", "unchanged": "ingested", "partial": "ingested partially with warning"}
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_UNPACK = " (unpack first)"
_STORED_NAME = re.compile(r"[0-9a-f]{2}(/[0-9a-f]{64}[0-9A-Za-z._-]*)?")


@dataclass(slots=True)
class Findings:
    """What went wrong, in sentences, and what was seen meanwhile; memory in bytes, times in seconds."""

    wrong: list[str] = field(default_factory=list)
    tried: int = 0
    worker_peak: int = 0
    workers: int = 0
    searches: int = 0
    slowest_search: float = 0.0
    slowest_file: tuple[float, str] = (0.0, "")
    network: str = "not cut off: this machine allows no network of its own"


def leave_network() -> bool:
    """Move this process, and all it starts, into a network with nothing but a loopback; return whether that worked.

    Call it while the process has one thread only.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0 and libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))
    return True


def main() -> int:
    """Measure the folder or archive that the command line names, and write the table."""
    work = Path(tempfile.mkdtemp(prefix="pincite-hostile-"))
    try:
        table, as_expected = measure(Path(sys.argv[1]), work, cut_off=leave_network())
    finally:
        shutil.rmtree(work, ignore_errors=True)
    (Path(__file__).parents[1] / "docs" / "measurements" / "hostile.md").write_text(table, encoding="utf-8")
    print(table)
    return 0 if as_expected else 1


def measure(source: Path, work: Path, *, cut_off: bool) -> tuple[str, bool]:
    """Try everything in a folder or tar archive; return the report as Markdown, and whether all went as expected."""
    folder = _unpacked(source, work / "input")
    found = Findings()
    world = work / "world"
    for name in ("home", "tmp", "here"):
        (world / name).mkdir(parents=True)
    before = _contents(world) | _contents(folder)
    attempts = _attempts_to_leave()
    with _server(work / "data", world) as (server, process), _watched(server, process.pid, found):
        add = _Adding(server, work / "data", world)
        add.one(_written(work / "harmless.txt", HARMLESS))
        for entry in _entries(folder):
            _try(entry, folder, work, add, found)
        after = add.one(_written(work / "later.txt", HARMLESS.replace("pump", "valve")))
        if after.get("status") != "indexed":
            found.wrong.append(f"a good document added afterwards: {after}")
        if process.poll() is not None:
            found.wrong.append(f"the server ended with {process.returncode}")
    for path in sorted({p for p, _ in before ^ (_contents(world) | _contents(folder))}):
        found.wrong.append(f"touched outside the data folder: {path}")
    found.wrong += [f"in the data folder under a name of its own: {p}" for p in _odd_names(work / "data")]
    if cut_off:
        made = _attempts_to_leave() - attempts
        found.network = f"{made} attempts to leave it"
        if made:
            found.wrong.append(f"{made} connections were attempted")
    limit = ParseLimits().memory_bytes
    if found.worker_peak > limit:
        found.wrong.append(f"a worker took {found.worker_peak >> 20} MiB, over its limit of {limit >> 20}")
    return _report(found, limit), not found.wrong


class _Adding:
    """The real command, and uploads, as a person makes them."""

    def __init__(self, server: RunningServer, data: Path, world: Path) -> None:
        self._server = server
        self._environment = _environment(data, world)
        self._world = world

    def one(self, source: Path | str) -> dict[str, Any]:
        """Return the result of one source; a failure without a document is a result too."""
        return self.all(source)[0]

    def all(self, source: Path | str) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "pincite.cli", "add", KB, "--json", "--", str(source)]
        done = subprocess.run(
            command,
            check=False,
            env=self._environment,
            cwd=self._world / "here",
            capture_output=True,
            text=True,
            timeout=MOST_S,
        )
        results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if "Traceback" in done.stderr:
            return [{"status": "crashed", "error": {"message": done.stderr[-500:]}}]
        refused = {"status": "failed", "error": {"message": done.stderr.strip()}, "warnings": []}
        return results or [refused]

    def upload(self, name: str) -> dict[str, Any]:
        """Return how an upload under `name` ended."""
        with _client(self._server) as client:
            files = {"files": (name, HARMLESS.encode(), "text/plain")}
            answer = client.post(f"/api/knowledge-bases/{KB}/documents", files=files)
            if answer.status_code >= 400:
                return {"status": "failed", "error": {"message": answer.json().get("detail", "")}}
            job = answer.json()
            while job["state"] in {"queued", "running"}:
                job = client.get(f"/api/jobs/{job['id']}").json()
            results = job["results"]
            return dict(results[0]) if results else {"status": "failed", "error": {"message": str(job["error"])}}


def _try(entry: dict[str, Any], folder: Path, work: Path, add: _Adding, found: Findings) -> None:
    name = entry["file"]
    began = time.monotonic()
    if entry.get("kind") == "list":
        lines = [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines() if line.strip()]
        tried = [(v, [add.one(v) if key == "url" else add.upload(v)]) for li in lines for key, v in _pairs(li)]
    elif name.endswith(_UNPACK):
        place = work / "unpacked" / name.removesuffix(_UNPACK)
        with tarfile.open(folder / name.removesuffix(_UNPACK)) as archive:
            archive.extractall(place, filter="fully_trusted")
        tried = [(name, add.all(place))]
    else:
        tried = [(name, [add.one(folder / name)])]
    found.slowest_file = max(found.slowest_file, (time.monotonic() - began, name))
    allowed = {entry["expected"], *entry.get("also_ok", ())}
    for what, results in tried:
        found.tried += 1
        outcome = _outcome(results)
        if outcome not in allowed:
            found.wrong.append(f"{what!r}: {outcome}, not {entry['expected']}: {_first_error(results)}")
        if any(str(part) in json.dumps(results) for part in (work, folder) if not name.endswith(_UNPACK)):
            said = json.dumps([r.get("error") for r in results])
            if str(work / "data") in said:
                found.wrong.append(f"{what!r}: its error names a path of the server: {said}")


def _outcome(results: list[dict[str, Any]]) -> str:
    kinds = {r["status"] for r in results}
    if "crashed" in kinds:
        return "a crash"
    if kinds == {"failed"}:
        return "clear error" if all(r["error"] and r["error"].get("message") for r in results) else "an error unsaid"
    if len(results) > 1 or any(r.get("warnings") for r in results):
        return "ingested partially with warning"
    return OUTCOMES[results[0]["status"]]


def _first_error(results: list[dict[str, Any]]) -> str:
    return next((str(r["error"].get("message", ""))[:300] for r in results if r.get("error")), "")


def _pairs(line: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((key, line[key]) for key in ("url", "filename") if key in line)


@contextmanager
def _server(data: Path, world: Path) -> Iterator[tuple[RunningServer, "subprocess.Popen[bytes]"]]:
    log = data.parent / "server.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.quick_model", "serve"],
            env=_environment(data, world), cwd=world / "here", stdout=said, stderr=said,
        )  # fmt: skip
    try:
        while (server := running_server(data)) is None:
            if process.poll() is not None:
                sys.exit(f"The server did not start:\n{log.read_text('utf-8')[-2000:]}")
            time.sleep(0.1)
        yield server, process
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()


def _environment(data: Path, world: Path) -> dict[str, str]:
    root = Path(__file__).parents[1]
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(world / "home"),
        "TMPDIR": str(world / "tmp"),
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PINCITE_DATA": str(data),
        "PINCITE_PORT": "0",
    }


def _client(server: RunningServer) -> httpx.Client:
    headers = {"Authorization": f"Bearer {server.token}"}
    return httpx.Client(base_url=server.url, headers=headers, trust_env=False, timeout=120)


@contextmanager
def _watched(server: RunningServer, pid: int, found: Findings) -> Iterator[None]:
    """Look at the workers' memory, and search, again and again, for the time of the block."""
    over = Event()
    watchers = [
        Thread(target=_watch_workers, args=(pid, found, over)),
        Thread(target=_search, args=(server, found, over)),
    ]
    for watcher in watchers:
        watcher.start()
    try:
        yield
    finally:
        over.set()
        for watcher in watchers:
            watcher.join()


def _watch_workers(server: int, found: Findings, over: Event) -> None:
    seen = set()
    while not over.wait(0.02):
        for worker in _children(server):
            with suppress(OSError):
                status = Path(f"/proc/{worker}/status").read_text("ascii", errors="replace")
                if peak := re.search(r"VmHWM:\s*(\d+) kB", status):
                    found.worker_peak = max(found.worker_peak, int(peak[1]) * 1024)
                    seen.add(worker)
    found.workers = len(seen)


def _children(process: int) -> Iterator[int]:
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            with suppress(OSError):
                yield from map(int, (task / "children").read_text("ascii").split())


def _search(server: RunningServer, found: Findings, over: Event) -> None:
    with _client(server) as client:
        while not over.wait(0.2):
            began = time.monotonic()
            try:
                answer = client.post("/api/search", json={"knowledge_base": KB, "question": QUESTION, "k": 3})
            except httpx.HTTPError as error:
                found.wrong.append(f"a search got no answer: {error!r}")
                continue
            if answer.status_code == 404 and not found.searches:
                continue  # the knowledge base is not made yet
            found.searches += 1
            found.slowest_search = max(found.slowest_search, time.monotonic() - began)
            if answer.status_code != 200:
                found.wrong.append(f"a search was answered with {answer.status_code}: {answer.text[:200]}")


def _unpacked(source: Path, target: Path) -> Path:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        with tarfile.open(source) as archive:
            archive.extractall(target, filter="data")
    manifest = next(target.rglob("manifest.jsonl"), None)
    if manifest is None:
        sys.exit(f"{source} holds no manifest.jsonl")
    return manifest.parent


def _entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text("utf-8").splitlines()]


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _contents(folder: Path) -> set[tuple[str, str]]:
    """Every path below, with what is there."""
    found = set()
    for path in folder.rglob("*"):
        is_file = path.is_file() and not path.is_symlink()
        found.add((str(path), hashlib.sha256(path.read_bytes()).hexdigest() if is_file else "no file"))
    return found


def _odd_names(data: Path) -> Iterator[str]:
    """Yield what is stored under another name than its content's, or is no plain file of its owner alone."""
    for kind in ("originals", "parsed"):
        for path in (data / kind).rglob("*"):
            name = str(path.relative_to(data / kind))
            if (
                not _STORED_NAME.fullmatch(name)
                or path.is_symlink()
                or (path.is_file() and path.stat().st_mode & 0o111)
            ):
                yield f"{kind}/{name}"


def _attempts_to_leave() -> int:
    """How often something in this network wanted to reach an address that it has no way to."""
    counts = 0
    for name in ("snmp", "snmp6"):
        with suppress(OSError):
            lines = Path(f"/proc/self/net/{name}").read_text("ascii").splitlines()
            if name == "snmp6":
                counts += sum(int(line.split()[1]) for line in lines if line.startswith("Ip6OutNoRoutes"))
            else:
                titles, values = (line.split() for line in lines if line.startswith("Ip:"))
                counts += int(dict(zip(titles, values, strict=True))["OutNoRoutes"])
    return counts


def _report(found: Findings, limit: int) -> str:
    lines = [
        "# Broken and hostile files",
        "",
        f"Written by `scripts/bench hostile` on {machine()}: each file through `pincite add`, a server answering",
        "searches meanwhile, in a network without a way out. The embedding model is a stand-in: some files hold",
        "megabytes of text, and what is measured is what takes them apart.",
        "",
        "| | |",
        "|---|---|",
        f"| files, addresses and names tried | {found.tried} |",
        f"| not as expected | {len(found.wrong)} |",
        f"| parser processes | {found.workers} |",
        f"| largest of them | {found.worker_peak >> 20} MiB of {limit >> 20} |",
        f"| longest of all files | {found.slowest_file[0]:.1f} s ({found.slowest_file[1]!r}) |",
        f"| searches answered meanwhile | {found.searches} |",
        f"| slowest of them | {found.slowest_search:.2f} s |",
        f"| network | {found.network} |",
        "",
    ]
    return "\n".join([*lines, *(f"- {sentence}" for sentence in found.wrong), *([""] if found.wrong else [])])


if __name__ == "__main__":
    sys.exit(main())
