"""Passages made in the tests, as a search would have found them."""

from collections.abc import Awaitable, Callable, Sequence

from pincite.answers import Answer, Event, answer
from pincite.passage import DocumentReference, Mark, NothingFound, Passage, SearchResult


def passage(
    text: str, *, number: int = 1, score: float = 0.9, title: str = "Handbook", page: int | None = 3, marked: str = ""
) -> Passage:
    """Return a passage; `marked` is the part of it that the search found closest to the question."""
    start = text.index(marked) if marked else 0
    mark = Mark(start, start + len(marked or text), "sentence")
    return Passage(
        id=f"d{number}:0",
        knowledge_base_id="kb",
        document=DocumentReference(f"d{number}", title, f"{title.lower()}.pdf"),
        ordinal=0,
        start=0,
        end=len(text),
        text=text,
        section="",
        page=page,
        page_label=None,
        pages=() if page is None else (page,),
        boxes=(),
        marks=(mark,),
        score=score,
    )


def found(question: str, *passages: Passage) -> SearchResult:
    """Return what a search found."""
    why = None if passages else NothingFound("below_floor", "nothing relevant found")
    return SearchResult(question, passages, why)


def finder(*passages: Passage) -> Callable[[str], Awaitable[SearchResult]]:
    """Return a search that finds these passages whatever is asked."""

    async def find(question: str) -> SearchResult:
        return found(question, *passages)

    return find


async def answered(question: str, passages: Sequence[Passage]) -> Answer:
    """Return the answer, after checking that its pieces are its text."""
    return whole([event async for event in answer(question, finder(*passages))])


def whole(events: Sequence[Event]) -> Answer:
    """Return the answer at the end of what happened; what was streamed before is its text."""
    last = events[-1]
    assert isinstance(last, Answer)
    assert "".join(event for event in events if isinstance(event, str)) == last.text
    for sentence in last.sentences:
        assert last.text[sentence.start : sentence.end].strip()
        assert all(1 <= number <= len(last.passages) for number in sentence.citations)
    return last
