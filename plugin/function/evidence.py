"""One question of one person to Pincite, with the status lines that tell in the chat what happens."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from plugin.function.asking import Pincite, PinciteFailure
from plugin.function.files import offered
from plugin.function.wording import counted, say

Emit = Callable[[dict[str, Any]], Awaitable[None]] | None


@dataclass
class Asker:
    """The person who asks, the language they are told things in, and where status lines go."""

    person: dict[str, Any]
    language: str
    emit: Emit = None

    def say(self, sentence: str, **values: object) -> str:
        """Return a sentence in their language."""
        return say(self.language, sentence, **values)

    async def status(self, description: str, *, done: bool = False) -> None:
        """Show a line of what happens; `done` ends the lines of this message."""
        if self.emit is not None:
            await self.emit({"type": "status", "data": {"description": description, "done": done}})

    def counted(self, passages: list[dict[str, Any]]) -> str:
        """Return "5 passages from 2 documents"."""
        documents = len({passage["document"]["id"] for passage in passages})
        return self.say(
            "found",
            passages=counted(self.language, "a passage", "passages", len(passages)),
            documents=counted(self.language, "a document", "documents", documents),
        )


@dataclass(frozen=True)
class Part:
    """Some documents of a knowledge base, by id; all where there are none."""

    knowledge_base: str
    documents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scope:
    """Where to search, how much and how long; `knowledge_base` None is every one that the person may read.

    `attached` is searched besides; a `name` that is not known is looked up.
    """

    knowledge_base: str | None = None
    name: str = ""
    passages: int | None = None
    timeout_s: float = 20.0
    attached: tuple[Part, ...] = ()


def searching(asker: Asker, scope: Scope, readable: Sequence[dict[str, Any]] = ()) -> str:
    """Return the status line of a search: "Searching 3 knowledge bases…"; of a single one, its name.

    `readable` are those that the person may read; where the scope has a name they are not needed.
    """
    everywhere = scope.knowledge_base is None and not scope.name
    models = offered(readable)
    meant = models if everywhere else [kb for kb in models if scope.knowledge_base in {kb["id"], kb["name"]}]
    names = [str(kb["name"]) for kb in meant] if everywhere or meant else [scope.name or str(scope.knowledge_base)]
    quoted = [name if asker.language == "en" else f"“{name}”" for name in names]
    where = quoted[0] if len(quoted) == 1 else asker.say("knowledge bases", count=len(quoted))
    if scope.attached or (everywhere and len(models) < len(readable)):
        where = asker.say("and attached", where=where)
    return asker.say("searching", where=where)


async def _tell_where(pincite: Pincite, asker: Asker, scope: Scope) -> None:
    """Say what is searched, while it is."""
    try:
        readable = [] if scope.name else await pincite.knowledge_bases(asker.person)
    except PinciteFailure:
        return  # the search tells what is wrong
    await asker.status(searching(asker, scope, readable))


@dataclass(frozen=True)
class Found:
    """The passages for a question, best first; `answerable` where they are close enough to hold its answer."""

    passages: list[dict[str, Any]]
    answerable: bool


async def find(pincite: Pincite, asker: Asker, scope: Scope, question: str) -> Found:
    """Return the passages for a question, telling the person what is done.

    Raises:
        PinciteFailure: the documents could not be searched.
        NothingRelevant: no passage is relevant; the message says why.
    """
    everywhere: list[tuple[str | None, tuple[str, ...]]] = [(scope.knowledge_base, ())]
    everywhere += [(part.knowledge_base, part.documents) for part in scope.attached]
    searches = [
        pincite.search(asker.person, where, question, scope.passages, scope.timeout_s, documents)
        for where, documents in everywhere
    ]
    telling = asyncio.create_task(_tell_where(pincite, asker, scope))
    try:
        found = await asyncio.gather(*searches)
        await telling
    finally:
        telling.cancel()
    # Scores mean the same everywhere, so the best of all searches are the best.
    best = {passage["id"]: passage for result in found for passage in result["passages"]}
    most = max(len(result["passages"]) for result in found)
    if not best:
        reason = (found[-1].get("why") or {}).get("reason", "below_floor")
        raise NothingRelevant(asker.say("nothing", why=asker.say(reason)))
    ranked = sorted(best.values(), key=lambda passage: -passage["score"])[:most] if scope.attached else [*best.values()]
    return Found(ranked, any(result.get("answerable", True) for result in found if result["passages"]))


class NothingRelevant(Exception):
    """The documents hold nothing on the question; `sentence` tells the person, and why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
