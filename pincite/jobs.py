"""Long work as jobs: one at a time on a knowledge base, a few at once, each followed snapshot by snapshot."""

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pincite.catalog import Catalog, new_id
from pincite.errors import Overloaded, PinciteError, UnknownJob
from pincite.records import FINISHED, Job, JobKind, JobState

RESULTS_FLUSH_S = 1.0
KEPT_FOR = timedelta(days=30)
CRASHED = {"code": "interrupted", "message": "The server stopped before this job was finished; add the source again."}

log = logging.getLogger(__name__)


class JobReport:
    """What a running job tells of itself; its watchers see every change."""

    def __init__(self, job: Job, catalog: Catalog) -> None:
        self._job = job
        self._catalog = catalog
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._written_results = 0
        self._last_write = time.monotonic()

    @property
    def job(self) -> Job:
        """The job as it stands."""
        return dataclasses.replace(self._job, results=list(self._job.results))

    def expect(self, total: int) -> None:
        """Say how many documents there are."""
        self._update(total=total)

    def add_passages(self, count: int) -> None:
        """Count passages that have been embedded."""
        self._update(passages=self._job.passages + count)

    async def add_result(self, result: dict[str, Any]) -> None:
        """Record a finished document."""
        self._job.results.append(result)
        self._update(done=len(self._job.results))
        if time.monotonic() - self._last_write >= RESULTS_FLUSH_S:
            await self._write()

    async def enter(self, state: JobState, error: dict[str, str] | None = None) -> None:
        """Change the state, and write it down before anyone is told."""
        finished_at = datetime.now(UTC) if state in FINISHED else None
        job = dataclasses.replace(self._job, state=state, error=error, finished_at=finished_at)
        await self._write(job)
        self._update(state=state, error=error, finished_at=finished_at)

    async def changes(self) -> AsyncIterator[Job]:
        """Yield a snapshot now and at every change, the newest when several have gathered; end when it is finished."""
        while True:
            changed = self._changed
            job = self.job
            yield job
            if job.finished:
                return
            await changed.wait()

    def _update(self, **values: Any) -> None:
        self._job = dataclasses.replace(self._job, **values)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _write(self, job: Job | None = None) -> None:
        # A write goes to its end even when its job is cancelled, or an older state could land after a newer one.
        await asyncio.shield(asyncio.ensure_future(self._write_in_turn(job)))

    async def _write_in_turn(self, job: Job | None) -> None:
        async with self._writing:
            first, results = self._written_results, list(self._job.results)
            self._last_write = time.monotonic()
            new = list(enumerate(results[first:], start=first))
            await asyncio.to_thread(self._catalog.put_job, job or self._job, new)
            self._written_results = len(results)


Work = Callable[[JobReport], Awaitable[None]]


class JobRunner:
    """Runs jobs in the order they came: those of one knowledge base after each other, `running` at once in all."""

    def __init__(self, catalog: Catalog, *, running: int, queued: int) -> None:
        self._catalog = catalog
        self._running = asyncio.Semaphore(running)
        self._limit = running + queued
        self._lanes: dict[str, asyncio.Lock] = {}
        self._reports: dict[str, JobReport] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    async def recover(self) -> None:
        """Mark as failed what an earlier process left unfinished, and forget old jobs."""
        await asyncio.to_thread(self._catalog.fail_unfinished_jobs, CRASHED)
        await asyncio.to_thread(self._catalog.forget_jobs, KEPT_FOR)

    async def submit(
        self, knowledge_base_id: str, kind: JobKind, work: Work, afterwards: Callable[[], Awaitable[None]]
    ) -> Job:
        """Queue `work`; `afterwards` runs when its result is known, before the knowledge base's next job.

        Raises:
            Overloaded: too many jobs wait.
        """
        self.check_capacity()
        job = Job(new_id("job"), knowledge_base_id, kind, "queued", 0, 0, 0, datetime.now(UTC))
        report = self._reports[job.id] = JobReport(job, self._catalog)
        try:
            await asyncio.to_thread(self._catalog.put_job, job)
        except BaseException:
            del self._reports[job.id]
            raise
        task = asyncio.create_task(self._run(report, work, afterwards), name=job.id)
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._forget(job.id))
        return report.job

    def check_capacity(self) -> None:
        """Refuse when too many jobs wait.

        Raises:
            Overloaded: too many jobs wait.
        """
        if self._closing:
            raise Overloaded("The server is stopping; try again when it is back.")
        if len(self._reports) >= self._limit:
            raise Overloaded("Too many jobs are waiting; try again when one has finished.")

    def live(self, job_id: str) -> Job | None:
        """Return the snapshot of a job that this process runs."""
        report = self._reports.get(job_id)
        return report.job if report else None

    def unfinished(self, knowledge_base_id: str) -> list[Job]:
        """Return the waiting and running jobs of a knowledge base."""
        jobs = [report.job for report in list(self._reports.values())]
        return [job for job in jobs if job.knowledge_base_id == knowledge_base_id and not job.finished]

    async def events(self, job_id: str) -> AsyncIterator[Job]:
        """Yield a snapshot at every change of a job and end when it is finished.

        Raises:
            UnknownJob: there is none of this id.
        """
        report = self._reports.get(job_id)
        if report is not None:
            async for job in report.changes():
                yield job
            return
        stored = await asyncio.to_thread(self._catalog.job, job_id)
        if stored is None:
            raise UnknownJob("There is no job of this id; finished jobs are kept for 30 days.")
        yield stored

    async def cancel(self, job_ids: list[str]) -> None:
        """Cancel jobs and wait until they have ended; what they finished stays."""
        chosen = [(self._tasks[job_id], self._reports[job_id]) for job_id in job_ids if job_id in self._tasks]
        for task, _ in chosen:
            task.cancel()
        await asyncio.gather(*(task for task, _ in chosen), return_exceptions=True)
        # Said here and not by the job: one that is cancelled before its first step never gets to say anything.
        for _, report in chosen:
            if not report.job.finished:
                await report.enter("cancelled")

    async def close(self) -> None:
        """Cancel what is unfinished, and let what merely cleans up behind a finished job come to its end."""
        self._closing = True
        unfinished = [report.job.id for report in self._reports.values() if not report.job.finished]
        await self.cancel(unfinished)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, report: JobReport, work: Work, afterwards: Callable[[], Awaitable[None]]) -> None:
        lane = self._lanes.setdefault(report.job.knowledge_base_id, asyncio.Lock())
        try:
            async with lane, self._running:
                await self._work(report, work)
                await afterwards()
        except Exception:
            # Nobody waits for this task; without a line in the log the failure would be lost.
            log.exception("cleaning up behind job %s failed", report.job.id)

    async def _work(self, report: JobReport, work: Work) -> None:
        await report.enter("running")
        try:
            await work(report)
        except PinciteError as error:
            await report.enter("failed", {"code": error.code, "message": error.message})
        except Exception:
            log.exception("job %s failed", report.job.id)
            message = "The job failed inside the server; its log has the reason."
            await report.enter("failed", {"code": "internal_error", "message": message})
        else:
            await report.enter("done")

    def _forget(self, job_id: str) -> None:
        del self._reports[job_id]
        del self._tasks[job_id]
