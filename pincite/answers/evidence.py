"""A passage and a sentence, each read once: sentences, words and amounts, ready to be held against each other."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pincite.answers.amounts import Amount, Date, amounts, dates
from pincite.answers.facts import normalised, numbers
from pincite.answers.loose_numbers import loose_values
from pincite.lexical import Term, lexical_form, question_terms
from pincite.passage import Passage
from pincite.sentences import sentences

_HAN = re.compile(r"[\u3400-\u9fff]")
_PLAIN_MARKS = str.maketrans("“”‘’–—", "\"\"''--")


@dataclass(frozen=True, slots=True)
class Part:
    """A sentence of the passage: its range, its normalised text, its words, its amounts."""

    start: int
    end: int
    text: str
    lexical: str
    amounts: tuple[Amount, ...]
    values: frozenset[float]


class Evidence:
    """A passage made ready to check sentences against; `number` is its 1-based place among those found."""

    def __init__(self, number: int, passage: Passage) -> None:
        self.number = number
        self._passage = passage

    @cached_property
    def parts(self) -> list[Part]:
        """The sentences of the passage."""
        text = self._passage.text
        parts = []
        for start, end in sentences(text):
            part = normalised(text[start:end])
            found = tuple(amounts(part))
            parts.append(Part(start, end, part, lexical_form(part), found, frozenset(a.value for a in found)))
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
        return squeezed(self.text)

    @cached_property
    def values(self) -> frozenset[float]:
        """The numbers of the text."""
        passage = self._passage
        above = numbers(normalised(f"{passage.document.title}\n{passage.section}\n{passage.table_header}"))
        return frozenset(number.value for number in above).union(*(part.values for part in self.parts))

    @cached_property
    def loose_values(self) -> frozenset[float]:
        """The numbers of the text, and those that a translator may read in its words."""
        return self.values | loose_values(self.text)

    @cached_property
    def amounts(self) -> list[Amount]:
        """The amounts of the passage."""
        return [amount for part in self.parts for amount in part.amounts]

    @cached_property
    def dates(self) -> set[Date]:
        """The dates of the text."""
        return dates(self.text)

    @cached_property
    def is_chinese(self) -> bool:
        """Whether the passage is mostly Chinese."""
        return is_chinese(self.text)


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence to check: its normalised text, its words without the numbers, its amounts."""

    text: str
    terms: tuple[Term, ...]
    amounts: Sequence[Amount]

    @classmethod
    def of(cls, sentence: str) -> "Claim":
        """Return the sentence ready to be checked."""
        text = normalised(sentence)
        found = amounts(text)
        return cls(text, question_terms(without(text, found)), found)


def without(text: str, found: Sequence[Amount]) -> str:
    """Return a normalised text without its numbers."""
    parts, done = [], 0
    for amount in found:
        parts.append(text[done : amount.start])
        done = max(done, amount.end)
    return " ".join([*parts, text[done:]])


def squeezed(text: str) -> str:
    """Return the text as quotes are compared: without white space, case, and kinds of quotation marks and dashes."""
    folded = "".join(normalised(text).casefold().split())
    return folded.translate(_PLAIN_MARKS)


def is_chinese(text: str) -> bool:
    """Say whether a text is mostly Chinese."""
    hanzi = len(_HAN.findall(text))
    return hanzi * 2 > len(re.findall(r"[A-Za-z]{2,}", text)) and hanzi > 0
