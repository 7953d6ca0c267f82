"""The process that parses: one document at a time, over a length-prefixed protocol, until it is killed or retired.

A frame is four bytes (the length of a JSON header), the header, and `header["size"]` bytes of payload.
Requests: `{"task": "parse", "name", "handed", "ocr", "cpu_s", "size"}` with the document as payload, or `{"task":
"render", "number", "scale", "marks", …}`. Where `handed` is true, the document comes as an open file over the socket
that the process inherits: it can open none itself. The first frame is `{"ok": true, "confined": {…}}`, replies are
`{"ok": true, "resident_bytes", "size"}` with Arrow IPC bytes or a PNG as payload, or `{"ok": false, "code", "message",
"detail"}`. Nothing is pickled: a document that takes the parser over still runs no code in the parent.
"""

import argparse
import gc
import json
import os
import socket
import struct
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

from pincite.errors import CorruptDocument, ParseLimitExceeded, PinciteError
from pincite.parsing import sandbox
from pincite.parsing.naming import shown_name

LENGTH = struct.Struct("<I")
MAX_HEADER_BYTES = 64 * 1024


def main() -> None:
    """Serve requests from standard input until it closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory-bytes", type=int, required=True)
    parser.add_argument("--max-output-bytes", type=int, required=True)
    parser.add_argument("--files-fd", type=int, required=True)
    parser.add_argument("--tessdata", type=Path)
    options = parser.parse_args()
    sandbox.die_with_parent()
    request_fd, reply_fd = sandbox.silence()
    # PyMuPDF loads them where they are installed: 60 MB and half a second, for what it is never asked.
    for optional in ("pymupdf.layout", "pymupdf4llm"):
        sys.modules[optional] = None  # type: ignore[assignment]
    # A page is thousands of small parts, none of which refers back: looking for circles among them as often as Python
    # does by itself took a fifth of the time. A million of them are some 100 MB.
    gc.set_threshold(1_000_000, 10, 10)
    files = socket.socket(fileno=options.files_fd)
    confined = sandbox.confine([str(options.tessdata)] if options.tessdata else [])
    sandbox.limit_resources(options.memory_bytes)
    with os.fdopen(request_fd, "rb") as requests, os.fdopen(reply_fd, "wb") as replies, files:
        write_frame(replies, {"ok": True, "confined": confined}, b"")
        while (frame := read_frame(requests)) is not None:
            header, payload = _answer(*frame, files, options.max_output_bytes)
            write_frame(replies, header, payload)
            if header.get("retire"):
                return
            # What is left of a document goes before the next one comes; what stays is never looked through again.
            gc.collect()
            gc.freeze()


def read_frame(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Return the next header and payload, or None at the end of the stream."""
    prefix = stream.read(LENGTH.size)
    if len(prefix) < LENGTH.size:
        return None
    header = json.loads(stream.read(LENGTH.unpack(prefix)[0]))
    return header, stream.read(header["size"])


def write_frame(stream: BinaryIO, header: dict[str, Any], payload: bytes) -> None:
    """Write one header with its payload and flush."""
    stream.write(frame_head(header, payload))
    stream.write(payload)
    stream.flush()


def frame_head(header: dict[str, Any], payload: bytes) -> bytes:
    """Return the bytes that go before `payload`."""
    encoded = json.dumps(header | {"size": len(payload)}).encode()
    return LENGTH.pack(len(encoded)) + encoded


def _handed(files: socket.socket) -> bytes:
    """Read the file that the parent opened for the request that is at hand."""
    _, descriptors, _, _ = socket.recv_fds(files, 1, 1)
    with os.fdopen(descriptors[0], "rb") as file:
        return file.read()


def _answer(
    request: dict[str, Any], payload: bytes, files: socket.socket, max_output_bytes: int
) -> tuple[dict[str, Any], bytes]:
    shown = shown_name(request["name"])
    try:
        sandbox.limit_cpu(request["cpu_s"])
        output = _do(request, _handed(files) if request["handed"] else payload)
        if len(output) > max_output_bytes:
            message = f"{shown}: what the document unpacks to is over the limit of {max_output_bytes} bytes; split it"
            return _failure(ParseLimitExceeded(message)), b""
        return {"ok": True, "resident_bytes": sandbox.resident_bytes()}, output
    except PinciteError as error:
        return _failure(error), b""
    except MemoryError:
        message = f"{shown}: parsing needs more memory than the limit allows; split the document"
        return _failure(ParseLimitExceeded(message)) | {"retire": True}, b""
    except Exception as error:  # the top of the worker: any other failure of a parser is the document's
        message = f"{shown}: the parser failed on it ({type(error).__name__}); the file looks damaged"
        return _failure(CorruptDocument(message)) | {"detail": _where(error)}, b""


def _do(request: dict[str, Any], payload: bytes) -> bytes:
    if request["task"] == "render":
        from pincite.parsing.pdf_render import render_page

        return render_page(payload, request["number"], request["scale"], request["marks"])
    from pincite.document_codec import encode
    from pincite.parsing import parse
    from pincite.tesseract import Recognition

    if (ocr := request.get("ocr")) is None:
        return encode(parse(payload, request["name"]))
    recognition = Recognition(tuple(ocr["languages"]), Path(ocr["folder"]))
    return encode(parse(payload, request["name"], recognition, ocr["seconds"]))


def _failure(error: PinciteError) -> dict[str, Any]:
    return {"ok": False, "code": error.code, "message": error.message, "resident_bytes": sandbox.resident_bytes()}


def _where(error: Exception) -> str:
    """The call chain as file names and lines: enough to find the fault, and nothing of the document."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    chain = " > ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames)
    return f"{type(error).__name__} at {chain}"


if __name__ == "__main__":
    main()
