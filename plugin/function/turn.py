"""One turn of a conversation: search, then the answer with its citations, as text and `source` data in order."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from plugin.function.asking import Pincite, PinciteFailure
from plugin.function.attachments import attached_to
from plugin.function.checking import findings
from plugin.function.citing import Citing, source_of
from plugin.function.conversation import answering, guessing, joined, questions, rewriting
from plugin.function.evidence import Asker, Found, NothingRelevant, Scope, find, searching
from plugin.function.quoting import quotes, why_quoted
from plugin.function.thinking import said
from plugin.function.writing import SILENCE_TIMEOUT_S, NotWritten, write, write_at_once

# Of the answering model, for a question made whole or a guess.
HELP_TIMEOUT_S = 15.0
LONGEST_GUESS = 600
MOST_PASSAGES = 99


@dataclass
class Writer:
    """The model of Open WebUI that writes, as the person who asks: `user` is what Open WebUI tells of them."""

    request: Any
    user: dict[str, Any]
    model: str
    hyde: bool = False
    help_timeout_s: float = HELP_TIMEOUT_S
    silence_timeout_s: float = SILENCE_TIMEOUT_S

    async def at_once(self, messages: list[dict[str, str]], timeout_s: float) -> str:
        """Return its whole answer; raises NotWritten."""
        return await write_at_once(self.request, self.user, self.model, messages, timeout_s)

    def words(self, messages: list[dict[str, str]]) -> AsyncIterator[str]:
        """Yield its answer as it comes; raises NotWritten."""
        return write(self.request, self.user, self.model, messages, self.silence_timeout_s)


@dataclass
class ServerWriter:
    """The Pincite server itself: its language model writes and each sentence is checked; without one it quotes."""

    pincite: Pincite
    asker: Asker
    scope: Scope
    silence_timeout_s: float = SILENCE_TIMEOUT_S

    async def answer(self, question: str) -> AsyncIterator[str | dict[str, Any]]:
        """Yield its answer, and the sources behind it: which they are, it tells at the end."""
        named = self.scope.knowledge_base
        readable = [] if named and self.scope.name else await self.pincite.knowledge_bases(self.asker.person)
        await self.asker.status(searching(self.asker, self.scope, readable))
        chosen = [named] if named else [kb["id"] for kb in readable]
        chosen = list(dict.fromkeys([*chosen, *(part.knowledge_base for part in self.scope.attached)]))
        if not chosen:
            raise NothingRelevant(self.asker.say("nothing", why=self.asker.say("empty_knowledge_base")))
        citing = Citing(MOST_PASSAGES)
        context: list[dict[str, Any]] = []
        person, k = self.asker.person, self.scope.passages
        async for chunk in self.pincite.answer(person, chosen, question, k, self.silence_timeout_s):
            context = chunk.get("context") or context
            if shown := citing.feed((chunk["choices"][0].get("delta") or {}).get("content") or ""):
                yield shown
        if rest := citing.rest():
            yield rest
        passages = {passage["number"]: passage for passage in context}
        for given in citing.given:
            if given in passages:
                yield source_of(passages[given], self.asker.language)
        await self.asker.status(self.asker.counted(context), done=True)


@dataclass
class Turn:
    """Answers the last message of `messages`; `writer` None quotes instead. `files` are those of the chat."""

    pincite: Pincite
    asker: Asker
    scope: Scope
    writer: Writer | ServerWriter | None
    messages: list[dict[str, Any]]
    files: list[dict[str, Any]] | None = None

    async def answer(self) -> AsyncIterator[str | dict[str, Any]]:
        """Yield text, and before the text that cites a passage first, the passage as `source` data."""
        asked = questions(self.messages)
        if not asked:
            yield self.asker.say("no question")
            return
        try:
            attached = await attached_to(self.pincite, self.asker, self.files)
        except PinciteFailure as failure:
            yield await self._told(failure)
            return
        for line in attached.told:
            yield line + "\n\n"
        self.scope = replace(self.scope, attached=tuple(attached.parts))
        if isinstance(self.writer, ServerWriter):
            self.writer.scope = self.scope
            async for piece in self._by_server(self.writer, joined(asked)):
                yield piece
            return
        try:
            question = await self._self_contained(asked)
            wanted = await self._with_guess(question)
            found = await find(self.pincite, self.asker, self.scope, wanted)
        except (PinciteFailure, NothingRelevant) as nothing:
            yield await self._told(nothing)
            return
        await self.asker.status(self.asker.counted(found.passages), done=True)
        async for piece in self._written(question, found):
            yield piece

    async def _told(self, nothing: PinciteFailure | NothingRelevant) -> str:
        """Return the one line that tells why there is no answer, and end the status lines."""
        if isinstance(nothing, NothingRelevant):
            await self.asker.status(self.asker.say("nothing found"), done=True)
            return nothing.sentence
        sentence = nothing.sentence(self.asker.language)
        await self.asker.status(sentence, done=True)
        return sentence

    async def _by_server(self, server: ServerWriter, question: str) -> AsyncIterator[str | dict[str, Any]]:
        began = False
        try:
            async for piece in server.answer(question):
                yield piece
                began = True
        except (PinciteFailure, NothingRelevant) as nothing:
            yield ("\n\n" if began else "") + await self._told(nothing)

    async def _self_contained(self, asked: list[str]) -> str:
        if len(asked) > 1 and isinstance(self.writer, Writer):
            await self.asker.status(self.asker.say("writing"))
            try:
                rewritten = (await self.writer.at_once(rewriting(self.messages), self.writer.help_timeout_s)).strip()
            except NotWritten:
                rewritten = ""
            if rewritten:
                return rewritten
        return joined(asked)

    async def _with_guess(self, question: str) -> str:
        """Return the question with a guessed answer, which is worded as documents are (HyDE, arXiv:2212.10496)."""
        if not isinstance(self.writer, Writer) or not self.writer.hyde:
            return question
        try:
            guess = await self.writer.at_once(guessing(question), self.writer.help_timeout_s)
        except NotWritten:
            return question
        return f"{question}\n{guess[:LONGEST_GUESS]}"

    async def _written(self, question: str, found: Found) -> AsyncIterator[str | dict[str, Any]]:
        passages = found.passages
        # The model may have been told by a document to write a link or a picture.
        citing, listed = Citing(len(passages), defuse=isinstance(self.writer, Writer)), 0
        if not isinstance(self.writer, Writer):
            yield why_quoted(self.asker.language, "", answerable=found.answerable) + "\n\n"
            async for piece in self._quoted(passages, citing):
                yield piece
            return
        written, failed = Written(self.writer.words(answering(self.messages, question, passages))), ""
        try:
            async for shown in _shown(written.pieces(), citing):
                for given in citing.given[listed:]:
                    listed += 1
                    yield source_of(passages[given - 1], self.asker.language)
                yield shown
        except NotWritten as failure:
            failed = failure.reason
        if not said(written.text).strip():
            why = why_quoted(self.asker.language, failed or "model empty", answerable=found.answerable)
            yield ("\n\n" if written.text else "") + why + "\n\n"
            async for piece in self._quoted(passages, citing):
                yield piece
            return
        if failed:
            yield "\n\n" + self.asker.say("cut off", reason=self.asker.say(failed))
        try:
            wrong = await findings(self.pincite, self.asker, written.text, passages, citing)
        except PinciteFailure:
            wrong = self.asker.say("unchecked")
        for given in citing.given[listed:]:
            yield source_of(passages[given - 1], self.asker.language)
        if wrong:
            yield "\n\n" + wrong

    async def _quoted(self, passages: list[dict[str, Any]], citing: Citing) -> AsyncIterator[str | dict[str, Any]]:
        lines = quotes(passages, citing)
        for given in citing.given:
            yield source_of(passages[given - 1], self.asker.language)
        for line in lines:
            yield line


class Written:
    """A model's words as they come; `text` is what came so far."""

    def __init__(self, words: AsyncIterator[str]) -> None:
        self._words = words
        self.text = ""

    async def pieces(self) -> AsyncIterator[str]:
        """Yield the words."""
        async for piece in self._words:
            self.text += piece
            yield piece


async def _shown(words: AsyncIterator[str], citing: Citing) -> AsyncIterator[str]:
    """Yield what can be shown of the words as they come; what was held back when they stop or break off, at the end."""
    try:
        async for piece in words:
            if shown := citing.feed(piece):
                yield shown
    except NotWritten:
        if rest := citing.rest():
            yield rest
        raise
    if rest := citing.rest():
        yield rest
