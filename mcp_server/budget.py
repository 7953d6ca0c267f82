"""How much fits into one tool result, and the cursor with which an agent asks for the rest."""

import base64
import hashlib
import json
import re
from typing import ClassVar

from pincite.errors import InvalidRequest
from pincite.sentences import sentences

WIDE = re.compile(r"[\u2e80-\U0010ffff]+")  # from the CJK radicals on, a character is about a token
NARROW_CHARACTERS_PER_TOKEN = 3.2  # English prose has about 4, addresses, numbers and JSON have fewer
# How far back from the limit the end of a sentence is looked for, and how far beyond it one is read to know its end.
SENTENCE_WINDOW = 2_000
BEYOND = 400


class InvalidCursor(InvalidRequest):
    code: ClassVar[str] = "invalid_cursor"


def estimated_tokens(text: str) -> int:
    """Return about how many tokens `text` is for a language model, rather too many than too few."""
    wide = 0 if text.isascii() else sum(map(len, WIDE.findall(text)))
    return wide + round((len(text) - wide) / NARROW_CHARACTERS_PER_TOKEN)


def head(text: str, tokens: int) -> str:
    """Return the longest beginning of `text` within `tokens` that ends with a sentence, or at least with a word."""
    possible = text[: int(tokens * NARROW_CHARACTERS_PER_TOKEN) + 4]
    if len(possible) == len(text) and estimated_tokens(text) <= tokens:
        return text
    low, high = 0, len(possible)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if estimated_tokens(text[:middle]) <= tokens else (low, middle - 1)
    begin = max(low - SENTENCE_WINDOW, 0)
    starts = [start for start, _ in sentences(text, begin, low + BEYOND) if begin < start <= low]
    if starts:  # up to where the next sentence starts, so that the pieces of a text are all of it
        return text[: starts[-1]]
    gap = max(text.rfind(" ", 0, low), text.rfind("\n", 0, low))
    return text[: gap + 1] if gap > low - 200 and gap > 0 else text[:low]


def make_cursor(offset: int, scope: str) -> str:
    """Return the cursor that continues the result of `scope`, what was asked, at `offset`."""
    return base64.urlsafe_b64encode(json.dumps([offset, _digest(scope)]).encode()).decode()


def open_cursor(cursor: str | None, scope: str) -> int:
    """Return the offset a cursor continues at; without one, the beginning.

    Raises:
        InvalidCursor: it is not one of ours, or belongs to something else that was asked.
    """
    if cursor is None:
        return 0
    try:
        offset, digest = json.loads(base64.urlsafe_b64decode(cursor))
        if digest == _digest(scope) and isinstance(offset, int) and offset >= 0:
            return offset
    except (ValueError, TypeError):
        pass
    raise InvalidCursor("This cursor does not belong to this call; repeat the call without a cursor.")


def _digest(scope: str) -> str:
    return hashlib.sha256(scope.encode()).hexdigest()[:12]
