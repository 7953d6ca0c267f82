"""`pincite search`: a question in, cited passages out; or a file of questions, a line each."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from pincite.cli.terminal import visible


def search(
    kb: Annotated[str, typer.Argument(metavar="KB", help="The knowledge base, by name or id.")],
    question: Annotated[str | None, typer.Argument(metavar="QUESTION", help="The question, in any language.")] = None,
    k: Annotated[
        int | None, typer.Option("-k", help="How many passages, 1 to 100; the knowledge base's own number if unset.")
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option("--questions", metavar="FILE.jsonl", help="Ask every object's `question`, and print a line each."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")] = False,
) -> int:
    """Find the passages that answer a question, each with its page, section and link."""
    if (question is None) == (questions is None):
        raise typer.BadParameter("give a QUESTION or --questions FILE.jsonl", param_hint="QUESTION")
    if questions is not None:
        return asyncio.run(_ask_all(kb, questions, k))
    assert question is not None
    return asyncio.run(_ask(kb, question, k, as_json=as_json))


async def _ask(kb: str, question: str, k: int | None, *, as_json: bool) -> int:
    from pincite.cli.door import open_door

    async with open_door() as door:
        answer = await door.search(kb, question, k)
        if as_json:
            typer.echo(json.dumps(answer, ensure_ascii=False))
        else:
            _print_answer(answer, links=door.viewer_runs)
    return 0


async def _ask_all(kb: str, file: Path, k: int | None) -> int:
    from pincite.cli.door import open_door
    from pincite.errors import InvalidRequest

    failed = 0
    asked = list(read_questions(file))
    async with open_door() as door:
        for line in asked:
            try:
                answer = await door.search(kb, line["question"], k)
            except InvalidRequest as error:
                failed += 1
                answer = {"passages": [], "error": {"code": error.code, "message": error.message}}
            typer.echo(json.dumps(line | answer, ensure_ascii=False))
    if failed:
        typer.echo(f"pincite: {failed} of {len(asked)} questions could not be asked; their lines say why", err=True)
    return 1 if failed else 0


def read_questions(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSONL file, each with a `question`.

    Raises:
        InvalidSource: the file cannot be read, or a line is not such an object.
    """
    from pincite.errors import InvalidSource

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise InvalidSource(f"{file.name} cannot be read as UTF-8 text; check the path") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict) or not isinstance(value.get("question"), str):
            raise InvalidSource(f'{file.name}, line {number}: not a JSON object with a "question"; correct the line')
        yield value


def _print_answer(answer: dict[str, Any], *, links: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if not answer["passages"]:
        why = answer.get("why") or {}
        console.print(Text(why.get("message", "nothing relevant found")), soft_wrap=True)
    for number, passage in enumerate(answer["passages"], start=1):
        console.print(
            Text.assemble((visible(f"{number}. {passage['document']['title']}"), "bold"), visible(_place(passage))),
            soft_wrap=True,
        )
        console.print(_marked(passage), soft_wrap=True)
        if links and passage.get("url"):
            console.print(Text(passage["url"], style="dim"), soft_wrap=True)
        console.print()
    for note in answer["notes"]:
        console.print(Text(visible(f"Note: {note}")), soft_wrap=True)


def _place(passage: dict[str, Any]) -> str:
    parts = []
    if passage.get("page") is not None:
        label = passage.get("page_label")
        parts.append(f"page {passage['page']}" + (f" ({label})" if label and label != str(passage["page"]) else ""))
    if passage["section"]:
        parts.append(passage["section"])
    parts.append(f"score {passage['score']:.2f}")
    return "  ·  " + "  ·  ".join(parts)


def _marked(passage: dict[str, Any]) -> Any:
    from rich.text import Text

    text = Text(visible(passage["text"]))
    for mark in passage["marks"]:
        text.stylize("bold yellow" if mark["kind"] == "term" else "underline", mark["start"], mark["end"])
    return text
