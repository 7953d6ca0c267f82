"""A text that is too long for the model, cut in parts that together are the whole of it."""

import re
from collections.abc import Callable, Iterator, Sequence

CountTokens = Callable[[Sequence[str]], list[int]]

# Characters a token stands for at the most, on the average of a part.
_LONGEST_TOKEN = 16
# Before white space and after the punctuation that ends a clause, tokenizers do not join what stands on both sides.
_BOUNDARY = re.compile(r"(?<=\S)(?=\s)|(?<=[。！？；，、.!?;,\n])(?=\S)")
# Boundaries looked at for one cut, and characters on each side by which one is judged.
_TRIES = 8
_AROUND = 48


def split(text: str, limit: int, count: CountTokens) -> list[str]:
    """Cut a text into parts of at most `limit` tokens; joined they are the text.

    Cuts stand where the parts have the tokens of the whole, if such a place is near. Only a single character may have
    more tokens than the limit.
    """
    parts = []
    start = 0
    while start < len(text):
        stop = _stop(text, start, limit, count)
        parts.append(text[start:stop])
        start = stop
    return parts


def halves(text: str, count: CountTokens) -> tuple[str, str]:
    """Cut a text of two characters or more near its middle."""
    middle = len(text) // 2
    cut = next((place for place in _boundaries(text, middle // 2, middle + 1) if _keeps(text, place, count)), middle)
    return text[:cut], text[cut:]


def _stop(text: str, start: int, limit: int, count: CountTokens) -> int:
    # Never the whole of a text of megabytes, to be counted again and again.
    stop = min(len(text), start + limit * _LONGEST_TOKEN)
    while stop - start > 1 and (tokens := count([text[start:stop]])[0]) > limit:
        stop = start + max(1, int((stop - start) * limit / tokens * 0.97))
    if stop == len(text):
        return stop
    for place in _boundaries(text, start + max(1, (stop - start) // 2), stop):
        if _keeps(text, place, count) and count([text[start:place]])[0] <= limit:
            return place
    return stop


def _boundaries(text: str, start: int, stop: int) -> Iterator[int]:
    """Yield the last places in a range where a cut does no harm, the last one first."""
    # The expression looks one character back, and white space after the range is a boundary too.
    first = max(1, start)
    places = [found.start() for found in _BOUNDARY.finditer(text, first, min(len(text), stop + 1))]
    yield from reversed([place for place in places if first <= place <= stop and place < len(text)][-_TRIES:])


def _keeps(text: str, place: int, count: CountTokens) -> bool:
    """Say whether a cut leaves the tokens around it as they are."""
    left, right = text[max(0, place - _AROUND) : place], text[place : place + _AROUND]
    both, *apart = count([left + right, left, right])
    return both == sum(apart)
