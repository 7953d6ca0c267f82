"""Jobs of one knowledge base run after each other, tell of themselves, and outlive the process that began them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pincite.catalog import Catalog
from pincite.errors import InvalidSource, Overloaded, UnknownJob
from pincite.jobs import Handler, JobRunner, Running
from pincite.records import Job

pytestmark = pytest.mark.anyio


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    opened = Catalog(f"sqlite:///{tmp_path}/catalog.sqlite")
    yield opened
    opened.close()


Work = Callable[[Running], Awaitable[None]]


class Works:
    """What the jobs of a test do, by the name that their request has."""

    def __init__(self) -> None:
        self.known: dict[str, Work] = {}
        self.ended: list[str] = []

    async def work(self, job: Job, running: Running) -> None:
        assert job.request is not None
        await self.known[job.request["work"]](running)

    async def afterwards(self, job: Job) -> None:
        assert job.request is not None
        self.ended.append(job.request["work"])

    async def submit(self, runner: JobRunner, kb: str, work: Work, priority: int = 1) -> Job:
        self.known[work.__name__] = work
        return await runner.submit(kb, "add", {"work": work.__name__}, priority=priority)


@pytest.fixture
def works() -> Works:
    return Works()


@pytest.fixture
async def runner(catalog: Catalog, works: Works) -> AsyncIterator[JobRunner]:
    made = await begun(catalog, works)
    yield made
    await made.close()


async def begun(catalog: Catalog, works: Works) -> JobRunner:
    runner = JobRunner(catalog, running=2, queued=2)
    await runner.begin({"add": Handler(works.work, works.afterwards)})
    return runner


def result(path: str, status: str = "indexed") -> dict[str, Any]:
    return {"path": path, "status": status, "document_id": f"doc_{path}", "passages": 1}


async def last(runner: JobRunner, job: Job) -> Job:
    return [snapshot async for snapshot in runner.events(job.id)][-1]


async def test_a_job_tells_every_result_and_ends_done(runner: JobRunner, works: Works, catalog: Catalog) -> None:
    async def work(running: Running) -> None:
        running.report.expect(2)
        running.report.add_passages(3)
        for name in "ab":
            await running.report.add_result(result(name))

    job = await works.submit(runner, "kb_1", work)
    finished = await last(runner, job)
    assert (finished.state, finished.done, finished.total, finished.passages) == ("done", 2, 2, 3)
    assert catalog.job(job.id) == finished


async def test_a_watcher_sees_a_job_grow(runner: JobRunner, works: Works) -> None:
    steps = [asyncio.Event() for _ in range(3)]

    async def work(running: Running) -> None:
        running.report.expect(3)
        for number, step in enumerate(steps):
            await step.wait()
            await running.report.add_result(result(str(number)))

    job = await works.submit(runner, "kb_1", work)
    seen = []
    async for snapshot in runner.events(job.id):
        seen.append(snapshot.done)
        if snapshot.state == "running" and snapshot.done < 3:
            steps[snapshot.done].set()
    assert seen == sorted(seen)
    assert {1, 2, 3} <= set(seen)


async def test_documents_of_one_knowledge_base_do_not_overlap_between_jobs(runner: JobRunner, works: Works) -> None:
    inside: list[str] = []

    async def work(running: Running) -> None:
        for _ in range(3):
            async with running.turn():
                inside.append(running.report.job.id)
                await asyncio.sleep(0)
                inside.append(running.report.job.id)

    jobs = [await works.submit(runner, "kb_1", work) for _ in range(3)]
    for job in jobs:
        assert (await last(runner, job)).state == "done"
    assert inside == [job.id for job in jobs for _ in range(6)]


async def test_an_urgent_job_waits_at_most_for_the_documents_at_hand(runner: JobRunner, works: Works) -> None:
    order: list[str] = []
    first, go = asyncio.Event(), asyncio.Event()

    async def bulk(running: Running) -> None:
        async def worker() -> None:
            for _ in range(2):
                async with running.turn():
                    order.append("bulk")
                    first.set()
                    await go.wait()

        await asyncio.gather(worker(), worker())

    async def urgent(running: Running) -> None:
        async with running.turn():
            order.append("urgent")

    loading = await works.submit(runner, "kb_1", bulk)
    await first.wait()
    attached = await works.submit(runner, "kb_1", urgent, priority=0)
    go.set()
    assert (await last(runner, attached)).state == "done"
    assert (await last(runner, loading)).state == "done"
    assert order == ["bulk", "bulk", "urgent", "bulk", "bulk"]


async def test_an_urgent_job_needs_no_place_among_the_running(runner: JobRunner, works: Works) -> None:
    release = asyncio.Event()

    async def endless(running: Running) -> None:
        await release.wait()

    async def quick(running: Running) -> None:
        async with running.turn():
            pass

    long = [await works.submit(runner, kb, endless) for kb in ("kb_1", "kb_2")]
    assert (await last(runner, await works.submit(runner, "kb_3", quick, priority=0))).state == "done"
    waiting = await works.submit(runner, "kb_3", quick)
    assert (await runner.job(waiting.id) or waiting).state == "queued"
    release.set()
    for job in (*long, waiting):
        assert (await last(runner, job)).state == "done"


async def test_jobs_of_different_knowledge_bases_run_at_once(runner: JobRunner, works: Works) -> None:
    arrived = asyncio.Barrier(2)

    async def work(running: Running) -> None:
        await arrived.wait()

    jobs = [await works.submit(runner, kb, work) for kb in ("kb_1", "kb_2")]
    for job in jobs:
        assert (await last(runner, job)).state == "done"


async def test_too_many_waiting_jobs_are_refused(runner: JobRunner, works: Works) -> None:
    release = asyncio.Event()

    async def work(running: Running) -> None:
        await release.wait()

    jobs = [await works.submit(runner, "kb_1", work) for _ in range(4)]
    with pytest.raises(Overloaded):
        await works.submit(runner, "kb_2", work)
    release.set()
    for job in jobs:
        assert (await last(runner, job)).state == "done"


async def test_an_error_of_ours_is_told_and_any_other_is_not(runner: JobRunner, works: Works) -> None:
    async def ours(running: Running) -> None:
        raise InvalidSource("there is no such folder")

    async def other(running: Running) -> None:
        raise ValueError("the text of a secret document")

    told = await last(runner, await works.submit(runner, "kb_1", ours))
    hidden = await last(runner, await works.submit(runner, "kb_1", other))
    assert (told.state, told.error) == ("failed", {"code": "invalid_source", "message": "there is no such folder"})
    assert hidden.state == "failed"
    assert "secret" not in str(hidden.error)


async def test_a_cancelled_job_says_so_and_keeps_its_results(runner: JobRunner, works: Works, catalog: Catalog) -> None:
    reached = asyncio.Event()

    async def work(running: Running) -> None:
        await running.report.add_result(result("a"))
        reached.set()
        await asyncio.Event().wait()

    job = await works.submit(runner, "kb_1", work)
    await reached.wait()
    await runner.cancel([job.id])
    stored = catalog.job(job.id)
    assert stored is not None
    assert (stored.state, stored.results) == ("cancelled", [result("a")])


async def test_a_waiting_job_can_be_cancelled(runner: JobRunner, works: Works, catalog: Catalog) -> None:
    release = asyncio.Event()

    async def work(running: Running) -> None:
        await release.wait()

    first = await works.submit(runner, "kb_1", work)
    second = await works.submit(runner, "kb_1", work)
    await runner.cancel([second.id])
    release.set()
    assert (await last(runner, first)).state == "done"
    assert (await last(runner, second)).state == "cancelled"


async def test_what_a_process_leaves_the_next_one_takes_up(catalog: Catalog, works: Works) -> None:
    reached = asyncio.Event()
    settled: list[frozenset[str]] = []
    endless = asyncio.Event()

    async def work(running: Running) -> None:
        settled.append(running.report.settled)
        running.report.expect(2)
        if not running.report.settled:
            await running.report.add_result(result("a"))
            await running.report.flush()
            reached.set()
            await endless.wait()
        await running.report.add_result(result("b"))

    before = await begun(catalog, works)
    job = await works.submit(before, "kb_1", work)
    waiting = await works.submit(before, "kb_1", work)
    await reached.wait()
    await before.close()
    assert works.ended == []
    assert {found.state for found in catalog.unfinished_jobs()} == {"running", "queued"}
    endless.set()
    after = await begun(catalog, works)
    ended = await last(after, job)
    assert (ended.state, ended.done, ended.counts) == ("done", 2, {"indexed": 2})
    assert [found["path"] for found in ended.results] == ["a", "b"]
    assert (await last(after, waiting)).state == "done"
    assert settled == [frozenset(), frozenset({"doc_a"}), frozenset()]
    await after.close()


async def test_a_job_of_a_version_that_did_not_write_it_down_is_failed(catalog: Catalog, works: Works) -> None:
    catalog.put_job(Job("job_1", "kb_1", "add", "running", 0, 0, 0, datetime.now(UTC)))
    runner = await begun(catalog, works)
    ended = await last(runner, Job("job_1", "kb_1", "add", "running", 0, 0, 0, datetime.now(UTC)))
    assert (ended.state, ended.error and ended.error["code"]) == ("failed", "interrupted")
    await runner.close()


async def test_closing_finishes_what_tidies(catalog: Catalog, works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    tidying, tidied = asyncio.Event(), []

    async def quick(running: Running) -> None:
        pass

    async def tidy(job: Job) -> None:
        tidying.set()
        await asyncio.sleep(0)
        tidied.append(job.state)

    monkeypatch.setattr(works, "afterwards", tidy)
    runner = await begun(catalog, works)
    await works.submit(runner, "kb_1", quick)
    await tidying.wait()
    await runner.close()
    assert tidied == ["done"]


async def test_results_are_told_once_to_a_watcher_that_counts_them(runner: JobRunner, works: Works) -> None:
    steps = asyncio.Semaphore(0)

    async def work(running: Running) -> None:
        running.report.expect(3)
        for name in "abc":
            await steps.acquire()
            await running.report.add_result(result(name))

    job = await works.submit(runner, "kb_1", work)
    told: list[str] = []
    async for snapshot in runner.events(job.id, since=0):
        told += [found["path"] for found in snapshot.results]
        steps.release()
    assert told == ["a", "b", "c"]
    ended = await runner.job(job.id, since=2)
    assert ended is not None
    assert [found["path"] for found in ended.results] == ["c"]


async def test_a_job_nobody_knows_is_unknown(runner: JobRunner, works: Works) -> None:
    with pytest.raises(UnknownJob):
        async for _ in runner.events("job_none"):
            pass
