"""Pictures of pages: drawn in a parser process, kept in memory for readers who turn back."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from pincite.document import Box
from pincite.parsing.worker import ParserPool

CACHE_BYTES = 32 * 1024 * 1024

# Far more lines than a page has; the parser's protocol bounds what a request may carry.
MAX_MARKS = 400

Key = tuple[str, int, float, tuple[Box, ...]]


class PageImages:
    """Draws pages, each once at a time, and keeps the latest within `CACHE_BYTES`."""

    def __init__(self, pool: ParserPool, cache_bytes: int = CACHE_BYTES) -> None:
        self._pool = pool
        self._room = cache_bytes
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._drawing: dict[Key, asyncio.Task[bytes]] = {}

    async def png(self, original: Path, sha256: str, number: int, scale: float, marks: Sequence[Box] = ()) -> bytes:
        """Return the PNG of the page with the 1-based `number`, `scale` pixels a point, with `marks` highlighted.

        Raises:
            UnknownPage: the document has no such page.
            DocumentError: it cannot be drawn.
        """
        drawn = tuple(marks[:MAX_MARKS])
        key = (sha256, number, scale, drawn)
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return kept
        task = self._drawing.get(key)
        if task is None:
            task = self._drawing[key] = asyncio.create_task(self._pool.render_page(original, number, scale, drawn))
            task.add_done_callback(lambda done: self._finish(key, done))
        # One reader may leave while another waits for the same page.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Stop drawing."""
        tasks = list(self._drawing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finish(self, key: Key, done: "asyncio.Task[bytes]") -> None:
        del self._drawing[key]
        if done.cancelled() or done.exception() is not None:
            return
        self._kept[key] = done.result()
        self._room -= len(done.result())
        while self._room < 0:
            _, forgotten = self._kept.popitem(last=False)
            self._room += len(forgotten)
