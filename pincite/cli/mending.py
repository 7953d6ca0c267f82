"""The half of `pincite doctor --repair` that mends: a line for each document that is brought back, a bar meanwhile."""

import sys
from typing import Any

from pincite.cli.terminal import visible


async def mend(kb: str | None) -> None:
    """Mend one knowledge base or all, through the server that runs, and print what was done to standard error.

    Raises:
        UnknownKnowledgeBase: there is none of this name.
        BackendError: it could not be mended to the end.
    """
    from rich.console import Console
    from rich.progress import Progress

    from pincite.cli.door import named, open_door
    from pincite.errors import BackendError

    async with open_door(write=True) as door:
        everything = await door.knowledge_bases()
        for found in everything if kb is None else [named(everything, kb)]:
            with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
                task = bar.add_task(f"Mending {visible(found['name'])}", total=None)
                async for job in door.repair(found["id"]):
                    bar.update(task, completed=job["done"], total=job["total"] or None)
                    for result in job["results"]:
                        bar.console.print(visible(_line(result)), markup=False, highlight=False, soft_wrap=True)
            if job["state"] != "done":
                why = (job["error"] or {}).get("message", "it was cancelled")
                raise BackendError(f"{found['name']} could not be mended to the end: {why}")


def _line(result: dict[str, Any]) -> str:
    if result["error"] is not None:
        return f"x {result['path']}: {result['error']['message']}"
    if result["status"] == "removed":
        return f"- {result['path']}: its passages were in the index without a document, and are removed"
    return f"+ {result['path']}: indexed anew, {result['passages']} passages"
