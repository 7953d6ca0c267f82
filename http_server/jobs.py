"""Jobs over REST: how far the work on documents is, once or as it goes on."""

from collections.abc import AsyncIterator

from fastapi import APIRouter
from sse_starlette import EventSourceResponse, ServerSentEvent

from http_server.problems import documented
from http_server.shapes import Job
from http_server.workspace_access import Caller, ServedWorkspace
from pincite import records
from pincite.errors import NotAuthenticated, NotPermitted, UnknownJob

PING_S = 15

router = APIRouter(prefix="/api/jobs", tags=["jobs"])


@router.get("/{job_id}", responses=documented(NotAuthenticated, UnknownJob))
async def read_job(job_id: str, caller: Caller, workspace: ServedWorkspace) -> Job:
    """Say how far a job is, with a result for every document it has dealt with."""
    return Job.of(await workspace.job(caller, job_id))


@router.delete("/{job_id}", status_code=204, responses=documented(NotAuthenticated, NotPermitted, UnknownJob))
async def cancel_job(job_id: str, caller: Caller, workspace: ServedWorkspace) -> None:
    """Cancel a job; the documents it has finished stay."""
    await workspace.cancel_job(caller, job_id)


@router.get(
    "/{job_id}/events",
    response_class=EventSourceResponse,
    responses=documented(NotAuthenticated, UnknownJob)
    | {200: {"description": "A `progress` event at every change, then `finished`; each carries the job as JSON."}},
)
async def follow_job(job_id: str, caller: Caller, workspace: ServedWorkspace) -> EventSourceResponse:
    """Follow a job as server-sent events until it is finished."""
    await workspace.job(caller, job_id)  # an unknown job is a 404, not a stream that breaks off
    return EventSourceResponse(_events(workspace.job_events(caller, job_id)), ping=PING_S)


async def _events(snapshots: AsyncIterator[records.Job]) -> AsyncIterator[ServerSentEvent]:
    async for job in snapshots:
        yield ServerSentEvent(Job.of(job).model_dump_json(), event="finished" if job.finished else "progress")
