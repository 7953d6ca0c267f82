"""The Filter: the evidence of Pincite for any model of Open WebUI, switched on in the chat."""

from collections import OrderedDict
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, Field

from plugin.function.asking import Connections, Pincite, PinciteFailure
from plugin.function.attachments import attached_to
from plugin.function.conversation import joined, questions, with_evidence
from plugin.function.evidence import Asker, Emit, NothingRelevant, Scope, find
from plugin.function.followed import Followed
from plugin.function.wording import language_of
from plugin.function.writing import groups_of

MOST_ANSWERS = 500
OWN_MODELS = "pincite."
ICON = (
    "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAyNCAyNCIgZmlsbD0i"
    "bm9uZSIgc3Ryb2tlPSJjdXJyZW50Q29sb3IiIHN0cm9rZS13aWR0aD0iMiI+PHBhdGggZD0iTTYgM2g5bDQgNHYxNEg2eiIvPjxwYXRoIGQ9Ik05IDEy"
    "aDZNOSAxNmg0Ii8+PC9zdmc+"
)


class Filter:
    """What Open WebUI loads. `toggle` makes it a switch of the chat; `file_handler` keeps Open WebUI from searching."""

    toggle = True
    file_handler = True
    icon = ICON

    class Valves(BaseModel):
        """What an administrator sets."""

        priority: int = Field(default=0, description="Filters run in this order, the lowest first.")
        pincite_url: str = Field(default="http://127.0.0.1:7861", description="Address of the Pincite server.")
        pincite_key: str = Field(
            default="",
            description="API key of the Pincite server, with the read scope.",
            json_schema_extra={"input": {"type": "password"}},
        )
        default_knowledge_base: str = Field(
            default="", description="Id or name of the knowledge base to search; every readable one if empty."
        )
        passages: int = Field(default=0, ge=0, le=20, description="Passages a search returns; 0: as Pincite is set.")
        search_timeout_s: float = Field(default=20.0, gt=0, le=120, description="Seconds a search may take.")
        check_timeout_s: float = Field(
            default=10.0, gt=0, le=60, description="Seconds that the check of an answer may take, after its end."
        )
        language: Literal["auto", "en", "zh"] = Field(
            default="auto", description="Language of messages; auto: that of the question."
        )

    class UserValves(BaseModel):
        """What a person sets for themselves."""

        knowledge_base: str = Field(default="", description="Knowledge base to search; empty: as set · 检索的知识库")
        language: Literal["auto", "en", "zh"] = Field(
            default="auto", description="Language of messages · 提示信息的语言"
        )
        passages: int = Field(default=0, ge=0, le=20, description="Passages per question; 0: as set · 每次检索的段落数")

    def __init__(self) -> None:
        self.valves = self.Valves()
        self.connections = Connections()
        # The answers being written, by message. Bounded, for those that never end.
        self._answers: OrderedDict[str, Followed] = OrderedDict()

    async def inlet(
        self,
        body: dict[str, Any],
        __user__: dict[str, Any],
        __metadata__: dict[str, Any] | None = None,
        __event_emitter__: Emit = None,
    ) -> dict[str, Any]:
        """Put the passages for the last question into the conversation."""
        metadata = __metadata__ or {}
        messages = body.get("messages") or []
        asked = questions(messages)
        if metadata.get("task") or str(body.get("model", "")).startswith(OWN_MODELS) or not asked:
            return body
        own = __user__.get("valves") or self.UserValves()
        wanted = own.language if own.language != "auto" else self.valves.language
        person = {name: __user__.get(name) for name in ("id", "email", "name")}
        person["groups"] = await groups_of(__user__["id"])
        asker = Asker(person, language_of(asked[-1], wanted), __event_emitter__)
        chosen = own.knowledge_base or self.valves.default_knowledge_base
        passages = own.passages or self.valves.passages or None
        scope = Scope(chosen or None, "", passages, self.valves.search_timeout_s)
        try:
            # Open WebUI does not search them while this is on.
            attached = await attached_to(self._pincite(), asker, body.get("files"))
            scope = replace(scope, attached=tuple(attached.parts))
            for line in attached.told:
                await asker.status(line)
            found = await find(self._pincite(), asker, scope, joined(asked))
        except PinciteFailure as failure:
            await asker.status(failure.sentence(asker.language), done=True)
            return body
        except NothingRelevant as nothing:
            await asker.status(nothing.sentence, done=True)
            return body
        await asker.status(asker.counted(found.passages), done=True)
        if message := str(metadata.get("message_id") or ""):
            self._answers[message] = Followed(asker, found)
            while len(self._answers) > MOST_ANSWERS:
                self._answers.popitem(last=False)
        return body | {"messages": with_evidence(messages, found.passages)}

    async def stream(
        self,
        event: dict[str, Any],
        __metadata__: dict[str, Any] | None = None,
        __event_emitter__: Emit = None,
    ) -> dict[str, Any]:
        """Make a piece of the answer harmless, number its citations, and send the sources of those that are new."""
        answer = self._answers.get(str((__metadata__ or {}).get("message_id") or ""))
        if answer is None:
            return event
        for choice in event.get("choices") or []:
            choice["delta"] = answer.shown(choice.get("delta") or {}, ended=bool(choice.get("finish_reason")))
        sources = answer.new_sources()
        if __event_emitter__ is None:
            return event | {"sources": sources} if sources else event
        for source in sources:
            await __event_emitter__({"type": "source", "data": source})
        return event

    async def outlet(
        self,
        body: dict[str, Any],
        __metadata__: dict[str, Any] | None = None,
        __event_emitter__: Emit = None,
    ) -> dict[str, Any]:
        """Hold the answer, which has ended and is in the chat, against the passages, and add what was found."""
        answer = self._answers.pop(str((__metadata__ or {}).get("message_id") or ""), None)
        # A program that called the API has its answer already.
        if answer is not None and __event_emitter__ is not None and body.get("messages"):
            answer.asker.emit = __event_emitter__
            await answer.finish(body["messages"][-1], self._pincite(), self.valves.check_timeout_s)
        return body

    def _pincite(self) -> Pincite:
        return self.connections.to(self.valves.pincite_url, self.valves.pincite_key)
