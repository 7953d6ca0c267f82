"""Questions that come at the same time, sent in one request; a lone one is sent at once.

A server reads a request of many texts several times faster than as many requests of one. Nothing is gained by asking
it sooner while it is busy, so questions wait together as long as enough requests are under way, but never longer than
a few milliseconds. Many that come at once are shared among the requests that may be under way, so that one is unpacked
while another is computed, and every server has its part. The second of two waits a moment: a server computes together
what comes together, answers both at once, and then has nothing to do until it is asked again.
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
# While each server has one request, a question waits for so much of the time that the last one took. A quarter of the
# time between two answers: the first request is being computed by then, and the second still comes in good time.
_SHARE_HELD = 1 / 8
_MOST_WAITING = 4096

Read = Callable[[Sequence[Piece]], Awaitable[list[Vectors | BackendFailure]]]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    piece: Piece
    future: asyncio.Future[Vectors]
    since: float


class Coalescer:
    """Collects pieces into requests of at most `most_tokens` and `most_texts`; `servers` says how many there are.

    `hold_s` is how long a piece waits while two requests a server are under way: a few milliseconds where a server
    reads several requests together, without end where it reads one after the other.
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
        # The texts of each request.
        self._under_way: dict[asyncio.Task[None], int] = {}
        # How long the last request took, and when it ended.
        self._took_s = 0.0
        self._ended_at = 0.0

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
        loop = asyncio.get_running_loop()
        now = loop.time()
        servers = max(1, self._servers())
        while self._waiting and len(self._under_way) < _MOST_UNDER_WAY * servers:
            held_s, hold_s = now - self._held_since(servers), self._hold(servers)
            if held_s < hold_s and len(self._waiting) < self._most_texts:
                self._schedule(hold_s - held_s)
                return
            if batch := self._taken(now, self._share(servers)):
                task = asyncio.create_task(self._send(batch))
                self._under_way[task] = len(batch)
                task.add_done_callback(self._done)

    def _hold(self, servers: int) -> float:
        """Return how long a piece waits for company, in seconds."""
        if len(self._under_way) < servers:
            return 0.0
        if len(self._under_way) < _UNDER_WAY * servers:
            return min(_LONGEST_HOLD_S, self._took_s * _SHARE_HELD / servers)
        return self._hold_s

    def _held_since(self, servers: int) -> float:
        """Return the loop time from which on a piece has been waiting for company."""
        first = self._waiting[0].since
        # Whoever was just answered may ask again, and goes together with those who came meanwhile.
        return max(first, self._ended_at) if len(self._under_way) < _UNDER_WAY * servers else first

    def _share(self, servers: int) -> int:
        """Return how many texts go in the next request, so that all under way come to hold about as many."""
        texts = len(self._waiting) + sum(self._under_way.values())
        return min(self._most_texts, max(_WORTH_A_REQUEST, math.ceil(texts / (_UNDER_WAY * servers))))

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
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            results = await self._read([waiting.piece for waiting in batch])
            self._ended_at = loop.time()
            self._took_s = self._ended_at - began
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
        del self._under_way[task]
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
