"""Files received as multipart form data, streamed to disk in bounded pieces and named by the caller."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from pincite.errors import InvalidRequest
from pincite.ingestion import UploadedFile

if TYPE_CHECKING:  # the library defines it for type checkers only
    from python_multipart.multipart import MultipartCallbacks

FIELD = b"files"
WRITE_BYTES = 1024 * 1024
MAX_NAME = 1000
EXPECTED = "Send the files as multipart/form-data, each as a part named 'files' with a filename."


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """How much one upload may bring; a file beyond `max_file_bytes` is cut there and one byte, and refused by name."""

    max_files: int
    max_file_bytes: int


@dataclass(slots=True)
class _Part:
    """The part that is arriving: its headers, and the file it goes to if it is one of ours."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    header_name: bytes = b""
    header_value: bytes = b""
    file: BinaryIO | None = None
    size: int = 0


@asynccontextmanager
async def receive_files(request: Request, folder: Path, limits: UploadLimits) -> AsyncIterator[list[UploadedFile]]:
    """Stream the files of a multipart request into `folder` and yield them; they are deleted if the block fails.

    A block that ends well has handed them on, to a job that moves them.

    Raises:
        InvalidRequest: the body is not multipart, is cut short, holds no file or more than `limits.max_files`.
    """
    receiver = _Receiver(folder, limits)
    try:
        await _stream(request, receiver)
        yield receiver.files
    except BaseException:
        receiver.discard()  # not in a thread: a cancelled request could not wait for it
        raise


async def _stream(request: Request, receiver: "_Receiver") -> None:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise InvalidRequest(EXPECTED)
    pending = bytearray()
    try:
        parser = MultipartParser(options[b"boundary"], receiver.callbacks())
        async for piece in request.stream():
            pending += piece
            if len(pending) >= WRITE_BYTES:
                await run_in_threadpool(parser.write, bytes(pending))
                pending.clear()
        await run_in_threadpool(parser.write, bytes(pending))
        parser.finalize()
    except FormParserError:
        raise InvalidRequest(f"The multipart body cannot be read. {EXPECTED}") from None
    except ClientDisconnect:
        raise InvalidRequest("The connection closed before the upload was complete; send it again.") from None
    if not receiver.complete:
        raise InvalidRequest("The upload is cut short; send it again.")
    if not receiver.files:
        raise InvalidRequest(f"The upload holds no file. {EXPECTED}")


class _Receiver:
    """Writes the parts of a multipart body as the parser finds them; it runs in a thread."""

    def __init__(self, folder: Path, limits: UploadLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._part = _Part()
        self.files: list[UploadedFile] = []
        self.complete = False

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._open,
            "on_part_data": self._write,
            "on_part_end": self._close,
            "on_end": self._end,
        }

    def discard(self) -> None:
        """Delete everything received."""
        self._close()
        for file in self.files:
            file.path.unlink(missing_ok=True)

    def _begin(self) -> None:
        self._part = _Part()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._part.header_name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._part.header_value += data[start:end]

    def _header_end(self) -> None:
        part = self._part
        part.headers[part.header_name.lower()] = part.header_value
        part.header_name = part.header_value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._part.headers.get(b"content-disposition"))
        if options.get(b"name") != FIELD or not options.get(b"filename"):
            raise InvalidRequest(EXPECTED)
        if len(self.files) == self._limits.max_files:
            raise InvalidRequest(f"One upload may carry {self._limits.max_files} files; send the rest in another.")
        path = self._folder / f"upload-{uuid.uuid4().hex}"
        self.files.append(UploadedFile(options[b"filename"].decode("utf-8", "replace")[:MAX_NAME], path))
        self._part.file = path.open("xb")

    def _write(self, data: bytes, start: int, end: int) -> None:
        # One byte beyond the limit is kept: the ingestion sees that the file is too large and says so in its result.
        part = self._part
        room = self._limits.max_file_bytes + 1 - part.size
        if part.file is not None and room > 0:
            part.size += part.file.write(data[start : min(end, start + room)])

    def _close(self) -> None:
        if self._part.file is not None:
            self._part.file.close()
            self._part.file = None

    def _end(self) -> None:
        self.complete = True
