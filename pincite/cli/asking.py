"""`pincite ask`: a question in, an answer out whose every sentence names the page it stands on."""

import asyncio
import json
from typing import Annotated, Any

import typer

from pincite.cli.terminal import visible


def ask(
    kb: Annotated[str, typer.Argument(metavar="KB", help="The knowledge base, by name or id.")],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="The question, in any language.")],
    k: Annotated[
        int | None,
        typer.Option("-k", help="Passages to answer from, 1 to 100; the knowledge base's own number if unset."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")] = False,
) -> int:
    """Answer a question from a knowledge base, with the pages it relies on; or say that it does not answer."""
    return asyncio.run(_ask(kb, question, k, as_json=as_json))


async def _ask(kb: str, question: str, k: int | None, *, as_json: bool) -> int:
    from pincite.cli.door import open_door

    async with open_door() as door:
        answer = await door.ask(kb, question, k)
        if as_json:
            typer.echo(json.dumps(answer, ensure_ascii=False))
        else:
            _print(answer, links=door.viewer_runs)
    return 0


def _print(answer: dict[str, Any], *, links: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(visible(answer["text"])), soft_wrap=True)
    cited = [citation for citation in answer["context"] if citation["cited_by"]]
    if cited:
        console.print()
    for citation in cited:
        console.print(Text(visible(_source(citation)), style="bold"), soft_wrap=True)
        if links and citation.get("url"):
            console.print(Text(citation["url"], style="dim"), soft_wrap=True)
    for note in answer["notes"]:
        console.print(Text(visible(f"Note: {note}")), soft_wrap=True)


def _source(citation: dict[str, Any]) -> str:
    page = f", page {citation['page']}" if citation.get("page") is not None else ""
    section = f", {citation['section']}" if citation["section"] else ""
    return f"[{citation['number']}] {citation['document']['title']}{page}{section}"
