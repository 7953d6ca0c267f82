"""`pincite add`: documents in, a line for each, a bar while it lasts."""

import asyncio
import json
import sys
from collections import Counter
from types import TracebackType
from typing import Annotated, Any, Self

import typer

from pincite.cli.terminal import visible

MARKS = {"indexed": "+", "unchanged": "=", "partial": "!", "failed": "x"}
WARNINGS_SHOWN = 5


def add(
    kb: Annotated[str, typer.Argument(metavar="KB", help="The knowledge base; made if there is none of this name.")],
    sources: Annotated[
        list[str], typer.Argument(metavar="PATH_OR_URL…", help="Files, folders, addresses of git repositories.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line a document.")] = False,
) -> int:
    """Index documents; what is indexed already and has not changed costs nothing.

    Exit code 1 if any document failed.
    """
    return asyncio.run(_add(kb, sources, as_json=as_json))


async def _add(kb: str, sources: list[str], *, as_json: bool) -> int:
    from pincite.cli.door import open_door

    counts: Counter[str] = Counter()
    async with open_door(write=True) as door:
        with _Display(as_json=as_json) as display:
            async for job in door.add(kb, sources):
                display.show(job)
        counts = display.counts
        broken = display.job_errors
    if not as_json:
        said = ", ".join(f"{counts[status]} {status}" for status in MARKS if counts[status])
        typer.echo(said or "Nothing to add: no documents were found there.")
    for message in broken:
        typer.echo(f"pincite: {message}", err=True)
    return 1 if counts["failed"] or broken else 0


class _Display:
    """Prints each document's result once, as its job tells of it, below a bar if a person watches."""

    def __init__(self, *, as_json: bool) -> None:
        self.counts: Counter[str] = Counter()
        self.job_errors: list[str] = []
        self._as_json = as_json
        self._seen: dict[str, int] = {}
        self._totals: dict[str, tuple[int, int, int]] = {}
        self._bar = None if as_json or not sys.stderr.isatty() else _bar()
        self._task = None if self._bar is None else self._bar.add_task("Indexing", total=None, passages=0)

    def show(self, job: dict[str, Any]) -> None:
        """Print what is new in a job."""
        first = self._seen.get(job["id"], 0)
        for result in job["results"][first:]:
            self.counts[result["status"]] += 1
            self._print(json.dumps(result, ensure_ascii=False) if self._as_json else visible(_line(result)))
        self._seen[job["id"]] = len(job["results"])
        if job["state"] in {"failed", "cancelled"}:
            self.job_errors.append((job["error"] or {}).get("message", "The job was cancelled before it was finished."))
        self._totals[job["id"]] = (job["done"], job["total"], job["passages"])
        if self._bar is not None and self._task is not None:
            done, total, passages = (sum(numbers) for numbers in zip(*self._totals.values(), strict=True))
            self._bar.update(self._task, completed=done, total=total or None, passages=passages)

    def _print(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            typer.echo(line)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("documents, {task.fields[passages]} passages"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _line(result: dict[str, Any]) -> str:
    head = f"{MARKS[result['status']]} {result['path']}"
    if result["error"] is not None:
        return f"{head}: {result['error']['message']}"
    pages = f"{result['pages']} pages, " if result["pages"] else ""
    line = f"{head}: {result['status']}, {pages}{result['passages']} passages"
    for warning in result["warnings"][:WARNINGS_SHOWN]:
        line += f"\n    {warning['message']}"
    if (more := len(result["warnings"]) - WARNINGS_SHOWN) > 0:
        line += f"\n    … and {more} more; `pincite doctor` lists them"
    return line
