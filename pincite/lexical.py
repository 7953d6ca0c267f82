"""Words as they are compared: the form of a text in which a term is found by looking for it.

Both sides pass through `lexical_form`: compatibility characters and letter case unified, everything that is neither a
letter nor a digit a single space, a space at both ends. A word then is found as " word ", the beginning of one as
" word", and a run of Hanzi or kana, which knows no spaces, by its bigrams.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# Letters, digits and the marks that belong to letters (Arabic, Hindi and Thai vowels) stay.
_NOT_WORD = re.compile(r"[^\w\u0300-\u036f\u0590-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0dff\u0e31-\u0e4e]+|_")
_NO_SPACES = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNSPACED_RUN = re.compile(f"[{_NO_SPACES}]+")
# Where a word of one kind touches one of the other ("2024年", "API密钥"), they are two words.
_SEAM = re.compile(f"(?<=[{_NO_SPACES}])(?=[^{_NO_SPACES}\\s])|(?<=[^{_NO_SPACES}\\s])(?=[{_NO_SPACES}])")

# What a question says without asking for it: question words, auxiliaries, articles.
_EMPTY_WORDS = frozenset(
    word
    for words in (
        "a an the this that these those there their they it its we our i you your me us",
        "and or if of in on at by for from to under with about as any many much",
        "am is are was were be been can could did do does had has have may must shall should will would",
        "how what when where which who whom whose why please tell s t",
    )
    for word in words.split()
)
_EMPTY_PHRASES = re.compile(
    "是什么|什么时候|什么|哪一个|哪一年|哪一|哪些|哪个|哪位|哪里|哪儿|哪年|哪|谁|如何|怎么样|怎样|怎么|为什么|为何|何时|何地|何处|何人|"
    "多少|多久|多长|几个|请问|是否|能否|可否|请说明|根据|关于|吗|呢|的|了|為什麼|什麼|哪裡|哪個|誰|怎麼|嗎|時候"
)
# Endings that rarely change what an English word means; the stem must keep this many letters.
_ENDINGS = (
    "ations",
    "ation",
    "ments",
    "ment",
    "ings",
    "ing",
    "ied",
    "ies",
    "ers",
    "ed",
    "es",
    "er",
    "ly",
    "s",
    "e",
    "y",
)
_SHORTEST_STEM = 4
# What a word of a term's stem counts for of the term.
STEM_SHARE = 0.8


# A name run together ("VerizonAbsLlc", "KINGPHARMACEUTICALSINC") is at least this long.
_RUN_TOGETHER = 12
_JOINT = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LONG_WORD = re.compile(rf"[A-Za-z]{{{_RUN_TOGETHER},}}")
# Title page or letterhead: where a document says what it is and whose.
_BEGINNING = 300


@dataclass(frozen=True, slots=True)
class Term:
    """Something a question names; `needle` is what to look for in a lexical form, `loose` a weaker trace or empty."""

    needle: str
    loose: str

    def found_in(self, lexical: str) -> float:
        """Return 1 where the term stands, STEM_SHARE where a word of its stem does, else 0."""
        if self.needle in lexical:
            return 1.0
        return STEM_SHARE if self.loose and self.loose in lexical else 0.0

    def names(self, naming: str) -> float:
        """Return 1 where a document's naming form holds the term, also written apart; else as `found_in`."""
        word = self.needle.strip()
        if len(word) >= _RUN_TOGETHER and word in naming.replace(" ", ""):
            return 1.0
        return self.found_in(naming)


def lexical_form(text: str) -> str:
    """Return the text in the form in which terms are looked for."""
    spaced = _NOT_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold())
    return f" {(spaced if spaced.isascii() else _SEAM.sub(' ', spaced)).strip()} "


class Sample:
    """Some lexical forms, and in how many of them a question's term stands."""

    def __init__(self, forms: Iterable[str]) -> None:
        self.size = 0
        frequencies: Counter[str] = Counter()
        for form in forms:
            self.size += 1
            runs = _UNSPACED_RUN.findall(form)
            pairs = {pair for run in runs for pair in map(str.__add__, run, run[1:])}
            frequencies.update(pairs.union(*runs, (f" {word} " for word in form.split())))
        # By hash, a tenth of what the needles themselves take: 512 Chinese passages hold 70,000 different ones.
        hashes = np.fromiter(map(hash, frequencies), np.int64, len(frequencies))
        order = np.argsort(hashes)
        self._hashes = hashes[order]
        self._frequencies = np.fromiter(frequencies.values(), np.int32, len(frequencies))[order]

    def frequency(self, term: Term) -> int:
        """Return the number of forms that hold the term."""
        wanted = hash(term.needle)
        place = int(np.searchsorted(self._hashes, wanted))
        there = place < len(self._hashes) and self._hashes[place] == wanted
        return int(self._frequencies[place]) if there else 0


def naming_form(path: str, title: str, beginning: str) -> str:
    """Return what a document is called, as words are looked for: its path, its title and its first words."""
    return lexical_form(f"{_separated(path)} {_separated(title)} {beginning[:_BEGINNING]}")


def question_terms(question: str) -> tuple[Term, ...]:
    """Return what the question names, each term once, in order; empty for a question of empty words only."""
    lexical = lexical_form(_separated(question))
    terms: dict[str, Term] = {}
    for word in _UNSPACED_RUN.sub(lambda run: f" {_EMPTY_PHRASES.sub(' ', run[0])} ", lexical).split():
        if _UNSPACED_RUN.match(word):
            for i in range(max(1, len(word) - 1)):
                terms.setdefault(word[i : i + 2], Term(word[i : i + 2], ""))
        elif word not in _EMPTY_WORDS:
            terms.setdefault(word, Term(f" {word} ", _stem(word)))
    return tuple(terms.values())


def _stem(word: str) -> str:
    if not word.isascii() or not word.isalpha():
        return ""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return f" {word[: -len(ending)]}"
    return f" {word}" if len(word) > _SHORTEST_STEM else ""


def _separated(text: str) -> str:
    """Return the text with the parts of long run-together names apart; "JavaScript" stays one word."""
    return _LONG_WORD.sub(lambda word: _JOINT.sub(" ", word[0]), text)
