"""Knowledge bases over REST: list, make, look at, set up, remove."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from http_server.problems import documented
from http_server.shapes import Account, Job, KnowledgeBase, KnowledgeBaseChanges, NewKnowledgeBase
from http_server.workspace_access import Caller, ServedWorkspace
from pincite.errors import (
    BackendError,
    IndexMismatch,
    InvalidRequest,
    InvalidSettings,
    NameTaken,
    NotAuthenticated,
    NotPermitted,
    Overloaded,
    UnknownKnowledgeBase,
)

router = APIRouter(prefix="/api/knowledge-bases", tags=["knowledge bases"])


@router.get("", responses=documented(NotAuthenticated))
async def list_knowledge_bases(caller: Caller, workspace: ServedWorkspace) -> list[KnowledgeBase]:
    """List the knowledge bases the key may read."""
    return [KnowledgeBase.of(record) for record in await workspace.knowledge_bases(caller)]


@router.post(
    "",
    status_code=201,
    responses=documented(BackendError, InvalidRequest, InvalidSettings, NameTaken, NotAuthenticated, NotPermitted),
)
async def create_knowledge_base(
    new: NewKnowledgeBase, caller: Caller, workspace: ServedWorkspace, response: Response
) -> KnowledgeBase:
    """Make an empty knowledge base."""
    created = KnowledgeBase.of(await workspace.create_knowledge_base(caller, new.name, new.settings))
    response.headers["Location"] = f"/api/knowledge-bases/{created.id}"
    return created


@router.get("/{kb}", responses=documented(NotAuthenticated, UnknownKnowledgeBase))
async def read_knowledge_base(kb: str, caller: Caller, workspace: ServedWorkspace) -> KnowledgeBase:
    """Look at one knowledge base; `kb` is its id or its name."""
    return KnowledgeBase.of(await workspace.knowledge_base(caller, kb))


@router.patch(
    "/{kb}",
    responses=documented(
        BackendError, InvalidRequest, InvalidSettings, NotAuthenticated, NotPermitted, UnknownKnowledgeBase
    ),
)
async def change_knowledge_base(
    kb: str, changes: KnowledgeBaseChanges, caller: Caller, workspace: ServedWorkspace
) -> KnowledgeBase:
    """Change settings; an index of another model or chunk size is built beside the one that serves, then swapped in."""
    return KnowledgeBase.of(await workspace.update_knowledge_base(caller, kb, changes.settings))


@router.get("/{kb}/jobs", responses=documented(InvalidRequest, NotAuthenticated, UnknownKnowledgeBase))
async def list_jobs(
    kb: str,
    caller: Caller,
    workspace: ServedWorkspace,
    finished: Annotated[bool, Query(description="The newest hundred instead, also those that have ended.")] = False,
) -> list[Job]:
    """List the jobs of a knowledge base that wait or run, without their results."""
    found = workspace.jobs if finished else workspace.unfinished_jobs
    return [Job.of(job) for job in await found(caller, kb)]


@router.get("/{kb}/account", responses=documented(BackendError, IndexMismatch, NotAuthenticated, UnknownKnowledgeBase))
async def read_account(kb: str, caller: Caller, workspace: ServedWorkspace) -> Account:
    """Count what went into a knowledge base and what came out: pages, characters, tokens, passages."""
    _, sums = await workspace.accounts(caller, kb)
    return Account.model_validate(sums)


@router.post(
    "/{kb}/repair",
    status_code=202,
    responses=documented(NotAuthenticated, NotPermitted, Overloaded, UnknownKnowledgeBase),
)
async def repair_knowledge_base(kb: str, caller: Caller, workspace: ServedWorkspace, response: Response) -> Job:
    """Look for damage in catalog, index and stored files, and mend it, as a job; searches go on."""
    job = await workspace.repair(caller, kb)
    response.headers["Location"] = f"/api/jobs/{job.id}"
    return Job.of(job)


@router.delete("/{kb}", status_code=204, responses=documented(NotAuthenticated, NotPermitted, UnknownKnowledgeBase))
async def remove_knowledge_base(kb: str, caller: Caller, workspace: ServedWorkspace) -> None:
    """Remove a knowledge base with its documents and its index."""
    await workspace.remove_knowledge_base(caller, kb)
