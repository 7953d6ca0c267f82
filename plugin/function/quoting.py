"""An answer without a model: the sentences that answer best, word for word, each with its citation."""

from typing import Any

from plugin.function.citing import Citing
from plugin.function.harmless import harmless
from plugin.function.wording import say

MOST_QUOTES = 5
LONGEST_QUOTE = 600


def best_sentence(passage: dict[str, Any]) -> str:
    """Return the sentence that the search marked, else the beginning of the passage."""
    text = str(passage["text"])
    for mark in passage.get("marks") or []:
        if mark["kind"] == "sentence":
            return text[mark["start"] : mark["end"]].strip()
    beginning = text.strip()
    return beginning if len(beginning) <= LONGEST_QUOTE else beginning[:LONGEST_QUOTE].rsplit(" ", 1)[0] + " …"


def why_quoted(language: str, reason: str, *, answerable: bool) -> str:
    """Return the line above the quotes: that they are some, that no model wrote, and whether they may answer at all.

    `reason` is the sentence that tells why the model did not write, empty where there is none.
    """
    if not reason:
        return say(language, "extractive" if answerable else "nearest")
    return say(language, "extractive instead" if answerable else "nearest instead", reason=say(language, reason))


def quotes(passages: list[dict[str, Any]], citing: Citing) -> list[str]:
    """Return the quotes as Markdown, best first; a sentence that two passages share is quoted once."""
    seen: set[str] = set()
    lines: list[str] = []
    for number, passage in enumerate(passages, 1):
        sentence = best_sentence(passage)
        if sentence and sentence not in seen and len(lines) < MOST_QUOTES:
            seen.add(sentence)
            quoted = "\n".join(f"> {line}" for line in harmless(sentence).splitlines() if line.strip())
            lines.append(f"{quoted} {citing.cite(number)}\n\n")
    return lines
