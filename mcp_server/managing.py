"""The tools with which an agent that may write adds and removes documents."""

import asyncio
import uuid
from typing import Annotated, Any, Protocol

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field

from mcp_server.asking import Asking
from mcp_server.budget import estimated_tokens
from mcp_server.results import AddedDocument, JobOutput, RemovedOutput, tool_result
from mcp_server.toolbox import READS, Toolbox
from pincite.errors import InvalidRequest
from pincite.ingestion import UploadedFile
from pincite.records import Job
from pincite.workspace import Workspace

# Most clients give a call a minute; a job that takes longer goes on, and job_status tells of it.
FOLLOWED_S = 20.0
FRAME_TOKENS = 100
Ctx = Context[Any, Any]
ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True)
REMOVES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)


class Management(Protocol):
    """What the tools do, for the one who asks; each returns the tool's result."""

    async def add(
        self, ctx: Ctx, knowledge_base: str, url: str | None, name: str | None, text: str | None
    ) -> CallToolResult: ...

    async def status(self, ctx: Ctx, job: str) -> CallToolResult: ...

    async def remove(self, ctx: Ctx, document: str) -> CallToolResult: ...


def add_management(server: Toolbox, management: Management) -> None:
    """Add the tools that only those who may write see."""

    @server.tool(annotations=ADDS)
    async def add_document(
        ctx: Ctx,
        knowledge_base: Annotated[str, Field(description="Name or id.")],
        url: Annotated[str | None, Field(description="https address of a git repository.")] = None,
        name: Annotated[str | None, Field(description="File name of text, such as notes.md.")] = None,
        text: str | None = None,
    ) -> Annotated[CallToolResult, JobOutput]:
        """Index a git repository, or a text under a file name; the same name replaces its older version."""
        return await management.add(ctx, knowledge_base, url, name, text)

    @server.tool(annotations=READS)
    async def job_status(
        ctx: Ctx, job: Annotated[str, Field(description="Id from add_document.")]
    ) -> Annotated[CallToolResult, JobOutput]:
        """See how far an add_document is, and what became of each document."""
        return await management.status(ctx, job)

    @server.tool(annotations=REMOVES)
    async def remove_document(
        ctx: Ctx, document: Annotated[str, Field(description="Document id.")]
    ) -> Annotated[CallToolResult, RemovedOutput]:
        """Remove a document and its passages for good. Ask the user first."""
        return await management.remove(ctx, document)

    server.keep_for_writers("add_document", "job_status", "remove_document")


class InThisProcess:
    """Manages the documents of a workspace that this process writes."""

    def __init__(self, workspace: Workspace, asking: Asking) -> None:
        self._workspace = workspace
        self._asking = asking

    async def add(
        self, ctx: Ctx, knowledge_base: str, url: str | None, name: str | None, text: str | None
    ) -> CallToolResult:
        """Add a source, and follow its job for a while."""
        source = url or await _received(self._workspace, name, text)
        if url and (name or text):
            raise InvalidRequest("Send either url, or name and text.")
        try:
            job = await self._workspace.add(self._asking.who, knowledge_base, [source])
        except BaseException:
            if isinstance(source, UploadedFile):
                source.path.unlink(missing_ok=True)
            raise
        return self._told(await _followed(self._workspace, self._asking, job, ctx))

    async def status(self, ctx: Ctx, job: str) -> CallToolResult:
        """Tell how a job stands."""
        return self._told(await self._workspace.job(self._asking.who, job))

    async def remove(self, ctx: Ctx, document: str) -> CallToolResult:
        """Remove a document."""
        record = await self._workspace.document(self._asking.who, document)
        await self._workspace.remove_document(self._asking.who, document)
        return tool_result(RemovedOutput(removed=record.id, title=record.title))

    def _told(self, job: Job) -> CallToolResult:
        return tool_result(_shown(job, self._workspace.settings.mcp_token_budget))


async def _received(workspace: Workspace, name: str | None, text: str | None) -> UploadedFile:
    if not name or not text:
        raise InvalidRequest("Send either url, or name and text.")
    path = workspace.incoming / f"upload-{uuid.uuid4().hex}"
    await asyncio.to_thread(path.write_text, text, "utf-8", newline="")
    return UploadedFile(name, path)


async def _followed(workspace: Workspace, asking: Asking, job: Job, ctx: Ctx) -> Job:
    """Report the job's progress until it is finished or takes long; return it as it stands then."""
    told = -1
    try:
        async with asyncio.timeout(FOLLOWED_S):
            async for current in workspace.job_events(asking.who, job.id):
                job = current
                if (steps := job.done + job.passages) > told:  # the protocol wants every number above the last
                    told = steps
                    message = f"{job.state}: {job.done} of {job.total or '?'} documents, {job.passages} passages"
                    await ctx.report_progress(steps, message=message)
    except TimeoutError:
        pass
    return job


def _shown(job: Job, budget: int) -> JobOutput:
    documents: list[AddedDocument] = []
    left = budget - FRAME_TOKENS
    for result in sorted(job.results, key=lambda result: result["error"] is None):
        problem = result["error"]["message"] if result["error"] else None
        plain = {name: result[name] or 0 for name in ("pages", "passages")}
        document = AddedDocument(
            path=result["path"], status=result["status"], document_id=result["document_id"], problem=problem, **plain
        )
        left -= estimated_tokens(document.model_dump_json(exclude_defaults=True))
        if left < 0:
            break
        documents.append(document)
    return JobOutput(
        job=job.id,
        state=job.state,
        done=job.done,
        total=job.total,
        documents=documents,
        omitted=len(job.results) - len(documents),
        problem=job.error["message"] if job.error else None,
    )
