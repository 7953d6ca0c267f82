"""A worker process that does what its "document" says: the harm a hostile file may do to a parser, for real."""

import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pincite.document import Document
from pincite.document_codec import encode
from pincite.parsing import worker_process


def misbehave(request: dict[str, Any], payload: bytes) -> bytes:
    what = payload.decode()
    if what == "crash":
        os._exit(3)
    if what == "hang":
        threading.Event().wait()
    if what == "spin":
        while True:
            pass
    if what == "hoard":
        hoard = []
        while True:
            hoard.append(bytearray(16 * 1024 * 1024))
    if what == "chatter":
        os.write(1, b"to the protocol's descriptor\n")
        print("to standard output")  # noqa: T201
        print("to standard error", file=sys.stderr)  # noqa: T201
    if what == "fail":
        raise LookupError("the document's own words")
    text = _attempt(what)
    return encode(Document(f"{what} by {os.getpid()}", "text/plain", text))


def _attempt(what: str) -> str:
    if what in ATTEMPTS:
        try:
            ATTEMPTS[what]()
        except OSError as error:
            return f"refused: {errno.errorcode[error.errno or 0]}"
        return "done"
    if what == "secrets":
        return " ".join(k for k in os.environ if k.startswith("PINCITE"))
    return "x" * 5000 if what == "bulk" else "ok"


def _connect() -> None:
    with socket.socket() as probe:
        probe.settimeout(1)
        probe.connect(("127.0.0.1", 9))


def _send() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.sendto(b"", ("127.0.0.1", 9))


# What a document that took the parser over would try, each of it harmless where it is let.
ATTEMPTS: dict[str, Callable[[], object]] = {
    "local socket": lambda: socket.socket(socket.AF_UNIX).close(),
    "connect": _connect,
    "datagram": _send,
    "write": lambda: Path(f"/tmp/pincite-test-{os.getpid()}").write_bytes(b"x" * 10),
    "append": lambda: Path(__file__).open("ab").close(),
    "truncate": lambda: os.truncate(__file__, Path(__file__).stat().st_size),
    "remove": lambda: Path(f"/tmp/pincite-test-{os.getpid()}-none").unlink(),
    "folder": lambda: Path(f"/tmp/pincite-test-{os.getpid()}").mkdir(),
    "permissions": lambda: Path(__file__).chmod(Path(__file__).stat().st_mode),
    "read": lambda: Path("/etc/passwd").read_bytes(),
    "list": lambda: list(Path("/").iterdir()),
    "read the parent": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    "program": lambda: subprocess.run(["true"], check=True),
    "become a program": lambda: os.execv(sys.executable, [sys.executable, "--version"]),
    "fork": lambda: os.fork() or os._exit(0),
    "signal": lambda: os.kill(os.getppid(), 0),
}


worker_process._do = misbehave

if __name__ == "__main__":
    worker_process.main()
