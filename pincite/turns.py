"""Whose document is next: on a knowledge base that of its most urgent job, and only so many knowledge bases at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class Rank:
    """The place of a job among others, lower first: urgent ones (`priority` 0), then the older."""

    priority: int
    created_at: datetime
    job_id: str


class Turns:
    """Lets unfinished jobs work, document by document.

    Documents of different jobs of one knowledge base never overlap, and those of the job with the lowest rank go first,
    so that an urgent job waits at most for the documents at hand. Of jobs that are not urgent, those of `running`
    knowledge bases work at once.
    """

    def __init__(self, running: int) -> None:
        self._running = running
        self._ranks: dict[str, list[Rank]] = {}
        self._working: dict[str, tuple[Rank, int]] = {}
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def queued(self, knowledge_base_id: str, rank: Rank) -> AsyncIterator[None]:
        """Stand in the queue of a knowledge base for the time of the block."""
        self._ranks.setdefault(knowledge_base_id, []).append(rank)
        self._ranks[knowledge_base_id].sort()
        try:
            yield
        finally:
            self._ranks[knowledge_base_id].remove(rank)
            if not self._ranks[knowledge_base_id]:
                del self._ranks[knowledge_base_id]
            await self._announce()

    @asynccontextmanager
    async def turn(self, knowledge_base_id: str, rank: Rank) -> AsyncIterator[None]:
        """Wait for this job's turn and keep every other job of the knowledge base waiting until the block ends."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._may_work(knowledge_base_id, rank))
            _, holds = self._working.get(knowledge_base_id, (rank, 0))
            self._working[knowledge_base_id] = (rank, holds + 1)
        try:
            yield
        finally:
            _, holds = self._working.pop(knowledge_base_id)
            if holds > 1:
                self._working[knowledge_base_id] = (rank, holds - 1)
            await self._announce()

    def _may_work(self, knowledge_base_id: str, rank: Rank) -> bool:
        if self._ranks[knowledge_base_id][0] != rank:
            return False
        if self._working.get(knowledge_base_id, (rank, 0))[0] != rank:
            return False
        if rank.priority == 0:
            return True
        others = sorted(ranks[0] for ranks in self._ranks.values() if ranks[0].priority > 0)
        return rank in others[: self._running]

    async def _announce(self) -> None:
        # To its end even when its job is cancelled, or those that wait would wait forever.
        await asyncio.shield(asyncio.ensure_future(self._notify()))

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
