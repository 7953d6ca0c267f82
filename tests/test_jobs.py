"""Jobs of one knowledge base run after each other, tell of themselves, and end in a state that says how."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pincite.catalog import Catalog
from pincite.errors import InvalidSource, Overloaded, UnknownJob
from pincite.jobs import JobReport, JobRunner
from pincite.records import Job

pytestmark = pytest.mark.anyio


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    opened = Catalog(f"sqlite:///{tmp_path}/catalog.sqlite")
    yield opened
    opened.close()


@pytest.fixture
async def runner(catalog: Catalog) -> AsyncIterator[JobRunner]:
    made = JobRunner(catalog, running=2, queued=2)
    yield made
    await made.close()


async def nothing() -> None:
    pass


async def last(runner: JobRunner, job: Job) -> Job:
    return [snapshot async for snapshot in runner.events(job.id)][-1]


async def test_a_job_tells_every_result_and_ends_done(runner: JobRunner, catalog: Catalog) -> None:
    async def work(report: JobReport) -> None:
        report.expect(2)
        report.add_passages(3)
        for name in "ab":
            await report.add_result({"path": name})

    job = await runner.submit("kb_1", "add", work, nothing)
    finished = await last(runner, job)
    assert (finished.state, finished.done, finished.total, finished.passages) == ("done", 2, 2, 3)
    assert catalog.job(job.id) == finished


async def test_a_watcher_sees_a_job_grow(runner: JobRunner) -> None:
    steps = [asyncio.Event() for _ in range(3)]

    async def work(report: JobReport) -> None:
        report.expect(3)
        for number, step in enumerate(steps):
            await step.wait()
            await report.add_result({"path": str(number)})

    job = await runner.submit("kb_1", "add", work, nothing)
    seen = []
    async for snapshot in runner.events(job.id):
        seen.append(snapshot.done)
        if snapshot.state == "running" and snapshot.done < 3:
            steps[snapshot.done].set()
    assert seen == sorted(seen)
    assert {1, 2, 3} <= set(seen)


async def test_jobs_of_one_knowledge_base_do_not_overlap(runner: JobRunner) -> None:
    inside = 0
    most = 0

    async def work(report: JobReport) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1

    jobs = [await runner.submit("kb_1", "add", work, nothing) for _ in range(3)]
    for job in jobs:
        assert (await last(runner, job)).state == "done"
    assert most == 1


async def test_jobs_of_different_knowledge_bases_run_at_once(runner: JobRunner) -> None:
    arrived = asyncio.Barrier(2)

    async def work(report: JobReport) -> None:
        await arrived.wait()

    jobs = [await runner.submit(kb, "add", work, nothing) for kb in ("kb_1", "kb_2")]
    for job in jobs:
        assert (await last(runner, job)).state == "done"


async def test_too_many_waiting_jobs_are_refused(runner: JobRunner) -> None:
    release = asyncio.Event()

    async def work(report: JobReport) -> None:
        await release.wait()

    jobs = [await runner.submit("kb_1", "add", work, nothing) for _ in range(4)]
    with pytest.raises(Overloaded):
        await runner.submit("kb_2", "add", work, nothing)
    release.set()
    for job in jobs:
        assert (await last(runner, job)).state == "done"


async def test_an_error_of_ours_is_told_and_any_other_is_not(runner: JobRunner) -> None:
    async def ours(report: JobReport) -> None:
        raise InvalidSource("there is no such folder")

    async def other(report: JobReport) -> None:
        raise ValueError("the text of a secret document")

    told = await last(runner, await runner.submit("kb_1", "add", ours, nothing))
    hidden = await last(runner, await runner.submit("kb_1", "add", other, nothing))
    assert (told.state, told.error) == ("failed", {"code": "invalid_source", "message": "there is no such folder"})
    assert hidden.state == "failed"
    assert "secret" not in str(hidden.error)


async def test_a_cancelled_job_says_so_and_keeps_its_results(runner: JobRunner, catalog: Catalog) -> None:
    reached = asyncio.Event()

    async def work(report: JobReport) -> None:
        await report.add_result({"path": "a"})
        reached.set()
        await asyncio.Event().wait()

    job = await runner.submit("kb_1", "add", work, nothing)
    await reached.wait()
    await runner.cancel([job.id])
    stored = catalog.job(job.id)
    assert stored is not None
    assert (stored.state, stored.results) == ("cancelled", [{"path": "a"}])


async def test_a_waiting_job_can_be_cancelled(runner: JobRunner, catalog: Catalog) -> None:
    release = asyncio.Event()

    async def work(report: JobReport) -> None:
        await release.wait()

    first = await runner.submit("kb_1", "add", work, nothing)
    second = await runner.submit("kb_1", "add", work, nothing)
    await runner.cancel([second.id])
    release.set()
    assert (await last(runner, first)).state == "done"
    assert (await last(runner, second)).state == "cancelled"


async def test_closing_cancels_what_runs_and_finishes_what_tidies(catalog: Catalog) -> None:
    runner = JobRunner(catalog, running=2, queued=2)
    tidying, tidied = asyncio.Event(), []

    async def quick(report: JobReport) -> None:
        pass

    async def endless(report: JobReport) -> None:
        await asyncio.Event().wait()

    async def tidy() -> None:
        tidying.set()
        await asyncio.sleep(0)
        tidied.append(True)

    done = await runner.submit("kb_1", "add", quick, tidy)
    running = await runner.submit("kb_2", "add", endless, nothing)
    await tidying.wait()
    await runner.close()
    assert tidied == [True]
    states = {job.id: job.state for job in (catalog.job(done.id), catalog.job(running.id)) if job}
    assert states == {done.id: "done", running.id: "cancelled"}


async def test_a_job_nobody_knows_is_unknown(runner: JobRunner) -> None:
    with pytest.raises(UnknownJob):
        async for _ in runner.events("job_none"):
            pass
