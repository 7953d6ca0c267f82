"""The Pipeline: the same knowledge bases for installations that still run Open WebUI's separate Pipelines server.

That server has no models to write with, so the best sentences are quoted.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

from pydantic import BaseModel, Field

from plugin.function.asking import Pincite, PinciteFailure
from plugin.function.conversation import questions
from plugin.function.evidence import Asker, Scope
from plugin.function.files import offered
from plugin.function.turn import Turn
from plugin.function.wording import language_of, say

EVERYTHING = "everything"


class Pipeline:
    """What the Pipelines server loads; a manifold offers one model for each of `pipelines`."""

    class Valves(BaseModel):
        """What an administrator sets."""

        pincite_url: str = Field(default="http://127.0.0.1:7861", description="Address of the Pincite server.")
        pincite_key: str = Field(default="", description="API key of the Pincite server, with the read scope.")
        passages: int = Field(default=0, ge=0, le=20, description="Passages a search returns; 0: as Pincite is set.")
        search_timeout_s: float = Field(default=20.0, gt=0, le=120, description="Seconds a search may take.")
        language: Literal["auto", "en", "zh"] = Field(
            default="auto", description="Language of messages; auto: that of the question."
        )

    def __init__(self) -> None:
        self.type = "manifold"
        self.name = "Pincite: "
        self.valves = self.Valves()
        self.pipelines = [{"id": EVERYTHING, "name": EVERYTHING}]

    async def on_startup(self) -> None:
        """List the knowledge bases; where that fails, what it has listed before stays."""
        pincite = Pincite(self.valves.pincite_url, self.valves.pincite_key)
        try:
            found = offered(await pincite.knowledge_bases())
        except PinciteFailure:
            return
        finally:
            await pincite.close()
        name = say(language_of("", self.valves.language), "everything")
        self.pipelines = [{"id": kb["id"], "name": kb["name"]} for kb in found] + [{"id": EVERYTHING, "name": name}]

    async def on_shutdown(self) -> None:
        """Nothing to give back: each answer closes its own connections."""

    async def on_valves_updated(self) -> None:
        """List the knowledge bases of the server that is set now."""
        await self.on_startup()

    def pipe(
        self, user_message: str, model_id: str, messages: list[dict[str, Any]], body: dict[str, Any]
    ) -> Iterator[str | dict[str, Any]]:
        """Yield the answer: text, and `event` lines for status and sources."""
        user = body.get("user") or {}
        if not isinstance(user, dict) or not user.get("id"):
            yield "The Pipelines server did not say who asks, so no document was searched."
            return
        chosen = "" if model_id == EVERYTHING else model_id
        name = next((known["name"] for known in self.pipelines if known["id"] == chosen), "") if chosen else ""
        scope = Scope(chosen or None, name, self.valves.passages or None, self.valves.search_timeout_s)
        asked = questions(messages) or [user_message]
        with asyncio.Runner() as runner:
            pieces = self._pieces(user, language_of(asked[-1], self.valves.language), scope, messages)
            while (piece := runner.run(_next(pieces))) is not None:
                yield piece

    async def _pieces(
        self, user: dict[str, Any], language: str, scope: Scope, messages: list[dict[str, Any]]
    ) -> AsyncIterator[str | dict[str, Any]]:
        """Yield the answer, and what is told meanwhile as soon as it is."""
        pieces: asyncio.Queue[str | dict[str, Any] | None] = asyncio.Queue()

        async def emit(event: dict[str, Any]) -> None:
            pieces.put_nowait({"event": event})

        async def answer() -> None:
            try:
                async for piece in Turn(pincite, Asker(user, language, emit), scope, None, messages).answer():
                    source = isinstance(piece, dict)
                    pieces.put_nowait({"event": {"type": "source", "data": piece}} if source else piece)
            finally:
                pieces.put_nowait(None)

        pincite = Pincite(self.valves.pincite_url, self.valves.pincite_key)
        answering = asyncio.create_task(answer())
        while (piece := await pieces.get()) is not None:
            yield piece
        await answering
        await pincite.close()


async def _next(pieces: AsyncIterator[str | dict[str, Any]]) -> str | dict[str, Any] | None:
    return await anext(pieces, None)
