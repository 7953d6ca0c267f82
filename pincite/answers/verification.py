"""Whether a passage supports a sentence: cheap checks that read both, without a model.

A sentence is held against the part of the passage that shares most of its words. It fails by what it says and the
passage does not: a quote that is not there, a number or a name, a negation added or lost, one word in the place of
another, or simply too few common words. docs/decisions/0010-verification.md says what was measured.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from typing import Literal

from pincite.answers.answer import Quote
from pincite.answers.facts import Number, in_digits, negations, normalised, numbers, quotations
from pincite.lexical import Term, lexical_form, question_terms
from pincite.passage import Passage
from pincite.sentences import sentences

Problem = Literal["quote", "number", "name", "negation", "swapped", "words"]

# The share of a sentence's words that the passage must hold. Sentences of other passages of the same document rarely
# reach a third, retold ones rarely fall below half.
ENOUGH_WORDS = 0.5
# A sentence with this share of its words in one place of the passage is its wording: another word in it is a change.
_NEAR_VERBATIM = 0.7
_VERBATIM = 0.85
_MOST_CHANGES = 2
_LONGEST_CHANGE = 10
# Words around a negation, or a number, that tell what it is about.
_CONTEXT = 3
_ABOUT = 0.2
_HAN = re.compile(r"[\u3400-\u9fff]")
_CLAUSE = re.compile(r"[,;:，；：。]|\b(?:and|but|or|because|unless|if|when)\b")
_TOKEN = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*|[\u3400-\u9fff]|\d[\d,.]*\d|\d")
# Words whose exchange changes little: articles, prepositions, modals; and the characters that do their work.
_LIGHT_WORDS = (
    "a an the this that these those it its their his her of in on at by for from to with within under as and or but if "
    "is are was were be been being has have had do does did will would shall should must may might can could need "
    "needs which who whom whose when where while also such any each all every than then there so upon into during per "
    "via he she they we you i them him us according state states stated says said provide provides provided"
)
_LIGHT = frozenset(_LIGHT_WORDS.split())
_LIGHT_HANZI = frozenset(
    "的之了在于应当须需必要可以能会将由被对向与和及或并且而则该其此本等为是有内中上下时也还都就应每按照根据所至从自给把让使得"
    "到着过"
)
_UNIT_WORDS = "day days week weeks month months quarter quarters year years hour hours minute minutes second seconds"
_UNITS = frozenset(_UNIT_WORDS.split())
_NAME = re.compile(r"(?<![.!?:;“\"'‘(]\s)(?<!^)\b(?:[A-Z][\w&-]*[A-Za-z0-9]|[A-Z]{2,})\b")
# Characters that say the same of a number.
_SAME = str.maketrans("天号", "日日")
_PLAIN_MARKS = str.maketrans("“”‘’–—", "\"\"''--")
_LATIN = re.compile(r"[A-Za-z][A-Za-z0-9&+-]*[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a passage supports a sentence: the words that do, or the problem, and the `share` of words it holds."""

    quote: Quote | None
    share: float
    problem: Problem | None = None
    about: str = ""

    @property
    def supported(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None


@dataclass(frozen=True, slots=True)
class _Part:
    """A sentence of the passage: its range, its normalised text, and its words."""

    start: int
    end: int
    text: str
    lexical: str
    values: frozenset[float]


class Evidence:
    """A passage made ready to check sentences against; `number` is its 1-based place among those found."""

    def __init__(self, number: int, passage: Passage) -> None:
        self.number = number
        self._passage = passage

    @cached_property
    def parts(self) -> list[_Part]:
        """The sentences of the passage."""
        text = self._passage.text
        parts = []
        for start, end in sentences(text):
            part = normalised(text[start:end])
            parts.append(_Part(start, end, part, lexical_form(part), frozenset(n.value for n in numbers(part))))
        return parts

    @cached_property
    def text(self) -> str:
        """All that the passage says, and what its document and section are called."""
        passage = self._passage
        above = f"{passage.document.title}\n{passage.section}\n{passage.table_header}"
        return normalised(f"{above}\n{passage.text}")

    @cached_property
    def lexical(self) -> str:
        """The words of the text."""
        return lexical_form(self.text)

    @cached_property
    def squeezed(self) -> str:
        """The text as quotes are looked for in it."""
        return _squeezed(self.text)

    @cached_property
    def values(self) -> frozenset[float]:
        """The numbers of the text."""
        passage = self._passage
        above = numbers(normalised(f"{passage.document.title}\n{passage.section}"))
        return frozenset(number.value for number in above).union(*(part.values for part in self.parts))

    @cached_property
    def is_chinese(self) -> bool:
        """Whether the passage is mostly Chinese."""
        return _is_chinese(self.text)


@dataclass(frozen=True, slots=True)
class _Claim:
    """A sentence to check: its normalised text, its words, its numbers."""

    text: str
    terms: tuple[Term, ...]
    numbers: list[Number]


def check(sentence: str, evidence: Evidence) -> Verdict:
    """Return whether the passage supports the sentence, which is without its citation marks."""
    return _check(_claim(sentence), evidence)


def check_all(sentence: str, evidence: Sequence[Evidence]) -> list[Verdict]:
    """Return the verdict of each passage."""
    claim = _claim(sentence)
    return [_check(claim, each) for each in evidence]


def in_another_language(sentence: str, evidence: Evidence) -> bool:
    """Say whether the sentence and the passage cannot share words, one being Chinese and the other not."""
    return _is_chinese(sentence) != evidence.is_chinese


def _claim(sentence: str) -> _Claim:
    text = normalised(sentence)
    return _Claim(text, question_terms(text), numbers(text))


def _check(claim: _Claim, evidence: Evidence) -> Verdict:
    first, last, share = _window(claim, evidence)
    window = evidence.parts[first : last + 1]
    quote = Quote(evidence.number, window[0].start, window[-1].end) if window else None
    if _squeezed(claim.text).rstrip(".;。；") in evidence.squeezed:
        return Verdict(quote, 1.0)
    if missing := next((words for words in quotations(claim.text) if _squeezed(words) not in evidence.squeezed), None):
        return Verdict(quote, share, "quote", missing)
    across = in_another_language(claim.text, evidence)
    if not across and share < ENOUGH_WORDS:
        return Verdict(quote, share, "words")
    problem, about = _contradiction(claim, evidence, window, across=across)
    return Verdict(quote, share, problem, about)


def _contradiction(
    claim: _Claim, evidence: Evidence, window: Sequence[_Part], *, across: bool
) -> tuple[Problem | None, str]:
    """Return what the sentence says and the passage does not, and the words it is about."""
    words = " ".join(part.text for part in window)
    checks: list[tuple[Problem, str | None]] = [
        ("number", _foreign_number(claim, evidence, window, across=across)),
        ("name", _foreign_name(claim, evidence, across=across)),
        ("negation", None if across else _negation(claim.text, words)),
        ("swapped", None if across else _swapped(claim.text, words, evidence)),
    ]
    return next(((problem, about) for problem, about in checks if about), (None, ""))


def _window(claim: _Claim, evidence: Evidence) -> tuple[int, int, float]:
    """Return the first and the last sentence that together hold most of the claim's words, and the share of them."""
    terms = claim.terms
    if not terms or not evidence.parts:
        return 0, 0, 1.0 if not terms else 0.0
    held = [{place for place, term in enumerate(terms) if term.found_in(part.lexical)} for part in evidence.parts]
    wanted = {number.value for number in claim.numbers}

    def worth(place: int) -> float:
        return len(held[place]) + len(evidence.parts[place].values & wanted)

    best = max(range(len(held)), key=lambda place: (worth(place), -place))
    first = last = best
    together = set(held[best])
    for place in (best + 1, best - 1):
        if 0 <= place < len(held) and len(held[place] - together) >= max(2, 0.15 * len(terms)):
            together |= held[place]
            first, last = min(first, place), max(last, place)
    # What stands elsewhere in the passage counts too, but a sentence should have one place that says most of it.
    everywhere = sum(bool(term.found_in(evidence.lexical)) for term in terms)
    return first, last, (0.7 * len(together) + 0.3 * everywhere) / len(terms)


def _foreign_number(claim: _Claim, evidence: Evidence, window: Sequence[_Part], *, across: bool) -> str | None:
    """Return a number of the claim that the passage does not have, or has only where something else is said."""
    if not claim.numbers:
        return None
    beside = frozenset[float]().union(*(part.values for part in window))
    for number in claim.numbers:
        if number.value not in evidence.values:
            return claim.text[number.start : number.end]
        if number.value in beside or across:
            continue
        others = [term for term in claim.terms if not any(c.isdigit() for c in term.needle)]
        about = [part for part in evidence.parts if number.value in part.values]
        shared = max((sum(bool(t.found_in(part.lexical)) for t in others) for part in about), default=len(others))
        if shared < _ABOUT * len(others):
            return claim.text[number.start : number.end]
    return None


def _foreign_name(claim: _Claim, evidence: Evidence, *, across: bool) -> str | None:
    """Return a name that the passage does not know: in English by its capitals, in Chinese any Latin word."""
    chinese = _is_chinese(claim.text)
    if across and not chinese:
        return None  # the passage has the name in Hanzi
    for found in (_LATIN if chinese else _NAME).finditer(claim.text):
        word = lexical_form(found[0])
        if word.strip() and word not in evidence.lexical and not numbers(found[0]):
            loose = f" {word.strip().rstrip('s')}"
            if loose not in evidence.lexical:
                return found[0]
    return None


def _negation(claim: str, window: str) -> str | None:
    """Return the words that only one of the two denies."""
    mine, theirs = _denied(claim), _denied(window)
    words = {token for token in _tokens(window) if not _light(token)}
    own = {token for token in _tokens(claim) if not _light(token)}
    open_, added = list(theirs), []
    for about in mine:
        shared = max(open_, key=lambda other: len(set(about) & set(other)), default=[])
        if set(about) & set(shared) and len(set(about) & set(shared)) >= min(len(about), len(shared)) / 2:
            open_.remove(shared)
        else:
            added.append(about)
    for about in added:  # denied by the claim alone, in words of the passage
        if sum(token in words for token in about) >= min(2, len(about)):
            return " ".join(about)
    for about in open_:  # denied by the passage alone, and said by the claim
        if len(about) >= 2 and all(token in own for token in about):
            return " ".join(about)
    return None


def _denied(text: str) -> list[list[str]]:
    """Return for each negation the words it is about: those that follow in its clause, or stand before it."""
    found = []
    for start, end in negations(text):
        wide = _CONTEXT + 1 if _HAN.search(text[start:end]) else _CONTEXT
        clause = _CLAUSE.split(text[end : end + 60])[0]
        after = [token for token in _tokens(clause) if not _light(token)][:wide]
        before = [token for token in _tokens(_CLAUSE.split(text[max(0, start - 60) : start])[-1]) if not _light(token)]
        found.append(after if len(after) >= 2 else before[-wide:] + after)
    return [about for about in found if about]


def _swapped(claim: str, window: str, evidence: Evidence) -> str | None:
    """Return the word of a sentence in the passage's wording that stands in the place of another."""
    mine, theirs = (_TOKEN.findall(in_digits(text).translate(_SAME)) for text in (claim, window))
    own, other = [token.lower() for token in mine], [token.lower() for token in theirs]
    matcher = SequenceMatcher(None, other, own, autojunk=False)
    blocks = matcher.get_opcodes()
    same = sum(j2 - j1 for tag, _, _, j1, j2 in blocks if tag == "equal")
    if not own or same / len(own) < _NEAR_VERBATIM:
        return None
    changes = [block for block in blocks if block[0] == "replace"]
    if len(changes) > _MOST_CHANGES:
        return None
    alone = len(changes) == 1 and same / len(own) >= _VERBATIM
    for _, i1, i2, j1, j2 in changes:
        if i2 - i1 > _LONGEST_CHANGE or j2 - j1 > _LONGEST_CHANGE:
            continue
        said, stands = ([token for token in tokens if not _light(token)] for tokens in (mine[j1:j2], theirs[i1:i2]))
        if said and stands and _is_swap(said, stands, evidence, alone=alone, initial=j1 == 0):
            return ("" if _HAN.search(said[0]) else " ").join(said)
    return None


def _is_swap(said: list[str], stands: list[str], evidence: Evidence, *, alone: bool, initial: bool) -> bool:
    """Say whether other words changed what is said: a number, a unit, a name, something else of the passage."""
    counts = [{token for token in tokens if token[0].isdigit()} for tokens in (said, stands)]
    if all(counts):
        return not counts[0] & counts[1]
    if any(counts):
        return False  # one of the two says it without the number, which was looked for already
    if _HAN.search(said[0]) and _HAN.search(stands[0]):
        return alone or "".join(said) in evidence.text or len(said) == len(stands)
    stems = [{_stem(token.lower()) for token in tokens} for tokens in (said, stands)]
    if stems[0] & stems[1] or said[0][:4].lower() == stands[0][:4].lower():
        return False
    named = all(any(token[:1].isupper() for token in tokens) for tokens in (said, stands))
    units = all({token.lower() for token in tokens} & _UNITS for tokens in (said, stands))
    known = lexical_form(" ".join(said)) in evidence.lexical
    return units or known or (named and not initial) or (alone and len(said) == len(stands) == 1)


def _tokens(text: str) -> list[str]:
    return [_stem(token.lower()) for token in _TOKEN.findall(in_digits(text))]


def _stem(token: str) -> str:
    if not token.isascii() or len(token) < 5:
        return token
    for ending in ("ing", "ed", "es", "s", "e"):
        if token.endswith(ending) and len(token) - len(ending) >= 4:
            return token[: -len(ending)]
    return token


def _light(token: str) -> bool:
    return token.lower() in _LIGHT or token in _LIGHT_HANZI


def _squeezed(text: str) -> str:
    folded = "".join(normalised(text).casefold().split())
    return folded.translate(_PLAIN_MARKS)


def _is_chinese(text: str) -> bool:
    hanzi = len(_HAN.findall(text))
    return hanzi * 2 > len(re.findall(r"[A-Za-z]{2,}", text)) and hanzi > 0
