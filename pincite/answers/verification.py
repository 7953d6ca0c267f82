"""Whether a passage supports a sentence: cheap checks that read both, without a model.

A sentence is held against the part of the passage that shares most of its words. It fails by what it says and the
passage does not: a quote that is not there, a number or a name, a negation added or lost, one word in the place of
another, or simply too few common words. docs/decisions/0010-verification.md says what was measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pincite.answers.answer import Quote
from pincite.answers.contradictions import Wording, exchanged, foreign_name, negated, swapped
from pincite.answers.evidence import Claim, Evidence, Part, is_chinese, squeezed
from pincite.answers.facts import quotations
from pincite.answers.opposites import opposed
from pincite.answers.quantities import wrong_amount

Problem = Literal["quote", "number", "name", "negation", "swapped", "words"]

# The share of a sentence's words that the passage must hold. Sentences of other passages of the same document rarely
# reach a third, retold ones rarely fall below half.
ENOUGH_WORDS = 0.5
# With this share of its words in the passage, a sentence that may where the passage must is no retelling.
_CLOSE = 0.7


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


def check(sentence: str, evidence: Evidence) -> Verdict:
    """Return whether the passage supports the sentence, which is without its citation marks."""
    return _check(Claim.of(sentence), evidence)


def check_all(sentence: str, evidence: Sequence[Evidence]) -> list[Verdict]:
    """Return the verdict of each passage."""
    claim = Claim.of(sentence)
    return [_check(claim, each) for each in evidence]


def in_another_language(sentence: str, evidence: Evidence) -> bool:
    """Say whether the sentence and the passage cannot share words, one being Chinese and the other not."""
    return is_chinese(sentence) != evidence.is_chinese


def _check(claim: Claim, evidence: Evidence) -> Verdict:
    first, last, share = _window(claim, evidence)
    window = evidence.parts[first : last + 1]
    quote = Quote(evidence.number, window[0].start, window[-1].end) if window else None
    if squeezed(claim.text).rstrip(".;。；") in evidence.squeezed:
        return Verdict(quote, 1.0)
    if missing := next((words for words in quotations(claim.text) if squeezed(words) not in evidence.squeezed), None):
        return Verdict(quote, share, "quote", missing)
    across = in_another_language(claim.text, evidence)
    if not across and share < ENOUGH_WORDS:
        return Verdict(quote, share, "words")
    problem, about = _contradiction(claim, evidence, window, share, across=across)
    return Verdict(quote, share, problem, about)


def _contradiction(
    claim: Claim, evidence: Evidence, window: Sequence[Part], share: float, *, across: bool
) -> tuple[Problem | None, str]:
    """Return what the sentence says and the passage does not, and the words it is about."""
    if across:  # the place in the passage is known by the numbers alone
        values = {amount.value for amount in claim.amounts}
        window = [part for part in evidence.parts if part.values & values]
    words = " ".join(part.text for part in window)
    wording = Wording(claim.text, words)
    checks: list[tuple[Problem, str | None]] = [
        ("negation", None if across else negated(claim.text, words, wording)),
        ("number", wrong_amount(claim, evidence, window, across=across)),
        ("name", foreign_name(claim, evidence, across=across)),
        ("swapped", opposed(claim.text, words, duties=not across and share >= _CLOSE)),
        ("swapped", None if across else swapped(wording, evidence) or exchanged(claim, window, evidence)),
    ]
    return next(((problem, about) for problem, about in checks if about), (None, ""))


def _window(claim: Claim, evidence: Evidence) -> tuple[int, int, float]:
    """Return the first and the last sentence that together hold most of the claim's words, and the share of them."""
    terms, parts = claim.terms, evidence.parts
    values = sorted({amount.value for amount in claim.amounts})
    all_ = len(terms) + len(values)
    if not all_ or not parts:
        return 0, 0, 1.0 if not all_ else 0.0
    known = [
        (place, term.needle, term.loose or term.needle)
        for place, term in enumerate(terms)
        if term.found_in(evidence.lexical)
    ]
    # A number counts as a word, however it is written.
    numbered = [(len(terms) + place, value) for place, value in enumerate(values) if value in evidence.values]
    held = [
        {place for place, needle, loose in known if needle in part.lexical or loose in part.lexical}
        | {place for place, value in numbered if value in part.values}
        for part in parts
    ]
    best = max(range(len(held)), key=lambda place: (len(held[place]), -place))
    first = last = best
    together = set(held[best])
    for place in (best + 1, best - 1):
        if 0 <= place < len(held) and len(held[place] - together) >= max(2, 0.15 * all_):
            together |= held[place]
            first, last = min(first, place), max(last, place)
    # What stands elsewhere in the passage counts too, but a sentence should have one place that says most of it.
    return first, last, (0.7 * len(together) + 0.3 * (len(known) + len(numbered))) / all_
