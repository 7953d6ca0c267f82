"""Jobs over REST: how far the work on documents is, once or as it goes on."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from http_server.problems import documented
from http_server.shapes import Job
from http_server.workspace_access import Caller, ServedWorkspace
from pincite import records
from pincite.errors import InvalidRequest, NotAuthenticated, NotPermitted, Overloaded, UnknownJob

PING_S = 15

router = APIRouter(prefix="/api/jobs", tags=["jobs"])


@router.get("/{job_id}", responses=documented(InvalidRequest, NotAuthenticated, UnknownJob))
async def read_job(
    job_id: str,
    caller: Caller,
    workspace: ServedWorkspace,
    since: Annotated[int, Query(ge=0, le=2**31, description="Leave this many results out, from the first on.")] = 0,
) -> Job:
    """Say how far a job is, with a result for every document it has dealt with."""
    return Job.of(await workspace.job(caller, job_id, since))


@router.post(
    "/{job_id}/retry",
    status_code=202,
    responses=documented(InvalidRequest, NotAuthenticated, NotPermitted, Overloaded, UnknownJob),
)
async def retry_job(job_id: str, caller: Caller, workspace: ServedWorkspace, response: Response) -> Job:
    """Try again, as a new job, what failed in one that has ended; what was sent need not be sent again."""
    job = await workspace.retry_job(caller, job_id)
    response.headers["Location"] = f"/api/jobs/{job.id}"
    return Job.of(job)


@router.delete("/{job_id}", status_code=204, responses=documented(NotAuthenticated, NotPermitted, UnknownJob))
async def cancel_job(job_id: str, caller: Caller, workspace: ServedWorkspace) -> None:
    """Cancel a job; the documents it has finished stay."""
    await workspace.cancel_job(caller, job_id)


@router.get(
    "/{job_id}/events",
    response_class=EventSourceResponse,
    responses=documented(InvalidRequest, NotAuthenticated, UnknownJob)
    | {200: {"description": "A `progress` event at every change, then `finished`; each carries the job as JSON."}},
)
async def follow_job(
    job_id: str,
    caller: Caller,
    workspace: ServedWorkspace,
    since: Annotated[
        int | None, Query(ge=0, le=2**31, description="Tell each result once, without the first so many.")
    ] = None,
) -> EventSourceResponse:
    """Follow a job as server-sent events until it is finished."""
    await workspace.job(caller, job_id)  # an unknown job is a 404, not a stream that breaks off
    return EventSourceResponse(_events(workspace.job_events(caller, job_id, since)), ping=PING_S)


async def _events(snapshots: AsyncIterator[records.Job]) -> AsyncIterator[ServerSentEvent]:
    async for job in snapshots:
        yield ServerSentEvent(Job.of(job).model_dump_json(), event="finished" if job.finished else "progress")
