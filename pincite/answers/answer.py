"""What an answer is: text, the sentences in it that claim something, and the passages they cite."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from pincite.passage import NothingFound, Passage, citation

# Who made the text: a language model, or nobody (the documents' own sentences); or there is no answer in it.
Kind = Literal["written", "extractive", "refusal"]
# "repaired": the sentence now cites the passage that supports it; "unsupported": none does.
Status = Literal["supported", "repaired", "unsupported"]


@dataclass(frozen=True, slots=True)
class Quote:
    """The words that support a sentence: `passage.text[start:end]` of the passage with the 1-based `number`."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the answer, `answer.text[start:end]`, with its citations; `problem` says why it is unsupported."""

    start: int
    end: int
    citations: tuple[int, ...]
    status: Status
    quotes: tuple[Quote, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step on the way to an answer, for the trace: what it did, and how long it took."""

    name: str
    outcome: str
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer.

    `text` is Markdown without links and images; `[n]` in it cites the passage with the 1-based number n. `passages`
    are all that were found, also those that nothing cites. `notes` say what could not be done, `why` that nothing was
    found. `complete` is False where the language model broke off.
    """

    question: str
    kind: Kind
    language: str
    text: str
    passages: tuple[Passage, ...]
    sentences: tuple[Sentence, ...] = ()
    notes: tuple[str, ...] = ()
    why: NothingFound | None = None
    trace: tuple[Step, ...] = ()
    complete: bool = True

    def told(self, *, notes: tuple[str, ...] = (), trace: tuple[Step, ...] = ()) -> "Answer":
        """Return the answer with these notes and steps in front of its own."""
        return replace(self, notes=(*notes, *self.notes), trace=(*trace, *self.trace))


def answer_shape(answer: Answer, urls: list[str]) -> dict[str, Any]:
    """Return the answer in the shape programs rely on; `urls` open the passages, in their order.

    `context` are the citations, each with its `number` in the text and, in `cited_by`, the places in `sentences` of
    those that cite it.
    """
    cited_by: dict[int, list[int]] = {}
    for place, sentence in enumerate(answer.sentences):
        for number in sentence.citations:
            cited_by.setdefault(number, []).append(place)
    context = [
        citation(passage, url) | {"number": number, "cited_by": cited_by.get(number, [])}
        for number, (passage, url) in enumerate(zip(answer.passages, urls, strict=True), start=1)
    ]
    why = answer.why
    return {
        "question": answer.question,
        "kind": answer.kind,
        "language": answer.language,
        "text": answer.text,
        "complete": answer.complete,
        "sentences": [_sentence_shape(answer, sentence) for sentence in answer.sentences],
        "context": context,
        "why": why and {"reason": why.reason, "message": why.message, "best_score": why.best_score},
        "notes": list(answer.notes),
        "trace": [
            {"step": step.name, "outcome": step.outcome, "milliseconds": round(step.milliseconds, 1)}
            for step in answer.trace
        ],
    }


def _sentence_shape(answer: Answer, sentence: Sentence) -> dict[str, Any]:
    return {
        "text": answer.text[sentence.start : sentence.end],
        "start": sentence.start,
        "end": sentence.end,
        "citations": list(sentence.citations),
        "status": sentence.status,
        "problem": sentence.problem,
        "quotes": [
            {
                "number": quote.number,
                "text": answer.passages[quote.number - 1].text[quote.start : quote.end],
                "start": quote.start,
                "end": quote.end,
            }
            for quote in sentence.quotes
        ],
    }
