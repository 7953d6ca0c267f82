"""The Pipe: knowledge bases as models of Open WebUI, whose answers cite the exact page."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import BaseModel, Field

from plugin.function.asking import Connections, Pincite, PinciteFailure
from plugin.function.conversation import questions
from plugin.function.evidence import Asker, Emit, Scope
from plugin.function.files import offered
from plugin.function.housekeeping import completion, housekeep
from plugin.function.offering import EVERY_KNOWLEDGE_BASE, offer
from plugin.function.openwebui import Inside
from plugin.function.turn import HELP_TIMEOUT_S, ServerWriter, Turn, Writer
from plugin.function.wording import language_of, say
from plugin.function.writing import SILENCE_TIMEOUT_S, groups_of

LOG = logging.getLogger("pincite")
SERVER = "pincite"


class Pipe:
    """What Open WebUI loads. Its models are the knowledge bases that the key may read."""

    class Valves(BaseModel):
        """What an administrator sets."""

        pincite_url: str = Field(default="http://127.0.0.1:7861", description="Address of the Pincite server.")
        pincite_key: str = Field(
            default="",
            description="API key of the Pincite server, with the read scope.",
            json_schema_extra={"input": {"type": "password"}},
        )
        answering_model: str = Field(
            default="",
            description="Id of the model of this Open WebUI that writes the answers. Those who ask need access to it. "
            f"`{SERVER}`: the Pincite server's own model writes. Without one, the best sentences are quoted.",
        )
        default_knowledge_base: str = Field(
            default="", description="Id or name of the knowledge base that stands first in the list."
        )
        passages: int = Field(default=0, ge=0, le=20, description="Passages a search returns; 0: as Pincite is set.")
        hyde: bool = Field(
            default=False,
            description="Search with a guessed answer too, which the answering model writes first. Slower.",
        )
        silence_timeout_s: float = Field(
            default=SILENCE_TIMEOUT_S,
            gt=0,
            le=600,
            description="Seconds the answering model may be silent before the best sentences are quoted instead.",
        )
        help_timeout_s: float = Field(
            default=HELP_TIMEOUT_S,
            gt=0,
            le=120,
            description="Seconds the answering model may take to put a question into context, or to guess its answer.",
        )
        search_timeout_s: float = Field(default=20.0, gt=0, le=120, description="Seconds a search may take.")
        language: Literal["auto", "en", "zh"] = Field(
            default="auto", description="Language of messages; auto: that of the question."
        )

    class UserValves(BaseModel):
        """What a person sets for themselves."""

        language: Literal["auto", "en", "zh"] = Field(
            default="auto", description="Language of messages · 提示信息的语言"
        )
        passages: int = Field(default=0, ge=0, le=20, description="Passages per question; 0: as set · 每次检索的段落数")

    def __init__(self) -> None:
        self.name = "Pincite: "
        self.valves = self.Valves()
        self.connections = Connections()
        self._listed: list[dict[str, str]] = []
        self._offering = asyncio.Lock()
        self._offered: dict[str, tuple[str, tuple[str, ...]]] = {}

    async def pipes(self) -> list[dict[str, str]]:
        """Return the knowledge bases; while Pincite is away, those it had, so that a chat can say what is wrong."""
        everything = {"id": EVERY_KNOWLEDGE_BASE, "name": say(language_of("", self.valves.language), "everything")}
        try:
            found = offered(await self._pincite().knowledge_bases())
        except PinciteFailure:
            return self._listed or [everything]
        await self._offer(found)
        first = self.valves.default_knowledge_base
        found.sort(key=lambda kb: first not in {kb["id"], kb["name"]})
        self._listed = [{"id": kb["id"], "name": kb["name"]} for kb in found] + [everything]
        return self._listed

    async def _offer(self, found: list[dict[str, Any]]) -> None:
        """Let people see the models of the knowledge bases they may read; Open WebUI asks for the list often."""
        readers = {kb["id"]: (kb["name"], tuple(kb["settings"]["readers"])) for kb in found}
        async with self._offering:
            if readers == self._offered:
                return
            try:
                async for line in offer(Inside(), found):
                    LOG.info("Pincite: %s", line)
            except Exception as failure:  # they are listed all the same, for administrators
                LOG.warning("The models of Pincite could not be made visible to people: %r", failure)
                return
            self._offered = readers

    async def pipe(
        self,
        body: dict[str, Any],
        __user__: dict[str, Any],
        __request__: Any = None,
        __event_emitter__: Emit = None,
        __task__: str | None = None,
        __task_body__: dict[str, Any] | None = None,
        __files__: list[dict[str, Any]] | None = None,
    ) -> Any:
        """Answer the last message: a stream of text and `source` events, or one completion with `sources`."""
        model = str(body.get("model", ""))
        writer = self._writer(model, __user__, __request__)
        if __task__:
            return await housekeep(__task__, body, __task_body__ or body, writer.at_once if writer else None)
        turn = await self._turn(body, __user__, writer, __event_emitter__)
        turn.files = __files__
        if body.get("stream"):
            return _events(turn)
        pieces = [piece async for piece in turn.answer()]
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        return completion(model, text, sources=[piece for piece in pieces if isinstance(piece, dict)])

    async def _turn(self, body: dict[str, Any], user: dict[str, Any], writer: Writer | None, emit: Emit) -> Turn:
        own = user.get("valves") or self.UserValves()
        messages = body.get("messages") or []
        asked = questions(messages)
        wanted = own.language if own.language != "auto" else self.valves.language
        language = language_of(asked[-1] if asked else "", wanted)
        person = {name: user.get(name) for name in ("id", "email", "name")} | {"groups": await groups_of(user["id"])}
        chosen = str(body.get("model", "")).partition(".")[2]
        everything = chosen in {"", EVERY_KNOWLEDGE_BASE}
        scope = Scope(
            knowledge_base=None if everything else chosen,
            name="" if everything else next((kb["name"] for kb in self._listed if kb["id"] == chosen), ""),
            passages=own.passages or self.valves.passages or None,
            timeout_s=self.valves.search_timeout_s,
        )
        asker, pincite = Asker(person, language, emit), self._pincite()
        if self.valves.answering_model.strip() == SERVER:
            server = ServerWriter(pincite, asker, scope, self.valves.silence_timeout_s)
            return Turn(pincite, asker, scope, server, messages)
        return Turn(pincite, asker, scope, writer, messages)

    def _writer(self, model: str, user: dict[str, Any], request: Any) -> Writer | None:
        chosen = self.valves.answering_model.strip()
        # A model of this very function would ask itself.
        if chosen in {"", SERVER} or chosen.partition(".")[0] == model.partition(".")[0]:
            return None
        set_ = self.valves
        return Writer(request, user, chosen, set_.hyde, set_.help_timeout_s, set_.silence_timeout_s)

    def _pincite(self) -> Pincite:
        return self.connections.to(self.valves.pincite_url, self.valves.pincite_key)


async def _events(turn: Turn) -> AsyncIterator[str | dict[str, Any]]:
    """Yield an answer as Open WebUI streams it: sources as events, which the chat shows and callers of the API see."""
    async for piece in turn.answer():
        yield {"event": {"type": "source", "data": piece}} if isinstance(piece, dict) else piece
