"""What a model wrote, held against the passages that it was given."""

from typing import Any

from plugin.function.asking import CHECK_TIMEOUT_S, Pincite
from plugin.function.citing import Citing
from plugin.function.evidence import Asker
from plugin.function.harmless import harmless
from plugin.function.thinking import said

# An answer that has nothing to do with the passages is told so in a few lines.
MOST_FINDINGS = 8


async def findings(
    pincite: Pincite,
    asker: Asker,
    text: str,
    passages: list[dict[str, Any]],
    citing: Citing,
    timeout_s: float = CHECK_TIMEOUT_S,
) -> str:
    """Return what was found wrong with the sentences of an answer, as Markdown; nothing where all is well.

    Raises:
        PinciteFailure: they could not be checked.
    """
    lines: list[str] = []
    for sentence in await pincite.check(asker.person, said(text), passages, timeout_s):
        if sentence["status"] != "supported":
            words = harmless(" ".join(str(sentence["text"]).split()))
            # Numbered in the order of the text, so only those that are shown.
            numbers = sentence["citations"] if len(lines) < MOST_FINDINGS else []
            references = "".join(citing.cite(number) for number in numbers)
            lines.append(asker.say(sentence["status"], words=words, references=references))
    if len(lines) > MOST_FINDINGS:
        lines[MOST_FINDINGS:] = [asker.say("more findings", count=len(lines) - MOST_FINDINGS)]
    return "\n".join([asker.say("checked"), "", *(f"- {line}" for line in lines)]) if lines else ""
