"""`pincite jobs`, `cancel` and `sources`: what is being done, and what a knowledge base follows."""

import asyncio
import json
from typing import Annotated, Any

import typer

from pincite.cli.inventory import KB, AsJson, table
from pincite.cli.terminal import visible


def jobs(kb: KB, as_json: AsJson = False) -> int:
    """List the newest jobs of a knowledge base: how far they are, and what became of their documents."""
    return asyncio.run(_jobs(kb, as_json=as_json))


async def _jobs(kb: str, *, as_json: bool) -> int:
    from pincite.cli.door import open_door

    async with open_door() as door:
        rows = await door.jobs(kb)
    if as_json:
        _print(rows)
    else:
        table(("job", "what", "state", "documents", "began"), [_job_row(row) for row in rows])
    return 0


def cancel(job: Annotated[str, typer.Argument(metavar="JOB", help="A job's id, as `pincite jobs` shows it.")]) -> int:
    """Cancel a job; the documents it has finished stay."""
    return asyncio.run(_cancel(job))


async def _cancel(job: str) -> int:
    from pincite.cli.door import open_door

    async with open_door(write=True) as door:
        await door.cancel(job)
    typer.echo(visible(f"Cancelled {job}."))
    return 0


def sources(
    kb: KB,
    forget: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Follow this source no more; its documents stay.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List the folders and repositories that a knowledge base follows; `pincite add` brings it in line with them."""
    return asyncio.run(_sources(kb, forget, as_json=as_json))


async def _sources(kb: str, forget: str | None, *, as_json: bool) -> int:
    from pincite.cli.door import open_door

    async with open_door(write=forget is not None) as door:
        if forget is not None:
            await door.remove_source(kb, forget)
        rows = await door.sources(kb)
    if as_json:
        _print(rows)
    else:
        table(("source", "id", "watched", "commit", "last read"), [_source_row(row) for row in rows])
    return 0


def _print(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        typer.echo(json.dumps(row, ensure_ascii=False))


def _job_row(row: dict[str, Any]) -> tuple[str, ...]:
    state = row["state"] + (f", {row['stage']}" if row["stage"] else "")
    if row["seconds_left"] is not None:
        state += f", {round(row['seconds_left'])} s left"
    if row["error"] is not None:
        state += f": {row['error']['message']}"
    return row["id"], row["kind"], state, f"{row['done']} of {row['total']}", _moment(row["created_at"])


def _source_row(row: dict[str, Any]) -> tuple[str, ...]:
    read = row["error"]["message"] if row["error"] else _moment(row["synced_at"])
    return row["location"] or "", row["id"], "yes" if row["watched"] else "no", row["revision"][:12], read


def _moment(written: str | None) -> str:
    return written[:16].replace("T", " ") if written else "not yet"
