"""A worker process that does what its "document" says: the harm a hostile file may do to a parser, for real."""

import os
import socket
import sys
import threading
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
    if what == "write":
        try:
            Path(f"/tmp/pincite-test-{os.getpid()}").write_bytes(b"x" * 10)
        except OSError as error:
            return f"refused: {error.errno}"
        return "written"
    if what == "connect":
        with socket.socket() as probe:
            probe.settimeout(1)
            return str(probe.connect_ex(("127.0.0.1", 9)))
    if what == "secrets":
        return " ".join(k for k in os.environ if k.startswith("PINCITE"))
    return "x" * 5000 if what == "bulk" else "ok"


worker_process._do = misbehave

if __name__ == "__main__":
    worker_process.main()
