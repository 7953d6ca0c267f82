"""The page that documents every setting."""

from typing import Any

from pincite.settings.knowledge_base import KnowledgeBaseSettings
from pincite.settings.server import PREFIX, Settings


def settings_markdown() -> str:
    """Return the page that documents every setting, as Markdown tables made from the code."""
    lines = [
        "# Settings",
        "",
        "<!-- Made by `python -m pincite.cli docs settings`; change pincite/settings/ instead. -->",
        "",
        "## The server",
        "",
        "Read from the environment at start. Contradictions are refused in a sentence.",
        "",
        "| Variable | Default | Meaning |",
        "| --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        lines.append(f"| `{PREFIX}{name.upper()}` | {_default(name, field.get_default())} | {field.description} |")
    lines += [
        "",
        "## A knowledge base",
        "",
        "Set with `PATCH /api/knowledge-bases/{kb}` or `pincite set KB NAME=VALUE`.",
        "",
        "| Setting | Default | Meaning |",
        "| --- | --- | --- |",
    ]
    for name, field in KnowledgeBaseSettings.model_fields.items():
        low = next((m.ge for m in field.metadata if hasattr(m, "ge")), None)
        high = next((m.le for m in field.metadata if hasattr(m, "le")), None)
        span = f" From {low} to {high}." if low is not None and high is not None else ""
        lines.append(f"| `{name}` | {_default(name, field.get_default())} | {field.description}{span} |")
    return "\n".join(lines) + "\n"


def _default(name: str, value: Any) -> str:
    if name == "parser_workers":
        return "the processors, at most 4"
    if value is None or value == ():
        return "unset"
    return f"`{value}`"
