"""One turn of a conversation: search, then the answer with its citations, as text and `source` data in order."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from plugin.function.asking import Pincite, PinciteFailure
from plugin.function.citing import Citing, source_of
from plugin.function.conversation import answering, guessing, joined, questions, rewriting
from plugin.function.evidence import Asker, NothingRelevant, Scope, find
from plugin.function.quoting import quotes
from plugin.function.writing import NotWritten, write, write_at_once

REWRITE_TIMEOUT_S = 15.0
LONGEST_GUESS = 600


@dataclass
class Writer:
    """The model of Open WebUI that writes, as the person who asks."""

    request: Any
    user_id: str
    model: str
    hyde: bool = False

    async def at_once(self, messages: list[dict[str, str]], timeout_s: float = REWRITE_TIMEOUT_S) -> str:
        """Return its whole answer; raises NotWritten."""
        return await write_at_once(self.request, self.user_id, self.model, messages, timeout_s)

    def words(self, messages: list[dict[str, str]]) -> AsyncIterator[str]:
        """Yield its answer as it comes; raises NotWritten."""
        return write(self.request, self.user_id, self.model, messages)


@dataclass
class Turn:
    """Answers the last message of `messages`; `writer` None quotes instead."""

    pincite: Pincite
    asker: Asker
    scope: Scope
    writer: Writer | None
    messages: list[dict[str, Any]]

    async def answer(self) -> AsyncIterator[str | dict[str, Any]]:
        """Yield text, and before the text that cites a passage first, the passage as `source` data."""
        asked = questions(self.messages)
        if not asked:
            yield self.asker.say("no question")
            return
        try:
            question = await self._self_contained(asked)
            wanted = await self._with_guess(question)
            passages = await find(self.pincite, self.asker, self.scope, wanted)
        except PinciteFailure as failure:
            sentence = failure.sentence(self.asker.language)
            await self.asker.status(sentence, done=True)
            yield sentence
            return
        except NothingRelevant as nothing:
            await self.asker.status(self.asker.say("nothing found"), done=True)
            yield nothing.sentence
            return
        await self.asker.status(self.asker.counted(passages), done=True)
        async for piece in self._written(question, passages):
            yield piece

    async def _self_contained(self, asked: list[str]) -> str:
        if len(asked) > 1 and self.writer is not None:
            await self.asker.status(self.asker.say("writing"))
            try:
                rewritten = (await self.writer.at_once(rewriting(self.messages))).strip()
            except NotWritten:
                rewritten = ""
            if rewritten:
                return rewritten
        return joined(asked)

    async def _with_guess(self, question: str) -> str:
        """Return the question with a guessed answer, which is worded as documents are (HyDE, arXiv:2212.10496)."""
        if self.writer is None or not self.writer.hyde:
            return question
        try:
            guess = await self.writer.at_once(guessing(question))
        except NotWritten:
            return question
        return f"{question}\n{guess[:LONGEST_GUESS]}"

    async def _written(self, question: str, passages: list[dict[str, Any]]) -> AsyncIterator[str | dict[str, Any]]:
        citing, listed = Citing(passages), 0
        if self.writer is None:
            yield self.asker.say("extractive") + "\n\n"
            async for piece in self._quoted(passages, citing):
                yield piece
            return
        began = False
        try:
            async for words in self.writer.words(answering(self.messages, question, passages)):
                shown = citing.feed(words)
                for passage in citing.cited[listed:]:
                    listed += 1
                    yield source_of(passage, self.asker.language)
                if shown:
                    began = True
                    yield shown
            if rest := citing.rest():
                yield rest
        except NotWritten as failure:
            reason = self.asker.say(failure.reason)
            if began:
                yield "\n\n" + self.asker.say("cut off", reason=reason)
                return
            yield self.asker.say("extractive instead", reason=reason) + "\n\n"
            async for piece in self._quoted(passages, citing):
                yield piece

    async def _quoted(self, passages: list[dict[str, Any]], citing: Citing) -> AsyncIterator[str | dict[str, Any]]:
        lines = quotes(passages, citing)
        for passage in citing.cited:
            yield source_of(passage, self.asker.language)
        for line in lines:
            yield line
