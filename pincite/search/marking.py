"""What to mark in a passage: the question's words, and the sentence closest to its meaning."""

import unicodedata
from collections.abc import Iterator, Sequence

from pincite.passage import Mark
from pincite.search.ranking import WeightedTerm
from pincite.sentences import sentences

# Words rarer than this are worth the eye; "the" is not.
_LIGHTEST = 0.25
# Characters whose folded form is remembered.
_MOST_FOLDED = 65_536


def marks(text: str, terms: Sequence[WeightedTerm], window: tuple[int, int]) -> tuple[Mark, ...]:
    """Return the marks of a passage's text, in order; `window` is its best window, a range of `text`.

    Where the window holds several sentences and one has more of the question's words, that one is marked.
    """
    found = sorted(_terms(text, [weighted for weighted in terms if weighted.weight >= _LIGHTEST]))
    best = max(sentences(text, *window), key=lambda span: _held(span, found), default=window)
    if _held(best, found) == 0:
        best = window
    chosen = [Mark(start, end, "term") for start, end in _joined(found)]
    return tuple(sorted([*chosen, Mark(*best, "sentence")], key=lambda mark: (mark.start, -mark.end)))


def _held(span: tuple[int, int], found: Sequence[tuple[int, int]]) -> int:
    return sum(end - start for start, end in found if span[0] <= start and end <= span[1])


def _terms(text: str, terms: Sequence[WeightedTerm]) -> Iterator[tuple[int, int]]:
    folded, places = _folded(text)
    for weighted in terms:
        needle = weighted.term.needle
        word = needle.strip()
        whole = needle != word
        start = folded.find(word)
        while start >= 0:
            end = start + len(word)
            if not whole or (_boundary(folded, start) and _boundary(folded, end)):
                yield places[start], places[end - 1] + 1
            start = folded.find(word, end)


def _boundary(text: str, position: int) -> bool:
    """Whether a word ends between the two characters at this position."""
    if position in (0, len(text)):
        return True
    before, after = text[position - 1], text[position]
    return not (before.isalnum() and after.isalnum() and before.isascii() == after.isascii())


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """Return the text as terms are compared, and for each of its characters the place of the original one."""
    folded = text.casefold() if text.isascii() else text.translate(_FOLDED)
    if len(folded) == len(text):
        return folded, range(len(text))  # as no character becomes nothing, each became one
    return folded, [place for place, character in enumerate(text) for _ in character.translate(_FOLDED)]


class _Folded(dict[int, str]):
    """Characters as they are compared, by code point, as far as they were asked for."""

    def __missing__(self, code: int) -> str:
        folded = unicodedata.normalize("NFKC", chr(code)).casefold()
        if len(self) < _MOST_FOLDED:
            self[code] = folded
        return folded


_FOLDED = _Folded()


def _joined(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the ranges, those that touch or overlap as one."""
    pending: tuple[int, int] | None = None
    for start, end in spans:
        if pending and start <= pending[1]:
            pending = (pending[0], max(pending[1], end))
        else:
            if pending:
                yield pending
            pending = (start, end)
    if pending:
        yield pending
