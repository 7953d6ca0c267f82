"""Sources of a knowledge base over REST: what it follows."""

from fastapi import APIRouter, Response

from http_server.problems import documented
from http_server.shapes import Incoming, Job, Source
from http_server.workspace_access import Caller, ServedWorkspace
from pincite import records
from pincite.access import Principal
from pincite.errors import (
    InvalidRequest,
    NotAuthenticated,
    NotPermitted,
    Overloaded,
    UnknownKnowledgeBase,
    UnknownSource,
)
from pincite.sources import is_git_url

router = APIRouter(prefix="/api/knowledge-bases/{kb}", tags=["sources"])


class Synchronisation(Incoming):
    """How a source is brought in line."""

    remove_vanished: bool = False


@router.get("/sources", responses=documented(NotAuthenticated, UnknownKnowledgeBase))
async def list_sources(kb: str, caller: Caller, workspace: ServedWorkspace) -> list[Source]:
    """List the folders and repositories that a knowledge base follows."""
    return [_shown(source, caller) for source in await workspace.sources(caller, kb)]


@router.post(
    "/sources/{source_id}/sync",
    status_code=202,
    responses=documented(
        InvalidRequest, NotAuthenticated, NotPermitted, Overloaded, UnknownKnowledgeBase, UnknownSource
    ),
)
async def synchronise(
    kb: str,
    source_id: str,
    caller: Caller,
    workspace: ServedWorkspace,
    response: Response,
    how: Synchronisation | None = None,
) -> Job:
    """Bring the documents of a source in line with it; what became of each is told by the job."""
    remove_vanished = how is not None and how.remove_vanished
    job = await workspace.synchronise(caller, kb, source_id, remove_vanished=remove_vanished)
    response.headers["Location"] = f"/api/jobs/{job.id}"
    return Job.of(job)


@router.delete(
    "/sources/{source_id}",
    status_code=204,
    responses=documented(NotAuthenticated, NotPermitted, UnknownKnowledgeBase, UnknownSource),
)
async def remove_source(kb: str, source_id: str, caller: Caller, workspace: ServedWorkspace) -> None:
    """Follow a source no more; its documents stay."""
    await workspace.remove_source(caller, kb, source_id)


def _shown(source: records.Source, caller: Principal) -> Source:
    # A path of the server is nobody's business but its owner's.
    return Source.of(source, location=source.location if caller.local or is_git_url(source.location) else None)
