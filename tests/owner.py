"""What the local owner does with a workspace, waited for until it has ended."""

from pathlib import Path
from typing import Any

from pincite.access import Principal
from pincite.incoming import SourceOptions
from pincite.ingestion import UploadedFile
from pincite.records import Job
from pincite.workspace import Workspace

OWNER = Principal.system()


async def finish(workspace: Workspace, job: Job) -> Job:
    """Return the job as it ended."""
    return [snapshot async for snapshot in workspace.job_events(OWNER, job.id)][-1]


async def add(workspace: Workspace, kb: str, *sources: str | Path | UploadedFile, **options: Any) -> Job:
    """Add sources to a knowledge base, which is made where there is none of that name."""
    named = [str(source) if isinstance(source, Path) else source for source in sources]
    return await finish(workspace, await workspace.add(OWNER, kb, named, create=True, options=SourceOptions(**options)))


def statuses(job: Job) -> dict[str, str]:
    """Return what became of each document, by path."""
    return {result["path"]: result["status"] for result in job.results}
