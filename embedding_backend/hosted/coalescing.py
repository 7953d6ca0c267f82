"""Questions that come at the same time, sent in one request; a lone one is sent at once.

A server reads a request of many texts several times faster than as many requests of one. Nothing is gained by asking
it sooner while it is busy, so questions wait together as long as enough requests are under way, but never longer than
a few milliseconds. Many that come at once are shared among the requests that may be under way, so that one is unpacked
while another is computed, and every server has its part.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from embedding_backend.embedder import BackendFailure, Vectors
from embedding_backend.hosted.metrics import EmbeddingMetrics
from embedding_backend.hosted.pieces import Piece

# Two requests a server: while it computes one, the next is on its way.
_UNDER_WAY = 2
# Texts from which on a request costs little more than its texts; fewer are not shared out.
_WORTH_A_REQUEST = 8
# Requests a server that are sent although others are under way, for questions that have waited long enough.
_MOST_UNDER_WAY = 16
_LONGEST_HOLD_S = 0.02
_MOST_WAITING = 4096

Read = Callable[[Sequence[Piece]], Awaitable[list[Vectors | BackendFailure]]]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    piece: Piece
    future: asyncio.Future[Vectors]
    since: float


class Coalescer:
    """Collects pieces into requests of at most `most_tokens` and `most_texts`; `servers` says how many there are.

    `hold_s` is how long a piece waits while enough requests are under way: a few milliseconds where a server reads
    several requests together, without end where it reads one after the other.
    """

    def __init__(
        self,
        read: Read,
        servers: Callable[[], int],
        most_tokens: int,
        most_texts: int,
        metrics: EmbeddingMetrics,
        hold_s: float = _LONGEST_HOLD_S,
    ) -> None:
        self._read = read
        self._servers = servers
        self._most_tokens = most_tokens
        self._most_texts = most_texts
        self._metrics = metrics
        self._hold_s = hold_s
        self._waiting: deque[_Waiting] = deque()
        self._flush_at: asyncio.Handle | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def read(self, piece: Piece) -> Vectors:
        """Return the piece's vector; raises BackendFailure, also where too many wait already."""
        if len(self._waiting) >= _MOST_WAITING:
            raise BackendFailure(f"{_MOST_WAITING:,} questions wait for the embedding server already; try again later")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Vectors] = loop.create_future()
        self._waiting.append(_Waiting(piece, future, loop.time()))
        if len(self._waiting) in {1, self._most_texts}:
            # After what else runs in this turn of the loop, so that questions asked together go together.
            self._schedule(0)
        return await future

    def _schedule(self, delay_s: float) -> None:
        if self._flush_at is not None:
            self._flush_at.cancel()
        loop = asyncio.get_running_loop()
        self._flush_at = loop.call_later(delay_s, self._flush) if delay_s else loop.call_soon(self._flush)

    def _flush(self) -> None:
        now = asyncio.get_running_loop().time()
        servers = max(1, self._servers())
        while self._waiting and len(self._under_way) < _MOST_UNDER_WAY * servers:
            held_s = now - self._waiting[0].since
            full = len(self._waiting) >= self._most_texts
            if len(self._under_way) >= _UNDER_WAY * servers and not full and held_s < self._hold_s:
                self._schedule(self._hold_s - held_s)
                return
            if batch := self._taken(now, self._share(_UNDER_WAY * servers - len(self._under_way))):
                task = asyncio.create_task(self._send(batch))
                self._under_way.add(task)
                task.add_done_callback(self._done)

    def _share(self, requests: int) -> int:
        """Return how many texts go in the next of so many requests."""
        share = math.ceil(len(self._waiting) / requests) if requests > 1 else len(self._waiting)
        return min(self._most_texts, max(_WORTH_A_REQUEST, share))

    def _taken(self, now: float, most_texts: int) -> list[_Waiting]:
        batch: list[_Waiting] = []
        tokens = 0
        while self._waiting and len(batch) < most_texts:
            tokens += self._waiting[0].piece.size
            if batch and tokens > self._most_tokens:
                break
            waiting = self._waiting.popleft()
            # Whoever asked may have gone away meanwhile.
            if not waiting.future.done():
                self._metrics.queue_seconds.observe(now - waiting.since)
                batch.append(waiting)
        return batch

    async def _send(self, batch: list[_Waiting]) -> None:
        results: Sequence[Vectors | Exception]
        try:
            results = await self._read([waiting.piece for waiting in batch])
        except asyncio.CancelledError:
            for waiting in batch:
                waiting.future.cancel()
            raise
        except Exception as error:  # whoever asked must hear of it, whatever it is
            # Each its own failure: an exception that several tasks raise collects all their tracebacks.
            results = [BackendFailure(str(error)) if isinstance(error, BackendFailure) else error for _ in batch]
        for waiting, result in zip(batch, results, strict=True):
            if waiting.future.done():
                continue
            if isinstance(result, Exception):
                waiting.future.set_exception(result)
            else:
                waiting.future.set_result(result)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if self._waiting:
            self._schedule(0)

    def close(self) -> None:
        """Give up the questions under way."""
        if self._flush_at is not None:
            self._flush_at.cancel()
        for task in self._under_way:
            task.cancel()
        for waiting in self._waiting:
            waiting.future.cancel()
