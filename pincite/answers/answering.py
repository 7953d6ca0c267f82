"""A question to an answer: find the passages, let a language model write from them, check it; or quote, or refuse."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from pincite.answers import query_help, quoting, wording
from pincite.answers.answer import Answer, Sentence, Step
from pincite.answers.answerability import WRITER_FLOOR, may_answer
from pincite.answers.checking import CheckedText, Related
from pincite.answers.extracting import extract
from pincite.answers.language_model import LanguageModel, WritingFailed
from pincite.answers.prompting import NOT_FOUND, Message, prompt
from pincite.answers.query_help import Help, Helped
from pincite.passage import Passage, SearchResult

Find = Callable[[str], Awaitable[SearchResult]]
# What happens while an answer is made: what was found, pieces of its text as they come, at last the whole.
Event = SearchResult | str | Answer

NO_HELP = Help()

# How a model begins that will not answer; what follows is no answer, so nothing of it is shown.
_DECLINES = re.compile(
    r"\W*(?:I(?:['’]m| am) (?:sorry|unable|not able)|(?:I )?apologi[sz]e|Sorry|As an AI"
    r"|I (?:cannot|can['’]?t|can not|won['’]?t)\b"
    r"|(?:很|非常)?抱歉|对不起|不好意思|我(?:无法|不能|不可以)|作为(?:一个|一名)?(?:AI|人工智能|语言模型))",
    re.IGNORECASE,
)
# Characters after which it is clear whether a model declines.
_OPENING = 24
# A passage is about the same as a sentence in another language if a search for the sentence scores it so.
_RELATED = 0.5
_LONGEST_SOUGHT = 2_000


async def answer(
    question: str,
    find: Find,
    model: LanguageModel | None = None,
    *,
    history: Sequence[Message] = (),
    helps: Help = NO_HELP,
) -> AsyncGenerator[Event, None]:
    """Yield what was found, the pieces of the answer's text, and the answer; the pieces joined are its text.

    `history` are the messages before the question. Without a model, or where it fails before its first word, the
    passages are quoted. Raises what `find` raises, before anything is yielded.
    """
    clock = _Clock()
    question, found = await _found(question, find, model, history, helps, clock)
    yield found
    if model is None or not may_answer(found, floor=WRITER_FLOOR):
        finished = _without_a_model(question, found)
    else:
        writing = _Writing(question, found, find, model, clock)
        async with aclosing(writing.pieces()) as pieces:
            async for piece in pieces:
                yield piece
        yield writing.finished
        return
    yield finished.text
    yield finished.told(trace=clock.steps)


def _without_a_model(question: str, found: SearchResult) -> Answer:
    return quoting.extractive(question, found) if may_answer(found) else quoting.refusal(question, found)


async def _found(
    question: str,
    find: Find,
    model: LanguageModel | None,
    history: Sequence[Message],
    helps: Help,
    clock: "_Clock",
) -> tuple[str, SearchResult]:
    """Return the question as it is understood, and what was found with the helps that are wanted and possible."""
    if helps.wanted and model is None:
        clock.note("query help", "left out: it needs a language model; set PINCITE_LLM_URL")
    if helps.follow_up and history and model is not None:
        whole = await query_help.whole_question(question, history, model, helps.timeout_s)
        clock.note("follow-up", whole.outcome)
        question = whole.texts[0] if whole.texts else question
    wanted = []
    if model is not None:
        limit = helps.timeout_s
        wanted += [("sub-questions", query_help.parts(question, model, limit))] if helps.sub_questions else []
        wanted += [("hyde", query_help.imagined(question, model, limit))] if helps.hyde else []
    found, *helped = await _together(find(question), *(work for _, work in wanted))
    clock.note("search", f"{len(found.passages)} passages")
    for (name, _), help_ in zip(wanted, helped, strict=True):
        clock.note(name, help_.outcome)
    texts = [text for help_ in helped for text in help_.texts]
    # A made-up answer finds something like itself, whether the documents answer or not.
    if texts and may_answer(found, floor=WRITER_FLOOR):
        found = await query_help.with_arms(found, texts, find)
        clock.note("more searches", f"{len(found.passages)} passages")
    return question, found


async def _together(searching: Awaitable[SearchResult], *helping: Awaitable[Helped]) -> tuple[Any, ...]:
    """Wait for the search and the helps at once; where the search fails, so does this, and the helps are dropped."""
    helps = asyncio.gather(*helping)
    try:
        found = await searching
    except BaseException:
        helps.cancel()
        raise
    return found, *await helps


@dataclass
class _Clock:
    """The steps so far, each with the time since the one before."""

    steps: tuple[Step, ...] = ()
    _last: float = field(default_factory=time.perf_counter)

    def note(self, name: str, outcome: str) -> None:
        now = time.perf_counter()
        self.steps = (*self.steps, Step(name, outcome, (now - self._last) * 1e3))
        self._last = now


class _Writing:
    """One answer by a language model: its pieces as they come, then `finished`."""

    finished: Answer

    def __init__(self, question: str, found: SearchResult, find: Find, model: LanguageModel, clock: _Clock) -> None:
        self._question = question
        self._found = found
        self._model = model
        self._clock = clock
        self._language = wording.language_of(question)
        self._checked = CheckedText(found.passages, self._language, _related_to(found.passages, find))

    async def pieces(self) -> AsyncGenerator[str, None]:
        """Yield the text that readers see."""
        opening, failure, declined = "", "", False
        try:
            async with aclosing(self._model.write(prompt(self._question, self._found.passages))) as written:
                async for piece in written:
                    if len(opening) < _OPENING:
                        opening += piece
                        if len(opening.strip()) < _OPENING:
                            continue
                        declined = _declined(opening)
                        piece = opening  # noqa: PLW2901 - held back until now
                    if declined:
                        break
                    if shown := await self._checked.feed(piece):
                        yield shown
        except WritingFailed as problem:
            failure = str(problem)
        short = len(opening.strip()) < _OPENING
        declined = declined or (short and _declined(opening))
        if not declined and short and (shown := await self._checked.feed(opening)):
            yield shown
        if not declined and (shown := await self._checked.finish()):
            yield shown
        self._clock.note("write", failure or ("declined" if declined else f"{len(self._checked.text)} characters"))
        for more in self._end(opening, failure, declined=declined):
            yield more

    def _end(self, opening: str, failure: str, *, declined: bool) -> list[str]:
        """Make the answer, and return the text that comes after what the model wrote."""
        written = self._checked.text
        if declined and opening.strip().startswith(NOT_FOUND):
            return self._instead(quoting.refusal(self._question, self._found), "")
        if declined:
            return self._instead(self._quoted(), "The language model declined to answer.")
        if not written.strip():
            failed = failure or "the language model wrote nothing"
            return self._instead(self._quoted(), f"The answer is not from a language model: {failed}.")
        more, sentences = "", list(self._checked.sentences)
        if failure:
            more += f"\n\n{wording.cut_off(self._language)}"
        if not any(sentence.status != "unsupported" for sentence in sentences):
            more += f"\n\n{wording.nothing_verified(self._language)}"
            quotes = extract(self._question, self._found.passages)
            text, quoted = quoting.quotes_text(self._language, self._found.passages, quotes, len(written) + len(more))
            more += text
            sentences += quoted
        notes = (f"The answer is not complete: {failure}.",) if failure else ()
        self.finished = self._answer(written + more, sentences, notes, complete=not failure)
        return [more] if more else []

    def _answer(self, text: str, sentences: list[Sentence], notes: tuple[str, ...], *, complete: bool) -> Answer:
        counts = {
            status: sum(s.status == status for s in sentences) for status in ("supported", "repaired", "unsupported")
        }
        self._clock.note("check", ", ".join(f"{count} {status}" for status, count in counts.items()))
        return Answer(
            question=self._question,
            kind="written",
            language=self._language,
            text=text,
            passages=self._found.passages,
            sentences=tuple(sentences),
            notes=(*notes, *self._found.notes),
            trace=self._clock.steps,
            complete=complete,
        )

    def _quoted(self) -> Answer:
        return _without_a_model(self._question, self._found)

    def _instead(self, answer: Answer, note: str) -> list[str]:
        self.finished = answer.told(notes=(note,) if note else (), trace=self._clock.steps)
        return [answer.text]


async def check(text: str, passages: Sequence[Passage], find: Find) -> Answer:
    """Return a text that was written from these passages elsewhere, held against them as an answer of ours is."""
    language = wording.language_of(text)
    checked = CheckedText(passages, language, _related_to(passages, find))
    for line in text.splitlines(keepends=True):
        await checked.feed(line)
        await asyncio.sleep(0)  # a long text lets others have a turn
    await checked.finish()
    return Answer("", "written", language, checked.text, tuple(passages), tuple(checked.sentences))


def _related_to(passages: Sequence[Passage], find: Find) -> Related:
    async def related(sentence: str) -> frozenset[int]:
        """Return the numbers of the passages that a search for the sentence finds too."""
        near = [passage for passage in (await find(sentence[:_LONGEST_SOUGHT])).passages if passage.score >= _RELATED]
        return frozenset(
            number
            for number, passage in enumerate(passages, start=1)
            if any(_overlap(passage, other) for other in near)
        )

    return related


def _declined(opening: str) -> bool:
    return opening.strip().startswith(NOT_FOUND) or _DECLINES.match(opening) is not None


def _overlap(one: Passage, other: Passage) -> bool:
    same = (one.knowledge_base_id, one.document.id) == (other.knowledge_base_id, other.document.id)
    return same and one.start < other.end and other.start < one.end
