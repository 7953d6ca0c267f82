"""Finding an exact text in a document: every place where it stands, verbatim, with its page and boxes."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import islice, pairwise

from pincite.document import Box, Page
from pincite.document_codec import StoredDocument
from pincite.errors import InvalidRequest
from pincite.positions import boxes
from pincite.sections import section_path

MAX_WANTED = 1000
CONTEXT = 80
# From the CJK radicals on: no spaces between words, so that a line may end between any two characters.
_WIDE = "\u2e80"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One place of the text: `text[start:end]` of the document, `context` with some characters around it.

    `page` is the 1-based physical page on which it begins; it is None, and `pages` and `boxes` are empty, for a format
    without pages.
    """

    start: int
    end: int
    text: str
    context: str
    section: str
    page: int | None
    page_label: str | None
    pages: tuple[int, ...]
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Some places of a text in the order of the document; `total` counts those of the whole document."""

    found: tuple[Occurrence, ...]
    total: int


def find(stored: StoredDocument, wanted: str, *, skip: int = 0, limit: int = 100) -> Occurrences:
    """Find the places where `wanted` stands, case and all; only where lines end may the white space differ.

    Returns at most `limit` of them, without the first `skip`.

    Raises:
        InvalidRequest: nothing is wanted, or too much.
    """
    pattern = _pattern(wanted)
    text = stored.text
    spans = [found.span() for found in pattern.finditer(text)]
    return Occurrences(tuple(_occurrence(stored, *span) for span in islice(spans, skip, skip + limit)), len(spans))


def pages_between(stored: StoredDocument, start: int, end: int) -> list[Page]:
    """Return the pages that a range of the text touches; page numbers count from 1 without gaps."""
    if not stored.page_count:
        return []
    numbers = range(1, stored.page_count + 1)
    first = max(bisect_right(numbers, start, key=lambda number: stored.page(number).start), 1)
    pages: list[Page] = []
    for number in numbers[first - 1 :]:
        page = stored.page(number)
        if page.start >= end and pages:
            break
        pages.append(page)
    return pages


def _pattern(wanted: str) -> re.Pattern[str]:
    words = wanted.split()
    if not words:
        raise InvalidRequest("There is no text to find; send the exact words.")
    if len(wanted) > MAX_WANTED:
        raise InvalidRequest(f"A text to find has at most {MAX_WANTED} characters; send its beginning.")
    return re.compile(r"\s+".join(map(_word, words)))


def _word(word: str) -> str:
    parts = [re.escape(word[0])]
    for before, after in pairwise(word):
        parts.append((r"\s*" if before >= _WIDE and after >= _WIDE else "") + re.escape(after))
    return "".join(parts)


def _occurrence(stored: StoredDocument, start: int, end: int) -> Occurrence:
    text, pages = stored.text, pages_between(stored, start, end)
    return Occurrence(
        start=start,
        end=end,
        text=text[start:end],
        context=" ".join(text[max(start - CONTEXT, 0) : end + CONTEXT].split()),
        section=section_path(stored.sections, start),
        page=pages[0].number if pages else None,
        page_label=pages[0].label if pages else None,
        pages=tuple(page.number for page in pages),
        boxes=tuple(box for page in pages for box in boxes(page, start, end)),
    )
