"""Long work as jobs that outlive their process: written down before they begin, and taken up again after a crash."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pincite.catalog import Catalog, new_id
from pincite.errors import Overloaded, PinciteError, UnknownJob
from pincite.job_report import JobReport
from pincite.records import Job, JobKind
from pincite.turns import Rank, Turns

KEPT_FOR = timedelta(days=30)
LOST = {"code": "interrupted", "message": "The server stopped before this job was finished; add the source again."}
# A list of results is told again at most so often that telling costs little beside the work.
RESULTS_A_SECOND = 2000

log = logging.getLogger(__name__)


class Running(NamedTuple):
    """What the work of a job gets: its report, and `turn`, inside which it deals with one document."""

    report: JobReport
    turn: Callable[[], AbstractAsyncContextManager[None]]


class Handler(NamedTuple):
    """How jobs of a kind are done: `work` may be begun again after a crash, `afterwards` comes when a job has ended."""

    work: Callable[[Job, Running], Awaitable[None]]
    afterwards: Callable[[Job], Awaitable[None]]


class JobRunner:
    """Runs jobs in the order of their rank: those of one knowledge base after each other, `running` at once in all."""

    def __init__(self, catalog: Catalog, *, running: int, queued: int) -> None:
        self._catalog = catalog
        self._turns = Turns(running)
        self._limit = running + queued
        self._handlers: Mapping[JobKind, Handler] = {}
        self._reports: dict[str, JobReport] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    async def begin(self, handlers: Mapping[JobKind, Handler]) -> None:
        """Take up what an earlier process left unfinished, and forget old jobs."""
        self._handlers = handlers
        await asyncio.to_thread(self._catalog.forget_jobs, KEPT_FOR)
        for job in await asyncio.to_thread(self._catalog.unfinished_jobs):
            report = JobReport(job, self._catalog)
            if job.request is None:  # of a version that did not write down what there was to do
                await report.enter("failed", LOST)
                continue
            await report.continue_from(await asyncio.to_thread(self._catalog.settled_results, job.id))
            self._start(report)

    async def submit(
        self, knowledge_base_id: str, kind: JobKind, request: dict[str, Any] | None = None, *, priority: int = 1
    ) -> Job:
        """Write down a job and queue it; priority 0 goes before 1, also while such a job is running.

        Raises:
            Overloaded: too many jobs wait.
        """
        self.check_capacity()
        job = Job(
            id=new_id("job"),
            knowledge_base_id=knowledge_base_id,
            kind=kind,
            state="queued",
            done=0,
            total=0,
            passages=0,
            created_at=datetime.now(UTC),
            request=request or {},
            priority=priority,
        )
        report = self._reports[job.id] = JobReport(job, self._catalog)
        try:
            await asyncio.to_thread(self._catalog.put_job, job)
        except BaseException:
            del self._reports[job.id]
            raise
        self._start(report)
        return report.job

    def _start(self, report: JobReport) -> None:
        job_id = report.job.id
        self._reports[job_id] = report
        task = self._tasks[job_id] = asyncio.create_task(self._run(report), name=job_id)
        task.add_done_callback(lambda _: self._forget(job_id))

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
        """Return the snapshot of a job that this process runs, without its results."""
        report = self._reports.get(job_id)
        return report.job if report else None

    def unfinished(self, knowledge_base_id: str) -> list[Job]:
        """Return the waiting and running jobs of a knowledge base, without their results."""
        jobs = [report.job for report in list(self._reports.values())]
        return [job for job in jobs if job.knowledge_base_id == knowledge_base_id and not job.finished]

    async def job(self, job_id: str, since: int = 0) -> Job | None:
        """Return a job as it stands, with its results without the first `since`."""
        report = self._reports.get(job_id)
        if report is None:
            return await asyncio.to_thread(self._catalog.job, job_id, since)
        return await report.with_results(since)

    async def events(self, job_id: str, since: int | None = None) -> AsyncIterator[Job]:
        """Yield a snapshot at every change of a job, the newest when several have gathered; end when it is finished.

        Each has all results; with `since`, those that were not told yet, without the first `since`.

        Raises:
            UnknownJob: there is none of this id.
        """
        report = self._reports.get(job_id)
        if report is None:
            stored = await asyncio.to_thread(self._catalog.job, job_id, since or 0)
            if stored is None:
                raise UnknownJob("There is no job of this id; finished jobs are kept for 30 days.")
            yield stored
            return
        told = since or 0
        while True:
            changed = report.changed
            job = await report.with_results(told)
            if since is not None:
                told += len(job.results)
            yield job
            if job.finished:
                return
            await asyncio.sleep(len(job.results) / RESULTS_A_SECOND)
            await changed.wait()

    async def cancel(self, job_ids: list[str]) -> None:
        """Cancel jobs and wait until they have ended; what they finished stays."""
        chosen = [(self._tasks[job_id], self._reports[job_id]) for job_id in job_ids if job_id in self._tasks]
        for task, report in chosen:
            if not report.job.finished:
                task.cancel()
        await asyncio.gather(*(task for task, _ in chosen), return_exceptions=True)
        # Said here and not by the job: one that is cancelled before its first step never gets to say anything.
        for _, report in chosen:
            if not report.job.finished:
                await report.enter("cancelled")
                await self._handlers[report.job.kind].afterwards(report.job)

    async def close(self) -> None:
        """Stop what is unfinished, for the next start to go on with; let what cleans up behind a finished job end."""
        self._closing = True
        for job_id, report in list(self._reports.items()):
            if not report.job.finished:
                report.suspended = True
                self._tasks[job_id].cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, report: JobReport) -> None:
        job = report.job
        handler = self._handlers[job.kind]
        rank = Rank(job.priority, job.created_at, job.id)
        try:
            async with self._turns.queued(job.knowledge_base_id, rank):
                await self._work(report, handler, rank)
                await handler.afterwards(report.job)
        except Exception:
            # Nobody waits for this task; without a line in the log the failure would be lost.
            log.exception("cleaning up behind job %s failed", job.id)

    async def _work(self, report: JobReport, handler: Handler, rank: Rank) -> None:
        def turn() -> AbstractAsyncContextManager[None]:
            return self._turns.turn(report.job.knowledge_base_id, rank)

        async with turn():
            await report.enter("running")
        try:
            await handler.work(report.job, Running(report, turn))
        except PinciteError as error:
            await report.enter("failed", {"code": error.code, "message": error.message})
        except Exception:
            log.exception("job %s failed", report.job.id)
            message = "The job failed inside the server; its log has the reason."
            await report.enter("failed", {"code": "internal_error", "message": message})
        else:
            await report.enter("done")

    def _forget(self, job_id: str) -> None:
        self._reports.pop(job_id, None)
        self._tasks.pop(job_id, None)
