"""What a running job tells of itself: its stage, counts, rate and results, of which few wait in memory."""

import asyncio
import dataclasses
import time
from collections import Counter, deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pincite.catalog import Catalog
from pincite.records import FINISHED, DocumentRecord, Job, JobState, result_of

FLUSH_S = 1.0
FLUSH_RESULTS = 500
# The rate is that of the last minute, so that the time left follows what is being read now.
RATE_OVER_S = 60.0


class JobReport:
    """The state of one job; its watchers see every change, and the catalog keeps what is finished.

    `settled` are the ids of the documents that an earlier process has finished for this job. `suspended` is set when
    the process ends before the job does.
    """

    def __init__(self, job: Job, catalog: Catalog) -> None:
        self._job = job
        self._catalog = catalog
        self._counts: Counter[str] = Counter()
        self._waiting: list[tuple[int, dict[str, Any]]] = []
        self._ordinal = 0
        self._writing = asyncio.Lock()
        self._last_write = time.monotonic()
        self._pace: deque[tuple[float, int]] = deque()
        self.changed = asyncio.Event()
        self.settled: frozenset[str] = frozenset()
        self.suspended = False

    @property
    def job(self) -> Job:
        """The job as it stands, without its results."""
        rate = self._rate()
        left = None if rate is None or self._job.finished else (self._job.total - self._job.done) / rate
        return dataclasses.replace(self._job, counts=dict(self._counts), rate=rate, seconds_left=left)

    async def with_results(self, since: int = 0) -> Job:
        """Return the job as it stands, with its results without the first `since`."""
        job = self.job
        if since >= self._ordinal:  # asked at every change, most of which bring no result
            return job
        await self.flush()
        results = await asyncio.to_thread(self._catalog.job_results, job.id, since)
        return dataclasses.replace(job, results=results)

    async def continue_from(self, results: Sequence[tuple[int, dict[str, Any]]]) -> None:
        """Go on after the results that an earlier process has recorded, each with its ordinal."""
        self._ordinal = max((ordinal + 1 for ordinal, _ in results), default=0)
        self._counts.update(result["status"] for _, result in results)
        self.settled = frozenset(result["document_id"] for _, result in results)
        passages = sum(result["passages"] for _, result in results if result["status"] not in {"unchanged", "failed"})
        self._update(state="queued", stage="", done=len(results), passages=passages)

    def enter_stage(self, stage: str) -> None:
        """Say what is being done."""
        self._update(stage=stage)

    def expect(self, total: int) -> None:
        """Say how many documents there are in all."""
        self._update(total=total)

    def add_passages(self, count: int) -> None:
        """Count passages that have been embedded."""
        self._update(passages=self._job.passages + count)

    async def finish(self, record: DocumentRecord, generation: str = "") -> None:
        """Write a document's record together with its result, so that neither is there without the other.

        With `generation`, the record is that of a table that does not serve yet.
        """
        result = result_of(record)
        ordinal, self._ordinal = self._ordinal, self._ordinal + 1
        await asyncio.to_thread(self._catalog.finish_document, record, self._job.id, (ordinal, result), generation)
        self._count([result])

    async def add_result(self, *results: dict[str, Any]) -> None:
        """Record documents that are dealt with and whose records need no change."""
        self._waiting += enumerate(results, start=self._ordinal)
        self._ordinal += len(results)
        self._count(results)
        if time.monotonic() - self._last_write >= FLUSH_S or len(self._waiting) >= FLUSH_RESULTS:
            await self._write()

    async def flush(self) -> None:
        """Write down the results that wait."""
        await self._write()

    async def enter(self, state: JobState, error: dict[str, str] | None = None) -> None:
        """Change the state, and write it down before anyone is told."""
        now = datetime.now(UTC)
        values: dict[str, Any] = {"state": state, "error": error, "finished_at": now if state in FINISHED else None}
        if state == "running" and self._job.started_at is None:
            values["started_at"] = now
        if state in FINISHED:
            values["stage"] = ""
        await self._write(dataclasses.replace(self._job, **values))
        self._update(**values)

    def _count(self, results: Sequence[dict[str, Any]]) -> None:
        self._counts.update(result["status"] for result in results)
        done = self._job.done + len(results)
        now = time.monotonic()
        if not self._pace or now - self._pace[-1][0] >= 1.0:
            self._pace.append((now, done))
            while now - self._pace[0][0] > RATE_OVER_S:
                self._pace.popleft()
        self._update(done=done)

    def _rate(self) -> float | None:
        if len(self._pace) < 2:
            return None
        (first, before), (last, after) = self._pace[0], self._pace[-1]
        return (after - before) / (last - first) or None

    def _update(self, **values: Any) -> None:
        self._job = dataclasses.replace(self._job, **values)
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    async def _write(self, job: Job | None = None) -> None:
        # A write goes to its end even when its job is cancelled, or an older state could land after a newer one.
        await asyncio.shield(asyncio.ensure_future(self._write_in_turn(job)))

    async def _write_in_turn(self, job: Job | None) -> None:
        async with self._writing:
            self._last_write = time.monotonic()
            waiting, self._waiting = self._waiting, []
            if job is None and not waiting:
                return
            try:
                await asyncio.to_thread(self._catalog.put_job, job or self._job, waiting)
            except BaseException:
                self._waiting = waiting + self._waiting
                raise
