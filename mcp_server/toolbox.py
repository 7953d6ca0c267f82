"""The SDK's server, made for models: tools by right, in one order; errors that say what to do next; short schemas."""

from collections.abc import Mapping, Set
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, InputRequiredResult, Tool, ToolAnnotations
from pydantic import ValidationError

from mcp_server.asking import Asking
from pincite.errors import (
    EmptyQuestion,
    InvalidResultCount,
    NotFound,
    Overloaded,
    PinciteError,
    QuestionTooLong,
    UnknownJob,
    UnknownKnowledgeBase,
    UnknownPage,
)

# Whether a call destroys or repeats is asked of tools that change something only.
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
NAME_SHOWN = 60
PROBLEMS_SHOWN = 5

# What the model should do next, beside what the error itself says; the most particular class counts.
NEXT_STEPS: dict[type[PinciteError], str] = {
    UnknownKnowledgeBase: "Call list_knowledge_bases for the names, or leave knowledge_base out.",
    UnknownPage: "Call read_page with a page the document has, or fetch for a document without pages.",
    UnknownJob: "Use the id that add_document returned.",
    NotFound: "Use an id from the results of search.",
    EmptyQuestion: "Call search with a question or a few keywords in query.",
    QuestionTooLong: "Ask one shorter question at a time.",
    InvalidResultCount: "Call search again without k for the default number.",
    Overloaded: "Wait some seconds and call again.",
}


class Toolbox(MCPServer[Any]):
    """An MCP server whose tools that change something exist only for those who may write."""

    def __init__(self, asking: Asking, **options: Any) -> None:
        super().__init__(middleware=[asking], **options)
        self._asking = asking
        self._writing: set[str] = set()
        self._published: dict[str, Tool] = {}

    def keep_for_writers(self, *names: str) -> None:
        """Hide tools from whoever lacks the right to write."""
        self._writing |= set(names)

    def add_tool(self, *args: Any, **options: Any) -> None:
        """Add a function as a tool."""
        super().add_tool(*args, **options)
        self._published = {}

    async def list_tools(self) -> list[Tool]:
        """List what the one who asks may call, in the order in which the tools were added."""
        if not self._published:
            self._published = {tool.name: _short(tool) for tool in await super().list_tools()}
        return [tool for name, tool in self._published.items() if self._may_call(name)]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool.

        Raises:
            ToolError: what the model should read, where it can do something about it.
        """
        callable_now = {tool.name: tool for tool in await self.list_tools()}
        tool = callable_now.get(name)
        if tool is None:
            known = ", ".join(callable_now)
            raise ToolError(f"There is no tool “{name[:NAME_SHOWN]}”; call one of {known}.")
        _check_arguments(tool, arguments)
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, PinciteError):
                step = next((step for kind, step in NEXT_STEPS.items() if isinstance(cause, kind)), "")
                said = cause.message if cause.message.endswith((".", "?", "!")) else f"{cause.message}."
                raise ToolError(f"{said} {step}".strip()) from cause
            if isinstance(cause, ValidationError):
                raise ToolError(_mistakes(name, cause)) from cause
            raise

    def _may_call(self, name: str) -> bool:
        return name not in self._writing or self._asking.who.may_write


def _check_arguments(tool: Tool, arguments: Mapping[str, Any]) -> None:
    """Refuse an argument that nobody reads: it may have been meant to narrow what is asked."""
    known = tool.input_schema.get("properties", {})
    for name, value in arguments.items():
        if name not in known:
            takes = ", ".join(known) or "no arguments"
            raise ToolError(f"{tool.name} has no argument “{name[:NAME_SHOWN]}”; it takes {takes}.")
        if not _is_text_whole(value):
            raise ToolError(f"{name} holds half of a surrogate pair, which is no character; send well-formed Unicode.")


def _is_text_whole(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, Mapping):
        return all(map(_is_text_whole, [*value.keys(), *value.values()]))
    return all(map(_is_text_whole, value)) if isinstance(value, list) else True


def _mistakes(name: str, error: ValidationError) -> str:
    """Say what is wrong with the arguments, without repeating their values, which may be long."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    said = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems[:PROBLEMS_SHOWN]]
    return f"{name} cannot take these arguments: {'; '.join(said)}. Correct them and call again."


def _short(tool: Tool) -> Tool:
    """Return the tool with schemas that cost few tokens and allow the same."""
    output = _plain(tool.output_schema, {}, {"required"}) if tool.output_schema else None
    description = " ".join((tool.description or "").split())
    return tool.model_copy(
        update={"description": description, "input_schema": _plain(tool.input_schema, {}), "output_schema": output}
    )


def _plain(schema: dict[str, Any], definitions: dict[str, Any], without: Set[str] = frozenset()) -> dict[str, Any]:
    """Return a JSON schema without generated titles, empty defaults and alternatives of null, all in one place."""
    definitions = {**definitions, **schema.get("$defs", {})}
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _plain({**target, **rest}, definitions, without)
    if "anyOf" in schema:
        wanted = [option for option in schema["anyOf"] if option.get("type") != "null"]
        if len(wanted) == 1:
            rest = {key: value for key, value in schema.items() if key != "anyOf"}
            return _plain({**wanted[0], **rest}, definitions, without)
    plain: dict[str, Any] = {}
    for key, value in schema.items():
        if key in {"title", "$defs", *without} or (key == "default" and not value):
            continue
        if key == "properties":
            plain[key] = {name: _plain(inner, definitions, without) for name, inner in value.items()}
        elif isinstance(value, dict):
            plain[key] = _plain(value, definitions, without)
        else:
            plain[key] = value
    return plain
