"""The sentences of the found passages that answer best, quoted as they stand: an answer that nobody wrote.

A passage's most telling place is known from the search: the sentence it marked. Beside it stand the sentences with most
of the question's words, and those that hold what the question asks for, such as a number or a date.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pincite.answers.answer import Quote
from pincite.lexical import Term, lexical_form, question_terms
from pincite.passage import Mark, Passage
from pincite.sentences import sentences

# Sentences quoted in all; neighbours become one quote.
_MOST_SENTENCES = 8
# Characters quoted in all: what is read at a glance; the best sentence is quoted however long it is.
MOST_CHARACTERS = 1_500
# Of sentences of this many characters only the best part of a table or a list is quoted.
LONGEST_SENTENCE = 600
# A sentence shorter than this is a heading or a fragment, and says something only with its neighbour.
_FRAGMENT = 40

_COUNTED = re.compile(
    r"how (?:many|much|long|old|far|often|quickly|soon|tall|high|large|big)"
    r"|(?:what|which) (?:percentage|number|amount|share|rate)"
    r"|多少|多久|多长|多大|多高|几[个天年月日次名人岁台家条项]|百分之几|比例|金额|期限",
    re.IGNORECASE,
)
_DATED = re.compile(
    r"\bwhen\b|(?:what|which) (?:year|date|day|month)|何时|什么时候|哪一?[年天日]|日期|几月", re.IGNORECASE
)
_NUMBER = re.compile(
    r"\d|[一二三四五六七八九十百千万亿两壹贰叁肆伍陆柒捌玖拾][个天年月日次名人岁台家条项元%]|百分之|hundred|thousand|million",
    re.IGNORECASE,
)
_YEAR = re.compile(
    r"\b(?:1\d|20)\d\d\b|\d年|\d月"
    r"|\b(?:January|February|March|April|May|June|July|August|September|October|November|December)\b"
)

# What each kind of evidence adds to a sentence of the best passage; the words' share lies between 0 and 1.
_WORDS = 1.0
_MARKED = 0.45
_NEAR_MARK = 0.3
_KIND = 0.25
# What a word of the question counts that stands beside the sentence only.
_OF_HEADING = 0.4
_OF_NEIGHBOUR = 0.2
_OF_CAPTION = 0.8
# A sentence this much weaker than the best adds words, seldom the answer.
_WEAKER = 0.9
# What a passage's place costs: a good sentence of the second is preferred to a middling one of the first.
_LATER = 0.12


@dataclass(frozen=True, slots=True)
class _Candidate:
    quote: Quote
    value: float


def extract(question: str, passages: Sequence[Passage]) -> list[Quote]:
    """Return the ranges worth quoting, best first: whole sentences, at most some hundred words in all."""
    terms = question_terms(question)
    wanted = [pattern for asked, pattern in ((_COUNTED, _NUMBER), (_DATED, _YEAR)) if asked.search(question)]
    candidates = [
        candidate
        for number, passage in enumerate(passages, start=1)
        for candidate in _candidates(number, passage, terms, wanted)
    ]
    candidates.sort(key=lambda candidate: -candidate.value)
    chosen: list[Quote] = []
    characters = 0
    seen: set[str] = set()
    for candidate in candidates:
        quote = candidate.quote
        words = lexical_form(passages[quote.number - 1].text[quote.start : quote.end])
        if words in seen or not words.strip():
            continue
        length = quote.end - quote.start
        full = len(chosen) == _MOST_SENTENCES or characters + length > MOST_CHARACTERS
        if chosen and (full or candidate.value < candidates[0].value - _WEAKER):
            break
        seen.add(words)
        chosen.append(quote)
        characters += length
    return _in_order(chosen, passages)


def _candidates(
    number: int, passage: Passage, terms: Sequence[Term], wanted: Sequence[re.Pattern[str]]
) -> list[_Candidate]:
    text = passage.text
    spans = _whole(text, list(sentences(text)))
    marked = next((mark for mark in passage.marks if mark.kind == "sentence"), None)
    heading = lexical_form(f"{passage.document.title} {passage.section}")
    forms = [lexical_form(text[start:end]) for start, end in spans]
    candidates = []
    for place, span in enumerate(spans):
        # A heading tells what its sentences are about, so they need not say it again; so does a caption its table.
        beside = " ".join(forms[max(0, place - 2) : place + 2])
        weight = _OF_CAPTION if "\t" in text[slice(*span)] else _OF_NEIGHBOUR
        share = sum(
            max(term.found_in(forms[place]), weight * term.found_in(beside), _OF_HEADING * term.found_in(heading))
            for term in terms
        ) / max(1, len(terms))
        value = _WORDS * share + _marked(span, marked) - _LATER * (number - 1) + 0.5 * passage.score
        if any(pattern.search(text, *span) for pattern in wanted):
            value += _KIND
        candidates.append(_Candidate(Quote(number, *span), value))
    return candidates


def _marked(span: tuple[int, int], mark: Mark | None) -> float:
    if mark is None:
        return 0.0
    if span[0] < mark.end and mark.start < span[1]:
        return _MARKED
    return _NEAR_MARK if abs(span[0] - mark.end) <= 2 or abs(mark.start - span[1]) <= 2 else 0.0


def _whole(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the ranges with fragments joined to what follows them, and overlong ones cut at their lines."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        fragment = joined and joined[-1][1] - joined[-1][0] < _FRAGMENT
        joined.append((joined.pop()[0] if fragment else start, end))
    return [part for span in joined for part in _parts(text, *span)]


def _parts(text: str, start: int, end: int) -> list[tuple[int, int]]:
    parts = []
    while end - start > LONGEST_SENTENCE:
        cut = text.rfind("\n", start + LONGEST_SENTENCE // 3, start + LONGEST_SENTENCE)
        stop = cut if cut > 0 else start + LONGEST_SENTENCE
        parts.append((start, stop))
        start = stop + (cut > 0)
    return [*parts, (start, end)]


def _in_order(quotes: list[Quote], passages: Sequence[Passage]) -> list[Quote]:
    """Return the quotes with neighbours of one passage as one, the best passage's first, as they stand in it."""
    order = list(dict.fromkeys(quote.number for quote in quotes))
    ordered: list[Quote] = []
    for quote in sorted(quotes, key=lambda quote: (order.index(quote.number), quote.start)):
        last = ordered[-1] if ordered else None
        if last and last.number == quote.number:
            between = passages[quote.number - 1].text[last.end : quote.start]
            if not between.strip():
                ordered[-1] = Quote(last.number, last.start, quote.end)
                continue
        ordered.append(quote)
    return ordered
