"""A parsed document as Arrow IPC bytes: how it crosses a process border, and how it rests on disk.

The file's first record batch is one row with the document's text, blocks and a JSON header; the pages follow, one row a
page and a few rows a batch, so that a page is read from a memory map without the others. Word offsets and lines are
stored as differences, which zstd shrinks well. Reading needs no pickle and runs no code from the file.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pincite.document import Document, Page, ParseWarning, Section, Table, Words
from pincite.errors import CorruptDocument, UnknownPage

PAGES_PER_BATCH = 8
_FORMAT = "pincite-document-1"

_int_list = pa.list_(pa.int32())
_SCHEMA = pa.schema(
    [
        ("header", pa.large_string()),
        ("text", pa.large_string()),
        ("blocks", pa.large_list(pa.int32())),
        ("number", pa.int32()),
        ("label", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("width", pa.float64()),
        ("height", pa.float64()),
        ("word_starts", _int_list),
        ("word_lengths", _int_list),
        ("word_lines", _int_list),
        ("word_boxes", pa.list_(pa.float32())),
    ]
)


def encode(document: Document) -> bytes:
    """Return `document` as Arrow IPC file bytes, compressed with zstd."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    with pa.ipc.new_file(sink, _SCHEMA.with_metadata({"format": _FORMAT}), options=options) as writer:
        writer.write_batch(_head_batch(document))
        for first in range(0, len(document.pages), PAGES_PER_BATCH):
            writer.write_batch(_page_batch(document.pages[first : first + PAGES_PER_BATCH]))
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def decode(data: bytes) -> Document:
    """Return the document that `encode` wrote; raise CorruptDocument where `data` is not one."""
    with StoredDocument(pa.BufferReader(data)) as stored:
        return stored.document()


def decode_page(data: bytes, number: int) -> Page:
    """Return the page with the 1-based `number`; raise UnknownPage where the document has none such."""
    with StoredDocument(pa.BufferReader(data)) as stored:
        return stored.page(number)


def open_stored(path: Path) -> "StoredDocument":
    """Open a stored document by memory map; raise CorruptDocument where the file is not one."""
    return StoredDocument(pa.memory_map(str(path)))


class StoredDocument:
    """A stored document that reads what is asked of it: the text on first use, a page without the others.

    Use it as a context manager, or call `close`; a page read before stays valid.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        with contextlib.ExitStack() as on_failure, _damage_reported():
            on_failure.callback(source.close)
            self._reader = pa.ipc.open_file(source)
            if (self._reader.schema.metadata or {}).get(b"format") != _FORMAT.encode():
                raise CorruptDocument("the stored document was written by another version; index the document again")
            self._head = self._batch(0)
            header = json.loads(self._head.column("header")[0].as_py())
            self.title: str = header["title"]
            self.media_type: str = header["media_type"]
            self.page_count: int = header["page_count"]
            self.sections = tuple(Section(start, level, title) for start, level, title in header["sections"])
            self.warnings = tuple(ParseWarning(code, message, page) for code, message, page in header["warnings"])
            self.tables = tuple(Table(*places) for places in header.get("tables", ()))
            on_failure.pop_all()

    @cached_property
    def text(self) -> str:
        """The whole text, verbatim."""
        with _damage_reported():
            return str(self._head.column("text")[0].as_py())

    @cached_property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """The ranges that should stay together when the text is cut."""
        with _damage_reported():
            flat = self._head.column("blocks").flatten().to_numpy().reshape(-1, 2)
            return tuple((start, end) for start, end in flat.tolist())

    def page(self, number: int) -> Page:
        """Return the page with the 1-based `number`; raise UnknownPage where the document has none such."""
        with _damage_reported():
            if 1 <= number <= self.page_count:
                row = number - 1
                for page in _pages(self._page_batch(row // PAGES_PER_BATCH), row % PAGES_PER_BATCH, 1):
                    if page.number == number:
                        return page
            for page in self._all_pages():  # a document whose page numbers have gaps
                if page.number == number:
                    return page
        raise UnknownPage(f"the document has no page {number}; it has {self.page_count} pages")

    def document(self) -> Document:
        """Return the whole document."""
        with _damage_reported():
            pages = tuple(self._all_pages())
        return Document(
            self.title, self.media_type, self.text, pages, self.sections, self.blocks, self.warnings, self.tables
        )

    def close(self) -> None:
        """Release the file."""
        self._source.close()

    def __enter__(self) -> "StoredDocument":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _all_pages(self) -> Iterator[Page]:
        for index in range(-(-self.page_count // PAGES_PER_BATCH)):
            batch = self._page_batch(index)
            yield from _pages(batch, 0, batch.num_rows)

    def _page_batch(self, index: int) -> Any:
        return self._batch(index + 1)

    def _batch(self, index: int) -> Any:
        batch = self._reader.get_batch(index)
        batch.validate(full=True)  # the bytes may come from a parser that a document took over
        return batch


@contextlib.contextmanager
def _damage_reported() -> Iterator[None]:
    """Raise CorruptDocument for whatever damaged bytes lead Arrow, JSON or NumPy to raise."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise CorruptDocument("the stored document is damaged; index the document again") from error


def _head_batch(document: Document) -> Any:
    header = {
        "title": document.title,
        "media_type": document.media_type,
        "page_count": len(document.pages),
        "sections": [(s.start, s.level, s.title) for s in document.sections],
        "warnings": [(w.code, w.message, w.page) for w in document.warnings],
        "tables": [(t.start, t.header_end, t.end) for t in document.tables],
    }
    blocks = np.asarray(document.blocks, np.int32).reshape(-1)
    columns: dict[str, Any] = {
        "header": pa.array([json.dumps(header)], pa.large_string()),
        "text": pa.array([document.text], pa.large_string()),
        "blocks": pa.LargeListArray.from_arrays(np.asarray([0, len(blocks)], np.int64), pa.array(blocks)),
    }
    return pa.record_batch([columns.get(f.name, pa.nulls(1, f.type)) for f in _SCHEMA], schema=_SCHEMA)


def _page_batch(pages: Sequence[Page]) -> Any:
    words = [page.words for page in pages]
    starts = [np.diff(w.starts, prepend=np.int32(p.start)) for p, w in zip(pages, words, strict=True)]
    columns: dict[str, Any] = {
        "number": pa.array([p.number for p in pages], pa.int32()),
        "label": pa.array([p.label for p in pages], pa.string()),
        "start": pa.array([p.start for p in pages], pa.int32()),
        "end": pa.array([p.end for p in pages], pa.int32()),
        "width": pa.array([p.width for p in pages], pa.float64()),
        "height": pa.array([p.height for p in pages], pa.float64()),
        "word_starts": _lists(starts, np.int32),
        "word_lengths": _lists([w.ends - w.starts for w in words], np.int32),
        "word_lines": _lists([np.diff(w.lines, prepend=np.int32(0)) for w in words], np.int32),
        "word_boxes": _lists([w.boxes.reshape(-1) for w in words], np.float32),
    }
    nulls = len(pages)
    return pa.record_batch([columns.get(f.name, pa.nulls(nulls, f.type)) for f in _SCHEMA], schema=_SCHEMA)


def _lists(arrays: Sequence[npt.NDArray[Any]], dtype: type[np.generic]) -> Any:
    offsets = np.cumsum([0, *(len(a) for a in arrays)], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(np.concatenate(arrays).astype(dtype)))


def _pages(batch: Any, first: int, count: int) -> Iterator[Page]:
    for row in range(first, min(first + count, batch.num_rows)):
        start = batch.column("start")[row].as_py()
        starts = start + np.cumsum(_row(batch, "word_starts", row), dtype=np.int32)
        words = Words(
            starts=starts,
            ends=starts + _row(batch, "word_lengths", row),
            boxes=_row(batch, "word_boxes", row).reshape(-1, 4),
            lines=np.cumsum(_row(batch, "word_lines", row), dtype=np.int32),
        )
        if not len(words.starts) == len(words.ends) == len(words.boxes) == len(words.lines):
            raise CorruptDocument("the stored document is damaged; index the document again")
        yield Page(
            number=batch.column("number")[row].as_py(),
            label=batch.column("label")[row].as_py(),
            start=start,
            end=batch.column("end")[row].as_py(),
            width=batch.column("width")[row].as_py(),
            height=batch.column("height")[row].as_py(),
            words=words,
        )


def _row(batch: Any, name: str, row: int) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = batch.column(name)[row].values.to_numpy()
    return values
