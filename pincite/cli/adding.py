"""`pincite add` and `pincite retry`: documents in, a line for each, a bar while it lasts."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from pincite.cli.terminal import visible

if TYPE_CHECKING:
    from pincite.cli.door import Door

MARKS = {"indexed": "+", "unchanged": "=", "partial": "!", "failed": "x", "removed": "-"}
WARNINGS_SHOWN = 5

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON line a document.")]


def add(
    kb: Annotated[str, typer.Argument(metavar="KB", help="The knowledge base; made if there is none of this name.")],
    sources: Annotated[
        list[str], typer.Argument(metavar="PATH_OR_URL…", help="Files, folders, addresses of git repositories.")
    ],
    include: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Only such files, as *.pdf; may be given again.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="No such files, as drafts/*; may be given again.")
    ] = None,
    watch: Annotated[
        bool | None,
        typer.Option("--watch/--no-watch", help="Let the server follow its changes, or no more."),
    ] = None,
    remove_vanished: Annotated[
        bool, typer.Option("--remove-vanished", help="Remove what is gone also where it is more than half of a source.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Index documents; what is indexed already and has not changed costs nothing.

    A folder or repository that was added before is synchronised: what is gone from it is removed. Patterns are kept
    for the next time. Exit code 1 if any document failed.
    """
    from pincite.incoming import SourceOptions

    options = SourceOptions(
        include=None if include is None else tuple(include),
        exclude=None if exclude is None else tuple(exclude),
        watched=watch,
        remove_vanished=remove_vanished,
    )
    return asyncio.run(_follow(lambda door: door.add(kb, sources, options), as_json=as_json))


def retry(
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job's id, as `pincite jobs` shows it.")],
    as_json: AsJson = False,
) -> int:
    """Try again what failed in a job that has ended.

    Exit code 1 if any document failed again.
    """
    return asyncio.run(_follow(lambda door: door.retry(job), as_json=as_json))


async def _follow(begin: "Callable[[Door], AsyncIterator[dict[str, Any]]]", *, as_json: bool) -> int:
    from pincite.cli.door import open_door

    counts: Counter[str] = Counter()
    async with open_door(write=True) as door:
        with _Display(as_json=as_json) as display:
            async for job in begin(door):
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
        self._totals: dict[str, tuple[int, int, int]] = {}
        self._bar = None if as_json or not sys.stderr.isatty() else _bar()
        self._task = None if self._bar is None else self._bar.add_task("Indexing", total=None, passages=0, pace="")

    def show(self, job: dict[str, Any]) -> None:
        """Print what is new in a job."""
        for result in job["results"]:
            self.counts[result["status"]] += 1
            self._print(json.dumps(result, ensure_ascii=False) if self._as_json else visible(_line(result)))
        if job["state"] in {"failed", "cancelled"}:
            self.job_errors.append((job["error"] or {}).get("message", "The job was cancelled before it was finished."))
        self._totals[job["id"]] = (job["done"], job["total"], job["passages"])
        if self._bar is not None and self._task is not None:
            done, total, passages = (sum(numbers) for numbers in zip(*self._totals.values(), strict=True))
            self._bar.update(self._task, completed=done, total=total or None, passages=passages, pace=_pace(job))

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
        TextColumn("{task.fields[pace]}"),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _pace(job: dict[str, Any]) -> str:
    """Return what is being done, how quickly, and for how long still."""
    if not job["rate"]:
        return str(job["stage"])
    left = "" if job["seconds_left"] is None else f", {round(job['seconds_left'])} s left"
    return f"{job['stage']}, {job['rate']:.1f} a second{left}"


def _line(result: dict[str, Any]) -> str:
    head = f"{MARKS[result['status']]} {result['path']}"
    if result["error"] is not None:
        return f"{head}: {result['error']['message']}"
    if result["status"] == "removed":
        return f"{head}: removed, as it is gone from its source"
    pages = f"{result['pages']} pages, " if result["pages"] else ""
    line = f"{head}: {result['status']}, {pages}{result['passages']} passages"
    for warning in result["warnings"][:WARNINGS_SHOWN]:
        line += f"\n    {warning['message']}"
    if (more := len(result["warnings"]) - WARNINGS_SHOWN) > 0:
        line += f"\n    … and {more} more; `pincite doctor` lists them"
    return line
