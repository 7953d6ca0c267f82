"""Numbers of a sentence against those of its passage: whether they are there, and of the same thing, unit and bound."""

import re
from collections.abc import Iterator, Sequence

from pincite.answers.amounts import Amount, dates, fits
from pincite.answers.evidence import Claim, Evidence, Part
from pincite.answers.tokens import content

# The share of a sentence's words that stand beside a number that is said of the same.
_ABOUT = 0.2
# A number has another one's company if the words around it stand around the other: this share of them, and so much
# more than around the number itself.
_COMPANY = 0.6
_CLOSER = 0.4
_FEWEST_WORDS = 3
# Words on each side of a number that are its company, where its clause has fewer.
_BESIDE = 6
_CLAUSE = re.compile(r"[,;:，；：、。](?!\d)|\b(?:and|but|or|while)\b")


def wrong_amount(claim: Claim, evidence: Evidence, window: Sequence[Part], *, across: bool) -> str | None:
    """Return a number of the sentence that the passage does not have, or has of something else; None if all are right.

    `window` are the sentences of the passage closest to it; `across` says that the two are in different languages.
    """
    for amount in claim.amounts:
        written = claim.text[amount.start : amount.end]
        # In Chinese what is counted in a unit has a number; elsewhere a translator may read one in other words.
        loose = across and not (amount.unit and evidence.is_chinese)
        if amount.value not in (evidence.loose_values if loose else evidence.values):
            return written
        if _other_unit(amount, evidence):
            return claim.text[amount.start : amount.end + 12]
        if _other_bound(amount, evidence, window, across=across):
            return claim.text[max(0, amount.start - 12) : amount.end]
        if not across and (_said_elsewhere(amount, claim, evidence, window) or _of_another(amount, claim, window)):
            return written
    return _other_date(claim, evidence)


def _other_unit(amount: Amount, evidence: Evidence) -> bool:
    units = {other.unit for other in evidence.amounts if other.value == amount.value}
    return amount.unit is not None and bool(units) and None not in units and amount.unit not in units


def _other_bound(amount: Amount, evidence: Evidence, window: Sequence[Part], *, across: bool) -> bool:
    near = evidence.amounts if across else [other for part in window for other in part.amounts]
    bounds = {other.bound for other in near if other.value == amount.value and other.unit in (amount.unit, None)}
    return amount.bound is not None and bool(bounds) and None not in bounds and amount.bound not in bounds


def _other_date(claim: Claim, evidence: Evidence) -> str | None:
    for date in dates(claim.text):
        others = evidence.dates
        if date[0] is not None and others and not any(fits(date, other) for other in others):
            return "-".join(str(part) for part in date if part is not None)
    return None


def _said_elsewhere(amount: Amount, claim: Claim, evidence: Evidence, window: Sequence[Part]) -> bool:
    """Say whether the passage has the number only in sentences that share next to no word with this one."""
    about = [part for part in evidence.parts if amount.value in part.values]
    if any(amount.value in part.values for part in window) or not about:
        return False
    shared = max(sum(bool(term.found_in(part.lexical)) for term in claim.terms) for part in about)
    return shared < _ABOUT * len(claim.terms)


def _of_another(amount: Amount, claim: Claim, window: Sequence[Part]) -> bool:
    """Say whether the words around the number stand around another one of its kind, and not around it."""
    wanted = set(_clause(claim.text, amount))
    if len(wanted) < _FEWEST_WORDS:
        return False
    own, other = 0.0, 0.0
    for part in window:
        for beside in part.amounts:
            share = len(wanted & set(_company(part.text, beside))) / len(wanted)
            if beside.value == amount.value:
                own = max(own, share)
            elif beside.unit == amount.unit:
                other = max(other, share)
    return other >= _COMPANY and other - own >= _CLOSER


def _clause(text: str, amount: Amount) -> list[str]:
    before = _CLAUSE.split(text[: amount.start])[-1]
    after = _CLAUSE.split(text[amount.end :])[0]
    return [*content(before), *content(after)]


def _company(text: str, amount: Amount) -> Iterator[str]:
    yield from content(text[: amount.start])[-_BESIDE:]
    yield from content(text[amount.end :])[:_BESIDE]
    yield from _clause(text, amount)
