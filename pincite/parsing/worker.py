"""Worker processes that parse, and what becomes of them: limits, crashes, recycling, rest."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pincite.document import Box, Document
from pincite.document_codec import decode
from pincite.errors import (
    CorruptDocument,
    DocumentError,
    DocumentTooLarge,
    InvalidRequest,
    Overloaded,
    ParseLimitExceeded,
    PinciteError,
    UnknownPage,
)
from pincite.parsing.naming import shown_name
from pincite.parsing.worker_process import LENGTH, MAX_HEADER_BYTES, frame_head
from pincite.tesseract import Recognition

_log = logging.getLogger(__name__)
MIB = 1024 * 1024
# Of a document's time; what a page takes that was begun in it, and what comes after, has to fit into the rest.
RECOGNITION_SHARE = 0.6
# On a busy machine it takes a while until the exit of a process that has closed its pipe is known; a kill before would
# hide what it died of.
DEATH_S = 2.0
WORKER_COMMAND = (sys.executable, "-P", "-X", "utf8", "-m", "pincite.parsing.worker_process")


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """What one document may cost, and when a worker is replaced; bytes and seconds."""

    timeout_s: float = 300.0
    cpu_s: float = 240.0
    render_timeout_s: float = 30.0
    start_timeout_s: float = 60.0
    memory_bytes: int = 1536 * MIB
    max_bytes: int = 200 * MIB
    max_output_bytes: int = 256 * MIB
    documents_per_worker: int = 200
    recycle_bytes: int = 500 * MIB
    idle_s: float = 30.0


class ParserPool:
    """At most `workers` parser processes, started when needed and gone when idle.

    A document that crashes, hangs or bloats its worker costs that worker only: it is killed, and the pool goes on.
    Belongs to the event loop of its first use.
    """

    def __init__(
        self,
        workers: int,
        limits: ParseLimits | None = None,
        *,
        recognition: Recognition | None = None,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        if workers < 1:
            raise InvalidRequest(f"a parser pool needs at least one worker, not {workers}")
        self.limits = limits or ParseLimits()
        self._recognition = recognition
        self._command = tuple(command) + (("--tessdata", str(recognition.folder)) if recognition else ())
        self._free = asyncio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._reapers: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def ocr_languages(self) -> tuple[str, ...]:
        """The languages in which scanned pages are read, none where they are not."""
        return self._recognition.languages if self._recognition else ()

    async def parse(self, data: bytes | Path, name: str) -> Document:
        """Return the parsed document; `name` is its file name. Raises DocumentError."""
        return (await self.parse_to_store(data, name))[0]

    async def parse_to_store(self, data: bytes | Path, name: str) -> tuple[Document, bytes]:
        """Return the parsed document, and itself as `encode` wrote it. Raises DocumentError.

        The worker gets a `Path` as an open file, so that the bytes never pass through this process, and no name ever
        reaches the worker's file system.
        """
        size = len(data) if isinstance(data, bytes) else await asyncio.to_thread(_size, data, name)
        if size > self.limits.max_bytes:
            raise DocumentTooLarge(
                f"{shown_name(name)}: {size} bytes are over the limit of {self.limits.max_bytes}; split the document"
            )
        request: dict[str, Any] = {"task": "parse", "name": name, "cpu_s": self.limits.cpu_s, "ocr": None}
        if self._recognition is not None:
            seconds = RECOGNITION_SHARE * min(self.limits.timeout_s, self.limits.cpu_s)
            languages, folder = self._recognition.languages, str(self._recognition.folder)
            request["ocr"] = {"languages": languages, "folder": folder, "seconds": seconds}
        payload = await self._run(request, data, name, self.limits.timeout_s)
        return await asyncio.to_thread(decode, payload), payload

    async def render_page(self, path: Path, number: int, scale: float, marks: Sequence[Box] = ()) -> bytes:
        """Return the PNG of the displayed page with the 1-based `number`, `scale` 1 being 72 dpi, `marks` highlighted.

        Raises UnknownPage, DocumentError.
        """
        limit_s = self.limits.render_timeout_s
        corners = [[round(side, 2) for side in box[1:]] for box in marks]
        request = {"task": "render", "name": f"page {number}", "cpu_s": limit_s, "number": number, "scale": scale}
        request["marks"] = corners
        return await self._run(request, path, f"page {number}", limit_s)

    async def confined(self) -> dict[str, bool]:
        """Return what the kernel holds a worker to: no `network`, no `reading`, no `writing`, no `programs`."""
        async with self._free:
            worker = self._take() or await _Worker.start(self._command, self.limits)
            await self._give_back(worker, healthy=True)
            return worker.confined

    async def close(self) -> None:
        """End every worker, those at work too."""
        self._closed = True
        workers, self._idle = [*self._idle, *self._busy], []
        await asyncio.gather(*(w.kill() for w in workers), *self._reapers)

    async def _run(self, request: dict[str, Any], data: bytes | Path, name: str, timeout_s: float) -> bytes:
        async with self._free:
            if self._closed:
                raise Overloaded("the parser is shutting down; try again later")
            worker = self._take() or await _Worker.start(self._command, self.limits)
            self._busy.add(worker)
            healthy = False
            try:
                async with asyncio.timeout(timeout_s):
                    if isinstance(data, Path):
                        await worker.hand(data, name)
                    request["handed"] = isinstance(data, Path)
                    header, output = await worker.ask(request, b"" if isinstance(data, Path) else data)
                healthy = not header.get("retire")
            except TimeoutError as error:
                message = f"{shown_name(name)}: parsing took longer than {timeout_s:g} s; split the document"
                raise ParseLimitExceeded(message) from error
            except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
                raise await worker.cause_of_death(name) from error
            finally:
                self._busy.discard(worker)
                await self._give_back(worker, healthy)
            return _output(header, output, name)

    def _take(self) -> "_Worker | None":
        while self._idle:
            worker = self._idle.pop()
            worker.rest_over()
            if worker.alive:
                return worker
        return None

    async def _give_back(self, worker: "_Worker", healthy: bool) -> None:
        if not healthy or self._closed or worker.worn_out:
            await asyncio.shield(self._spawn_reaper(worker))
            return
        self._idle.append(worker)
        worker.rest(self.limits.idle_s, lambda: self._retire(worker))

    def _retire(self, worker: "_Worker") -> None:
        if worker in self._idle:
            self._idle.remove(worker)
            self._spawn_reaper(worker)

    def _spawn_reaper(self, worker: "_Worker") -> "asyncio.Task[None]":
        task = asyncio.ensure_future(worker.kill())
        self._reapers.add(task)
        task.add_done_callback(self._reapers.discard)
        return task


class _Worker:
    """One parser process and the pipes to it."""

    def __init__(self, process: asyncio.subprocess.Process, files: socket.socket, limits: ParseLimits) -> None:
        self.confined: dict[str, bool] = {}
        self._process = process
        self._files = files
        self._limits = limits
        self._documents = 0
        self._resident_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    async def start(cls, command: Sequence[str], limits: ParseLimits) -> "_Worker":
        """Start a process and wait until it is ready; raise Overloaded where it does not come up."""
        here, there = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                "--memory-bytes", str(limits.memory_bytes), "--max-output-bytes", str(limits.max_output_bytes),
                "--files-fd", str(there.fileno()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=(there.fileno(),),
                env=_environment(),
                cwd="/",
                limit=MIB,
            )  # fmt: skip
        except BaseException:
            here.close()
            raise
        finally:
            there.close()
        worker = cls(process, here, limits)
        try:
            async with asyncio.timeout(limits.start_timeout_s):
                header, _ = await worker._reply()
            worker.confined = {str(what): held is True for what, held in dict(header.get("confined", {})).items()}
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            await worker.kill()
            raise Overloaded(
                "the parser process could not be started; try again later, with more memory free"
            ) from error
        except asyncio.CancelledError:
            await worker.kill()
            raise
        return worker

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def worn_out(self) -> bool:
        limits = self._limits
        return self._documents >= limits.documents_per_worker or self._resident_bytes > limits.recycle_bytes

    async def hand(self, path: Path, name: str) -> None:
        """Send the worker an open file, which goes with the request that is asked next."""
        file = await asyncio.to_thread(_opened, path, name)
        try:
            # One byte on a socket that nothing else is on: it does not block.
            socket.send_fds(self._files, [b"\0"], [file])
        finally:
            os.close(file)

    async def ask(self, request: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        assert self._process.stdin is not None
        self._documents += 1
        self._process.stdin.write(frame_head(request, payload))
        self._process.stdin.write(payload)
        await self._process.stdin.drain()
        header, output = await self._reply()
        self._resident_bytes = int(header.get("resident_bytes", 0))
        return header, output

    async def _reply(self) -> tuple[dict[str, Any], bytes]:
        """Read one frame; a worker may be hostile, so that every length is checked before it is believed."""
        assert self._process.stdout is not None
        length = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))[0]
        if length > MAX_HEADER_BYTES:
            raise ValueError("the header is too long")
        header = json.loads(await self._process.stdout.readexactly(length))
        if not isinstance(header, dict) or not isinstance(header.get("size"), int):
            raise ValueError("the header has no size")
        if not 0 <= header["size"] <= self._limits.max_output_bytes:
            raise ValueError("the payload is too long")
        return header, await self._process.stdout.readexactly(header["size"])

    async def cause_of_death(self, name: str) -> DocumentError:
        """Why the worker ended without an answer, as the document's error."""
        await self.kill(grace_s=DEATH_S)
        code = self._process.returncode or 0
        if code == -signal.SIGXCPU:
            return ParseLimitExceeded(f"{shown_name(name)}: parsing took too much CPU time; split the document")
        what = f"signal {-code}" if code < 0 else f"exit {code}"
        _log.warning("a parser process ended by %s on a document", what)
        return CorruptDocument(f"{shown_name(name)}: the parser crashed on it ({what}); the file looks damaged")

    def rest(self, idle_s: float, when_over: Any) -> None:
        self._timer = asyncio.get_running_loop().call_later(idle_s, when_over)

    def rest_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def kill(self, grace_s: float = 0.05) -> None:
        """End the process if it has not ended by itself meanwhile, and wait until it is gone."""
        self.rest_over()
        self._files.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        # One that crashed keeps its own exit status; the grace lets the kernel report it.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        if (transport := getattr(self._process, "_transport", None)) is not None:
            transport.close()


def _output(header: dict[str, Any], output: bytes, name: str) -> bytes:
    if header.get("ok"):
        return output
    if "detail" in header:
        _log.warning("a parser failed: %s", str(header["detail"])[:500])
    kind = _ERRORS.get(str(header.get("code")), CorruptDocument)
    message = str(header.get("message", ""))[:1000] or f"{shown_name(name)}: the parser failed on it"
    raise kind(message)


def _size(path: Path, name: str) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise CorruptDocument(f"{shown_name(name)}: the stored file is missing; add the document again") from error


def _opened(path: Path, name: str) -> int:
    """Open a regular file; what waits for a writer (a pipe, a device) is refused instead of waited for."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise CorruptDocument(f"{shown_name(name)}: the stored file is missing; add the document again") from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise CorruptDocument(f"{shown_name(name)}: this is no regular file; add the document itself")
    return file


def _environment() -> dict[str, str]:
    """What a worker needs to import this package; no secret of the server's goes along."""
    kept = {k: os.environ[k] for k in ("PATH", "LANG", "LC_ALL", "TZ", "COVERAGE_PROCESS_START") if k in os.environ}
    return kept | {
        "PYTHONPATH": os.pathsep.join(p for p in (str(Path(p).absolute()) if p else str(Path.cwd()) for p in sys.path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_TRIM_THRESHOLD_": "1000000",
    }


def _tree(kind: type[PinciteError]) -> dict[str, type[PinciteError]]:
    found = {kind.code: kind}
    for child in kind.__subclasses__():
        found |= _tree(child)
    return found


# The errors a worker may raise here; anything else it says is taken for a damaged document.
_ERRORS = _tree(DocumentError) | {UnknownPage.code: UnknownPage}
