"""`pincite eval`: how often the right page is found, on questions whose page is known."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pincite.cli.terminal import visible

MISSES_SHOWN = 10


def evaluate(
    kb: Annotated[str, typer.Argument(metavar="KB", help="The knowledge base, by name or id.")],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.jsonl", help="Objects with `question`, `document` (path, title or id) and `page`."
        ),
    ],
    k: Annotated[int, typer.Option("-k", help="How many passages count as found.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one line of JSON.")] = False,
) -> int:
    """Measure search on questions whose document and page are known.

    A question without `page` counts by its document alone.
    """
    return asyncio.run(_evaluate(kb, file, k, as_json=as_json))


async def _evaluate(kb: str, file: Path, k: int, *, as_json: bool) -> int:
    from pincite.cli.door import open_door
    from pincite.cli.searching import read_questions
    from pincite.errors import InvalidSource

    asked = list(read_questions(file))
    if not asked or not all(isinstance(line.get("document"), str) for line in asked):
        raise InvalidSource(f'{file.name}: every line needs a "document"; add the path, title or id it is found in')
    ranks: list[int | None] = []
    async with open_door() as door:
        for line in asked:
            answer = await door.search(kb, line["question"], k)
            ranks.append(rank_of(answer["passages"], line["document"], line.get("page")))
    figures = {
        "questions": len(ranks),
        "first": sum(rank == 1 for rank in ranks) / len(ranks),
        f"within_{k}": sum(rank is not None for rank in ranks) / len(ranks),
        "mean_reciprocal_rank": sum(1 / rank for rank in ranks if rank) / len(ranks),
    }
    if as_json:
        typer.echo(json.dumps(figures))
        return 0
    typer.echo(
        f"{len(ranks)} questions: right page first {figures['first']:.3f}, within {k} {figures[f'within_{k}']:.3f}"
    )
    missed = [line["question"] for line, rank in zip(asked, ranks, strict=True) if rank is None]
    for question in missed[:MISSES_SHOWN]:
        typer.echo(visible(f"  not found: {question}"))
    return 0


def rank_of(passages: list[dict[str, Any]], document: str, page: int | None) -> int | None:
    """Return the 1-based rank of the first passage of the document that touches the page, or None."""
    for rank, passage in enumerate(passages, start=1):
        cited = passage["document"]
        path = str(cited["path"])
        is_document = document in {cited["id"], cited["title"], path, path.rsplit("/", 1)[-1]}
        if is_document and (page is None or page in passage.get("pages", [])):
            return rank
    return None
