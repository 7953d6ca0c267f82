"""An agent at work: three questions to the samples over MCP, each answered with a quotation that was proven."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcp import Client

# What differs from run to run and from machine to machine: ids, the reader's token, the address, the score, and which
# of two sentences is nearer by a ten-thousandth.
VARYING = re.compile(r"([?&][st]=)[\w.-]+")
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
DOCUMENT_ID = re.compile(r"doc_[0-9a-f]{12,}")
SCORE = re.compile(r'"score": [\d.]+')
SHOWN = 260


@dataclass(frozen=True)
class Task:
    """A question, and the words that the agent expects to quote for its answer, given in the question's language."""

    question: str
    answer: str
    quote: str


TASKS = (
    Task(
        "How quickly do I have to report a stolen laptop?",
        "Within one hour of noticing, at any time of day.",
        "within one hour of noticing",
    ),
    Task(
        "员工可以在国外远程工作多少天？",
        "每个自然年二十个工作日。",
        "twenty working days in a calendar year",
    ),
    Task(
        "How soon must the supplier arrive on site after a fault during the warranty?",
        "Within twenty-four hours.",
        "二十四小时内到达现场",
    ),
)


class Agent:
    """Follows a script: search, prove the quotation, cite; and writes down what it asks and gets."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lines: list[str] = []

    async def work(self, tasks: Sequence[Task], knowledge_base: str) -> str:
        """Answer the tasks, and return the transcript as Markdown.

        Raises:
            AssertionError: the quotation does not stand where the search said.
        """
        tools = [tool.name for tool in (await self._client.list_tools()).tools]
        self._lines = [
            "# An agent at work",
            "",
            "Recorded by `scripts/bench transcript` from a real server with the [samples](../samples/). The agent is",
            "a script: the calls, results and citations are real, the wording of the answers is the script's. Ids,",
            "tokens and scores are left out, and long texts are cut.",
            "",
            f"It is offered these tools: {', '.join(f'`{name}`' for name in tools)}.",
        ]
        for number, task in enumerate(tasks, 1):
            self._lines += ["", f"## {number}. {task.question}"]
            await self._answer(task, knowledge_base)
        return "\n".join([*self._lines, ""])

    async def _answer(self, task: Task, knowledge_base: str) -> None:
        found = await self._call("search", query=task.question, knowledge_base=knowledge_base, k=2)
        hit = next(hit for hit in found["results"] if squeezed(task.quote) in squeezed(hit["text"]))
        proof = await self._call("find_in_document", document=hit["document"]["id"], text=task.quote)
        place = next(place for place in proof["places"] if hit["start"] <= place["start"] < hit["end"])
        assert place["page"] in hit["pages"]
        title = hit["document"]["title"]
        section = hit["section"].rpartition(" › ")[2]
        self._lines += [
            "",
            f"**The agent answers:** {task.answer}",
            "",
            f"> “{task.quote}”",
            ">",
            f"> — *{title}*, p. {place['page']}, {section} — `{_steady(place['url'])}`",
        ]

    async def _call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self._client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        content: dict[str, Any] | None = result.structured_content
        assert content is not None
        asked = json.dumps(arguments, ensure_ascii=False)
        got = json.dumps(_cut(content), ensure_ascii=False, indent=1)
        self._lines += ["", f"**Calls** `{tool}` `{_steady(asked)}`", "", "```text", _steady(got), "```"]
        return content


def squeezed(text: str) -> str:
    """Return the text without white space."""
    return "".join(text.split())


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > SHOWN and not value.startswith("http"):
        return value[:SHOWN] + " …"
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return {name: _cut(item) for name, item in value.items()} if isinstance(value, dict) else value


def _steady(text: str) -> str:
    text = ADDRESS.sub("http://pincite", VARYING.sub(r"\1…", text))
    return SCORE.sub('"score": …', DOCUMENT_ID.sub("doc_…", text))
