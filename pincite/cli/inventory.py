"""`pincite list`, `set`, `remove` and `doctor`: what there is, and why something cannot be found."""

import asyncio
import json
import sys
from typing import Annotated, Any

import typer

from pincite.cli.terminal import visible

WIDTH_OF_A_FILE = 1000

KB = Annotated[str, typer.Argument(metavar="KB", help="The knowledge base, by name or id.")]
OptionalKB = Annotated[str | None, typer.Argument(metavar="KB", help="The knowledge base, by name or id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON line each.")]


def show(kb: OptionalKB = None, as_json: AsJson = False) -> int:
    """List the knowledge bases, or the documents of one."""
    return asyncio.run(_show(kb, as_json=as_json))


async def _show(kb: str | None, *, as_json: bool) -> int:
    from pincite.cli.door import open_door

    async with open_door() as door:
        rows = await door.knowledge_bases() if kb is None else await door.documents(kb)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
    elif kb is None:
        table(("knowledge base", "documents", "passages", "id"), [_knowledge_base_row(row) for row in rows])
    else:
        table(("document", "title", "pages", "passages", "status", "id"), [_document_row(row) for row in rows])
    return 0


def change(
    kb: KB,
    assignments: Annotated[list[str], typer.Argument(metavar="NAME=VALUE…", help="Such as top_k=8.")],
) -> int:
    """Change settings of a knowledge base.

    For another model, dimensions or chunk size its documents are indexed anew; searches go on meanwhile. NAME= takes a
    setting back to being unset.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator:
            raise typer.BadParameter(f"{assignment} is not of the form NAME=VALUE", param_hint="NAME=VALUE")
        changes[name.strip()] = value.strip()
    return asyncio.run(_change(kb, changes))


async def _change(kb: str, changes: dict[str, Any]) -> int:
    from pincite.cli.door import open_door

    async with open_door(write=True) as door:
        settings = await door.change_settings(kb, changes)
    for name, value in settings.items():
        typer.echo(f"{name} = {value}")
    return 0


def remove(
    kb: KB,
    document: Annotated[
        str | None, typer.Argument(metavar="DOCUMENT", help="The document's path or id, as `list` shows it.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove the knowledge base with all its documents.")
    ] = False,
) -> int:
    """Remove one document, or a whole knowledge base with --all."""
    if everything == (document is not None):
        raise typer.BadParameter("give a DOCUMENT or --all", param_hint="DOCUMENT")
    return asyncio.run(_remove(kb, document))


async def _remove(kb: str, document: str | None) -> int:
    from pincite.cli.door import named, open_door
    from pincite.errors import InvalidRequest, UnknownDocument

    async with open_door(write=True) as door:
        found = named(await door.knowledge_bases(), kb)
        if document is None:
            await door.remove_knowledge_base(found["id"])
            typer.echo(f"Removed the knowledge base {found['name']} with {found['documents']} documents.")
            return 0
        matches = [row for row in await door.documents(found["id"]) if document in {row["id"], row["path"]}]
        if not matches:
            raise UnknownDocument(f"{kb} has no document {document}; `pincite list {kb}` shows the ones there are.")
        if len(matches) > 1:
            raise InvalidRequest(f"{document} names {len(matches)} documents; use an id from `pincite list {kb}`.")
        await door.remove_document(found["id"], matches[0]["id"])
        typer.echo(visible(f"Removed {matches[0]['path']}."))
    return 0


def doctor(
    kb: OptionalKB = None,
    as_json: AsJson = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Mend what does not fit together first, from the stored originals; searches go on."
        ),
    ] = False,
) -> int:
    """Say for each document what can be found of it, and why the rest cannot.

    Exit code 1 if a document failed, or catalog, index and stored files disagree.
    """
    return asyncio.run(_doctor(kb, as_json=as_json, repair=repair))


async def _doctor(kb: str | None, *, as_json: bool, repair: bool) -> int:
    from pincite.cli.diagnosis import Finding, diagnose
    from pincite.cli.mending import mend
    from pincite.settings import load_settings

    if repair:
        await mend(kb)
    findings = await diagnose(load_settings(), kb)
    for finding in findings:
        if as_json:
            typer.echo(json.dumps(finding.shape(), ensure_ascii=False))
        else:
            for line in finding.lines():
                typer.echo(visible(line))
    if not as_json and not any(isinstance(finding, Finding) for finding in findings):
        typer.echo("There is no knowledge base yet; `pincite add KB PATH` makes one.")
    return 1 if any(finding.is_broken for finding in findings) else 0


def _knowledge_base_row(row: dict[str, Any]) -> tuple[str, ...]:
    return row["name"], str(row["documents"]), str(row["passages"]), row["id"]


def _document_row(row: dict[str, Any]) -> tuple[str, ...]:
    return row["path"], row["title"], str(row["pages"] or "–"), str(row["passages"]), row["status"], row["id"]


def table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print rows below their columns' names."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Without a terminal nothing is cut: a program or a file gets every line whole.
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=WIDTH_OF_A_FILE)
    if not rows:
        console.print("Nothing yet; `pincite add KB PATH` adds documents.")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        # A long title goes over several lines; what is typed in again, a path or an id, stays in one while it can.
        table.add_column(column, overflow="fold", no_wrap=column != "title")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    console.print(table)
