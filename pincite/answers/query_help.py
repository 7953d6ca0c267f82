"""Help for questions that a search alone does not find: each bounded in time, and left out where it fails.

A follow-up ("and in London?") is asked whole; a compound question is also asked in parts; an answer is imagined and
searched for as well (HyDE, Gao et al. 2022, arXiv 2212.10496). What they find is added to what the question itself
finds, and never decides whether there is an answer.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from pincite.answers.language_model import LanguageModel, WritingFailed
from pincite.answers.prompting import Message
from pincite.passage import Passage, SearchResult

# Tokens that each help may write.
_MOST_TOKENS = 160
_MOST_PARTS = 3
# Passages that all the helps together may add.
_MOST_ADDED = 5
_LONGEST = 600
# Messages of a conversation that a follow-up is read with, and characters of each.
_MOST_MESSAGES = 6
_MOST_CHARACTERS = 600
# An imagined answer is in other words than a question, so what it finds counts a little less.
_ARM_WEIGHT = 0.9

_FOLLOW_UP = (
    "Rewrite the last question so that it can be understood without the conversation. Keep its language, its names and "
    "its numbers. Write the question alone."
)
_PARTS = (
    "If the question asks several things, write each as a question of its own, one a line, at most three, in its "
    "language. If it asks one thing, write it unchanged."
)
_IMAGINED = (
    "Write one or two sentences as they might stand in a document that answers the question, in its language. "
    "Write them alone."
)
_NUMBERED = re.compile(r"^\s*(?:\d{1,2}[.)、]|[-*•])\s*")


@dataclass(frozen=True, slots=True)
class Help:
    """Which helps are wanted, and how many seconds each of them may take."""

    follow_up: bool = False
    hyde: bool = False
    sub_questions: bool = False
    timeout_s: float = 4.0

    @property
    def wanted(self) -> bool:
        """Say whether any is."""
        return self.follow_up or self.hyde or self.sub_questions


@dataclass(frozen=True, slots=True)
class Helped:
    """What a help did, for the trace: `outcome` in a sentence, and the texts to search for as well."""

    outcome: str
    texts: tuple[str, ...] = ()


async def whole_question(question: str, history: Sequence[Message], model: LanguageModel, timeout_s: float) -> Helped:
    """Return the question as it is asked without the conversation; no text where that failed."""
    told = [
        f"{message['role']}: {' '.join(message['content'].split())[:_MOST_CHARACTERS]}"
        for message in history[-_MOST_MESSAGES:]
    ]
    written = await _written(model, _FOLLOW_UP, "\n".join([*told, f"The last question: {question}"]), timeout_s)
    if not written.texts:
        return written
    return Helped(f"asked as: {written.texts[0]}", written.texts[:1])


async def parts(question: str, model: LanguageModel, timeout_s: float) -> Helped:
    """Return the questions a compound question consists of; none where it is one."""
    written = await _written(model, _PARTS, question, timeout_s)
    asked = tuple(text for text in written.texts[:_MOST_PARTS] if text != question)
    if not written.texts or len(asked) < 2:
        return replace(written, outcome=written.outcome or "one question", texts=())
    return Helped(f"{len(asked)} questions: {' / '.join(asked)}", asked)


async def imagined(question: str, model: LanguageModel, timeout_s: float) -> Helped:
    """Return an answer as it might stand in a document, to search for."""
    written = await _written(model, _IMAGINED, question, timeout_s)
    text = " ".join(written.texts)
    return Helped("an imagined answer was searched for", (text,)) if text else written


async def _written(model: LanguageModel, rule: str, text: str, timeout_s: float) -> Helped:
    """Return what the model wrote, line by line; no line, and why, where it failed."""
    messages = [{"role": "system", "content": rule}, {"role": "user", "content": text}]
    try:
        written = await model.complete(messages, timeout_s, _MOST_TOKENS)
    except WritingFailed as failure:
        return Helped(f"left out: {failure}")
    lines = tuple(stripped for line in written.splitlines() if (stripped := _NUMBERED.sub("", line).strip()))
    if not lines or len(written) > _LONGEST:
        return Helped("left out: the language model wrote nothing that can be used")
    return Helped("", lines)


async def with_arms(
    found: SearchResult, texts: Sequence[str], find: Callable[[str], Awaitable[SearchResult]]
) -> SearchResult:
    """Return what was found together with the best of what the texts find besides, best first."""
    arms = await asyncio.gather(*(find(text) for text in texts))
    best = {passage.id: passage for passage in found.passages}
    more: dict[str, Passage] = {}
    for arm in arms:
        for passage in arm.passages:
            weighed = replace(passage, score=_ARM_WEIGHT * passage.score)
            into = best if passage.id in best else more
            if passage.id not in into or weighed.score > into[passage.id].score:
                into[passage.id] = weighed
    added = sorted(more.values(), key=lambda passage: -passage.score)[:_MOST_ADDED]
    return replace(found, passages=tuple(sorted([*best.values(), *added], key=lambda passage: -passage.score)))
