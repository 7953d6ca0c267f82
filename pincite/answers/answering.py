"""A question to an answer: find the passages, and quote them, or refuse."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable

from pincite.answers import quoting
from pincite.answers.answer import Answer, Step
from pincite.answers.answerability import may_answer
from pincite.passage import SearchResult

Find = Callable[[str], Awaitable[SearchResult]]
# What happens while an answer is made: what was found, pieces of its text as they come, at last the whole.
Event = SearchResult | str | Answer


async def answer(question: str, find: Find) -> AsyncGenerator[Event, None]:
    """Yield what was found, the pieces of the answer's text, and the answer; the pieces joined are its text.

    Raises what `find` raises, before anything is yielded.
    """
    began = time.perf_counter()
    found = await find(question)
    searched = Step("search", f"{len(found.passages)} passages", (time.perf_counter() - began) * 1e3)
    yield found
    make = quoting.extractive if may_answer(found) else quoting.refusal
    finished = make(question, found).told(trace=(searched,))
    yield finished.text
    yield finished
