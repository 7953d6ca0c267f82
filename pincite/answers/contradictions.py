"""What a sentence says against its passage: a name it does not have, a negation, another word, a part exchanged."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from itertools import pairwise

from pincite.answers.evidence import Claim, Evidence, Part, is_chinese
from pincite.answers.facts import conditional, negations, numbers
from pincite.answers.tokens import content, has_hanzi, is_light, stem, tokens, words
from pincite.lexical import lexical_form

# How a range of the passage's words becomes one of the sentence's.
Block = tuple[str, int, int, int, int]

# A sentence with this share of its words in one place of the passage is its wording: another word in it is a change.
_NEAR_VERBATIM = 0.7
_VERBATIM = 0.85
_MOST_CHANGES = 2
_LONGEST_CHANGE = 10
# Words around a negation that tell what it is about.
_CONTEXT = 3
_LONGEST_CLAUSE = 80
# Two negations are the same one where this share of what one is about stands in the other's clause.
_SAME_DENIED = 0.5
_CLAUSE = re.compile(r"[,;:，；：。]|\b(?:and|but|or|because|unless|if|when)\b")
_UNIT_WORDS = "day days week weeks month months quarter quarters year years hour hours minute minutes second seconds"
_UNITS = frozenset(_UNIT_WORDS.split())
_ONLY = re.compile(r"\bonly\b|方可|才能|才可")
_CONDITION = re.compile(r"\b(?:without|unless|except)\b|未经|除非", re.IGNORECASE)
_NAME = re.compile(r"(?<![.!?:;“\"'‘(]\s)(?<!^)\b(?:[A-Z][\w&-]*[A-Za-z0-9]|[A-Z]{2,})\b")
_LATIN = re.compile(r"[A-Za-zÀ-ɏ][A-Za-z0-9À-ɏ&+-]*[A-Za-z0-9À-ɏ]")
_ROLES = (
    "buyer seller licensor licensee lessor lessee landlord tenant employer employee customer supplier vendor contractor"
)
_PARTY = re.compile(
    rf"\b(?:[A-Z][\w&-]*(?: [A-Z][\w&-]*)*|{_ROLES.replace(' ', '|')})\b"
    "|[甲乙丙丁][方]|原告|被告|[买卖]方|[出承]租[方人]|[发承]包[方人]|[委受]托[方人]|债[权务]人|用人单位|劳动者|供应商|采购[方人]|被?许可[方人]"
)
# What must be done, and what may: light words, but not in each other's place.
_DUTY = dict.fromkeys(("shall", "must", "应当", "应", "必须", "须"), 1)
_DUTY |= dict.fromkeys(("may", "can", "可以", "可", "有权"), -1)
_SHORT_CHANGE = 3
# Who does and who is done to change places with these.
_PASSIVE = re.compile(r"\bby\b|被|由|受")
_AND = re.compile(r"[,、/]|and|or|和|与|及|或|或者|以及")
_SAME_BETWEEN = 0.5
_FARTHEST = 160
# Characters that say the same of a number.
_SAME = str.maketrans("天号", "日日")


def foreign_name(claim: Claim, evidence: Evidence, *, across: bool) -> str | None:
    """Return a name that the passage does not know: in English by its capitals, in Chinese any Latin word."""
    chinese = is_chinese(claim.text)
    if across and not chinese:
        return None  # the passage has the name in Hanzi
    for found in (_LATIN if chinese else _NAME).finditer(claim.text):
        word = lexical_form(found[0])
        if word.strip() and word not in evidence.lexical and not numbers(found[0]):
            loose = f" {word.strip().rstrip('s')}"
            if loose not in evidence.lexical:
                return found[0]
    return None


def negated(claim: str, window: str, wording: "Wording") -> str | None:
    """Return the words that only one of the two denies."""
    if word := _denied_alone(wording):
        return word
    # Who retells "not without consent" may say that consent is needed, or leave the condition out, but not the denial.
    told_so = bool(conditional(window)) or _ONLY.search(window) is not None
    may_tell = bool(conditional(claim)) or _CONDITION.search(claim) is None
    words, own = ({token for token in tokens(text) if not is_light(token)} for text in (window, claim))
    open_, added = _denied(window), []
    for mine in _denied(claim):
        same = max(open_, key=mine.shares, default=None)
        if same is not None and mine.shares(same) >= _SAME_DENIED:
            open_.remove(same)
        elif not (mine.conditional and told_so):
            added.append(mine.about)
    for about in added:  # denied by the claim alone, in words of the passage
        if sum(token in words for token in about) >= min(2, len(about)):
            return " ".join(about)
    for theirs in open_:  # denied by the passage alone, and said by the claim
        about = theirs.about
        if theirs.conditional and may_tell:
            continue
        if len(about) >= 2 and all(token in own for token in about):
            return " ".join(about)
    return None


@dataclass(frozen=True, slots=True)
class _Denial:
    """A negation: the words next to it, which it is `about`, those of its clause, and whether a condition undoes it."""

    about: list[str]
    clause: frozenset[str]
    conditional: bool

    def shares(self, other: "_Denial") -> float:
        """Return how much of what one of the two is about the other one denies too."""
        if has_hanzi(self.about[0]):
            return len(set(self.about) & set(other.about)) / min(len(self.about), len(other.about))
        shares = ((self.about, other.clause), (other.about, self.clause))
        return max(sum(token in clause for token in about) / len(about) for about, clause in shares)


def _denied(text: str) -> list[_Denial]:
    """Return for each negation the words it is about: those that follow in its clause, or stand before it."""
    found = []
    undone = conditional(text)
    for start, end in negations(text):
        wide = _CONTEXT + 1 if has_hanzi(text[start:end]) else _CONTEXT
        clause = _CLAUSE.split(text[end : end + _LONGEST_CLAUSE])[0]
        after = [token for token in tokens(clause) if not is_light(token)]
        clause = _CLAUSE.split(text[max(0, start - _LONGEST_CLAUSE) : start])[-1]
        before = [token for token in tokens(clause) if not is_light(token)]
        about = after[:wide] if len(after) >= 2 else before[-wide:] + after
        if about:
            within = any(first <= start and end <= last for first, last in undone)
            found.append(_Denial(about, frozenset([*before[-wide:], *after]), within))
    return found


class Wording:
    """A sentence beside the words of its passage: what the two have alike, and where one has something else."""

    def __init__(self, claim: str, window: str) -> None:
        self._texts = (claim, window)

    @cached_property
    def denies(self) -> tuple[bool, bool]:
        """Whether the sentence denies anything, and whether the passage does; bounds such as 不少于 do not."""
        mine, theirs = (bool(negations(text)) for text in self._texts)
        return mine, theirs

    @cached_property
    def words(self) -> tuple[list[str], list[str]]:
        """The words of the sentence and of the passage, as they are written."""
        mine, theirs = (words(text.translate(_SAME)) for text in self._texts)
        return mine, theirs

    @cached_property
    def blocks(self) -> Sequence[Block]:
        """What is alike and what is not, in the order of the sentence."""
        mine, theirs = ([word.lower() for word in each] for each in self.words)
        return SequenceMatcher(None, theirs, mine, autojunk=False).get_opcodes()

    @cached_property
    def alike(self) -> float:
        """The share of the sentence's words that the passage has in the same order."""
        same = sum(j2 - j1 for tag, _, _, j1, j2 in self.blocks if tag == "equal")
        return same / max(1, len(self.words[0]))

    def changes(self, tags: set[str]) -> Iterator[tuple[list[str], list[str], int]]:
        """Yield what the sentence has where the passage has something else: both, and where in the sentence."""
        mine, theirs = self.words
        for tag, i1, i2, j1, j2 in self.blocks:
            if tag in tags:
                yield mine[j1:j2], theirs[i1:i2], j1


def _denied_alone(wording: Wording) -> str | None:
    """Return a negation that a sentence in the passage's wording adds or leaves out, unless a second one undoes it."""
    if wording.alike < _NEAR_VERBATIM:
        return None
    found = []
    for said, stands, _ in wording.changes({"insert", "delete", "replace"}):
        if len(said) + len(stands) <= _SHORT_CHANGE:
            for changed, denies in zip((said, stands), wording.denies, strict=True):
                text = ("" if changed and has_hanzi(changed[0]) else " ").join(changed)
                found += [text[start:end] for start, end in negations(text)] if denies else []
    return found[0] if len(found) % 2 else None


def swapped(wording: Wording, evidence: Evidence) -> str | None:
    """Return the word of a sentence in the passage's wording that stands in the place of another."""
    if wording.alike < _NEAR_VERBATIM:
        return None
    changes = list(wording.changes({"replace"}))
    if len(changes) > _MOST_CHANGES:
        return None
    alone = len(changes) == 1 and wording.alike >= _VERBATIM
    for mine, theirs, place in changes:
        if max(len(mine), len(theirs)) > _LONGEST_CHANGE:
            continue
        duties = [_DUTY.get("".join(each).lower(), 0) for each in (mine, theirs)]
        if duties[0] * duties[1] < 0:
            return "".join(mine)
        said, stands = ([word for word in each if not is_light(word)] for each in (mine, theirs))
        if said and stands and _is_swap(said, stands, evidence, alone=alone, initial=place == 0):
            return ("" if has_hanzi(said[0]) else " ").join(said)
    return None


def _is_swap(said: list[str], stands: list[str], evidence: Evidence, *, alone: bool, initial: bool) -> bool:
    """Say whether other words changed what is said: a number, a unit, a name, something else of the passage."""
    counts = [{word for word in each if word[0].isdigit()} for each in (said, stands)]
    if all(counts):
        return not counts[0] & counts[1]
    if any(counts):
        return False  # one of the two says it without the number, which was looked for already
    if has_hanzi(said[0]) and has_hanzi(stands[0]):
        return alone or "".join(said) in evidence.text or len(said) == len(stands)
    stems = [{stem(word.lower()) for word in each} for each in (said, stands)]
    if stems[0] & stems[1] or said[0][:4].lower() == stands[0][:4].lower():
        return False
    named = all(any(word[:1].isupper() for word in each) for each in (said, stands))
    units = all({word.lower() for word in each} & _UNITS for each in (said, stands))
    known = lexical_form(" ".join(said)) in evidence.lexical
    return units or known or (named and not initial) or (alone and len(said) == len(stands) == 1)


def exchanged(claim: Claim, window: Sequence[Part], evidence: Evidence) -> str | None:
    """Return what stands on the two sides of some words of the claim where the passage has the sides the other way.

    The sides are two parties or names, or the only two amounts of a kind.
    """
    for one, two in _sides(claim):
        between = claim.text[one[1] : two[0]]
        sides = [claim.text[slice(*side)] for side in (one, two)]
        turned = sides[0] != sides[1] and _joined(between, sides[::-1], window) >= _SAME_BETWEEN
        if turned and _joined(between, sides, evidence.parts) == 0:
            return " … ".join(sides)
    return None


def _sides(claim: Claim) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield pairs of ranges: parties or names that follow each other, and the two amounts of a unit that has two."""
    names = [_without_light(claim.text, found) for found in _PARTY.finditer(claim.text)]
    yield from pairwise([name for name in names if name[0] < name[1]])
    for unit in {amount.unit for amount in claim.amounts}:
        alike = [(a.start, a.end) for a in claim.amounts if a.unit == unit]
        if len(alike) == 2:
            yield alike[0], alike[1]


def _without_light(text: str, found: re.Match[str]) -> tuple[int, int]:
    """Return the range of a name without the words in front that are capitals of a sentence's beginning."""
    start = found.start()
    for word in found[0].split(" ")[:-1] if " " in found[0] else [found[0]]:
        if not is_light(word):
            break
        start += len(word) + 1
    return min(start, found.end()), found.end()


def _joined(between: str, sides: Sequence[str], window: Sequence[Part]) -> float:
    """Return how much of what is between the two sides in the claim is between them in the passage, in this order."""
    wanted = content(between)
    if not wanted:  # 原告向被告
        alone = between.strip() and not _AND.fullmatch(between.strip())
        return float(bool(alone) and any(f"{sides[0]}{between}{sides[1]}" in part.text for part in window))
    best = 0.0
    for part in window:
        for found in re.finditer(re.escape(sides[0]), part.text):
            end = part.text.find(sides[1], found.end(), found.end() + _FARTHEST)
            stands = part.text[found.end() : end] if end >= 0 else ""
            if bool(_PASSIVE.search(between)) == bool(_PASSIVE.search(stands)):
                best = max(best, sum(word in content(stands) for word in wanted) / len(wanted))
    return best
