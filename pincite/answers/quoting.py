"""Answers in the documents' own words: quotes with the places they stand in, and refusals that show the nearest."""

from collections.abc import Sequence

from pincite.answers import wording
from pincite.answers.answer import Answer, Kind, Quote, Sentence
from pincite.answers.extracting import extract
from pincite.answers.rendering import harmless, on_one_line
from pincite.passage import Passage, SearchResult

# Passages a refusal shows.
_NEAREST = 3


def extractive(question: str, found: SearchResult) -> Answer:
    """Return the best sentences of the passages, quoted, with their pages; it says that nobody wrote it."""
    language = wording.language_of(question)
    quotes = extract(question, found.passages)
    return _quoting("extractive", question, found, quotes, wording.extractive(language))


def refusal(question: str, found: SearchResult) -> Answer:
    """Return that the documents do not answer, with the nearest passages' best sentences."""
    language = wording.language_of(question)
    nearest = [
        quote
        for number, passage in enumerate(found.passages[:_NEAREST], start=1)
        for quote in [_marked(number, passage)]
    ]
    opening = wording.refusal(language, nearest=bool(nearest))
    return _quoting("refusal", question, found, nearest, opening)


def quotes_text(
    language: wording.Language, passages: Sequence[Passage], quotes: Sequence[Quote], start: int
) -> tuple[str, list[Sentence]]:
    """Return the quotes as Markdown, and as sentences of a text in which the Markdown begins at `start`."""
    parts: list[str] = []
    sentences: list[Sentence] = []
    for quote in quotes:
        passage = passages[quote.number - 1]
        words = harmless(on_one_line(passage.text[quote.start : quote.end]))
        parts.append("\n\n> “")
        begin = start + sum(map(len, parts))
        parts.append(f"{words}” [{quote.number}]  \n> {_place(language, passage)}")
        sentences.append(Sentence(begin, begin + len(words), (quote.number,), "supported", (quote,)))
    return "".join(parts), sentences


def _quoting(kind: Kind, question: str, found: SearchResult, quotes: Sequence[Quote], opening: str) -> Answer:
    language = wording.language_of(question)
    text, sentences = quotes_text(language, found.passages, quotes, len(opening))
    return Answer(
        question=question,
        kind=kind,
        language=language,
        text=opening + text,
        passages=found.passages,
        sentences=tuple(sentences),
        notes=found.notes,
        why=found.why,
    )


def _marked(number: int, passage: Passage) -> Quote:
    mark = next((mark for mark in passage.marks if mark.kind == "sentence"), None)
    return Quote(number, mark.start, mark.end) if mark else Quote(number, 0, len(passage.text))


def _place(language: wording.Language, passage: Passage) -> str:
    where = wording.place(language, passage.document.title, passage.page, passage.page_label, passage.section)
    return f"— {harmless(on_one_line(where))}"
