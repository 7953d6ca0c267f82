"""Headings recognised by how they are set: larger or bold type, capitals, or a number in front."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from pincite.document import Section
from pincite.parsing.document_assembly import SetLine
from pincite.parsing.headings import PART_RANK, numbered_heading, reads_like_a_title
from pincite.parsing.paragraphs import Kind
from pincite.parsing.pdf_furniture import is_page_number

MAX_TITLE = 160
_MAX_LINES = 3
_LARGER = 1.12
_MAX_REPEATS = 2
_LIST_LENGTH = 3
_WORDS_OF_A_BODY = 12
_CONTENTS_PAGES = 15
_PARAGRAPH_LENGTH = 50

# Ranks of headings without a number, between those of `numbered_heading`.
_TOP_RANK, _BOLD_OVER_NUMBERS_RANK, _CAPITALS_RANK, _BOLD_RANK, _RUN_IN_RANK = 12, 14, 22, 32, 37
_UNNUMBERED_RANKS = (_TOP_RANK, _BOLD_OVER_NUMBERS_RANK, _CAPITALS_RANK, _BOLD_RANK)

_HAN_OR_KANA = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
# From a title to its page in a table of contents.
_LEADERS = ("....", ". . . . ", "……", "····", "____")
_ENDS_WITH_PAGE = re.compile(r"[\s.…](?:\d{1,4}|[ivxl]{1,6})$")
_JOINING_WORDS = frozenset({"and", "between", "among", "by and between", "by and among", "or", "to", "for"})
_BARE_INTEGER = re.compile(r"(\d{1,2}) ")
_FIRST_INTEGER = re.compile(r"(?:section |article )?(\d{1,2})\b", re.IGNORECASE)
_UNFINISHED = re.compile(r"(?:[;,&/-]|\b(?:and|or|of|the|for|to|in|with))$", re.IGNORECASE)
_COMPANY = re.compile(r"\b(?:inc|llc|ltd|corp|corporation|l\.p|gmbh|s\.a|n\.a|plc|company)\b\.?,?$", re.IGNORECASE)
_NO_HEADING = re.compile(
    r"(?:figure|fig\.|table|source|note|图|表|注)\s?[\d:：]|(?:by|name|date|title|dated|page|re|to|from)\b[:. ]|/s/",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Heading:
    start: int
    end: int
    page: int
    size: float
    title: str = ""
    rank: int = 0
    unfinished: bool = False
    bold: bool = False


def headings_by_type(text: str, lines: Sequence[SetLine]) -> list[Section]:
    """Return the headings that the type and the numbering of the lines show, in order.

    Lines of tables, running headers, tables of contents and lists of short items are no headings. A heading may be run
    into its paragraph ("8.2 Termination. Either party …"); its section then starts with the paragraph.
    """
    if not lines:
        return []
    body = _body_size(lines)
    bold_body = 2 * sum(line.bold_until - line.start for line in lines) > sum(line.end - line.start for line in lines)
    contents = _contents_pages(text, lines)
    found = []
    for block in prose_blocks(lines):
        heading = _heading(text, block, body, bold_body=bold_body)
        # The first line of a filing ("Exhibit 10.1") names all of it.
        if heading is not None and heading.page not in contents and (heading.start or heading.rank != PART_RANK):
            found.append(heading)
    found = _in_sequence(found)
    found = _without_lists(_without_labels(_without_repeats(found), lines), text)
    return _levelled(_with_titles(found, text), body)


def prose_blocks(lines: Iterable[SetLine]) -> Iterator[list[SetLine]]:
    """Yield the lines of each block of running text."""
    block: list[SetLine] = []
    for line in lines:
        if line.opens_block and block:
            yield block
            block = []
        if line.kind is Kind.PROSE:
            block.append(line)
    if block:
        yield block


def _body_size(lines: Sequence[SetLine]) -> float:
    sizes: Counter[float] = Counter()
    for line in lines:
        if line.kind is Kind.PROSE:
            sizes[round(line.size * 2) / 2] += line.end - line.start
    return sizes.most_common(1)[0][0] if sizes else 0.0


def _contents_pages(text: str, lines: Sequence[SetLine]) -> set[int]:
    """Return the pages near the beginning on which most lines end with a page number."""
    ends: Counter[int] = Counter()
    every: Counter[int] = Counter()
    for line in lines:
        if line.page > _CONTENTS_PAGES:
            break
        if line.closes_block and line.kind is not Kind.FURNITURE:
            every[line.page] += 1
            ends[line.page] += _ENDS_WITH_PAGE.search(" " + text[line.start : line.end]) is not None
    return {page for page, count in ends.items() if count >= 5 and count >= 0.5 * every[page]}


def _heading(text: str, block: Sequence[SetLine], body: float, *, bold_body: bool) -> _Heading | None:
    first, last = block[0], block[-1]
    flat = " ".join(text[first.start : min(last.end, first.start + 400)].split())
    if not any(c.isalpha() for c in flat[:60]) or any(dots in flat for dots in _LEADERS) or is_page_number(flat):
        return None
    bold = not bold_body and last.bold_until >= last.end and first.bold_until >= first.end
    place = _Heading(first.start, last.end, first.page, first.size, bold=bold)
    alone = len(block) <= _MAX_LINES and last.end - first.start <= MAX_TITLE and not _ENDS_WITH_PAGE.search(flat)
    larger = first.size >= _LARGER * body
    numbered = numbered_heading(flat, alone=alone, emphasised=bold or larger)
    if numbered is not None:
        title = numbered.title[:MAX_TITLE]
        unfinished = numbered.is_bare or _UNFINISHED.search(title) is not None
        return replace(place, title=title, rank=numbered.rank, unfinished=unfinished)
    if alone:
        return _unnumbered(flat, place, larger=larger)
    if first.start < first.bold_until < first.end and not bold_body:
        return _run_in(text, first, place)
    return None


def _unnumbered(flat: str, place: _Heading, *, larger: bool) -> _Heading | None:
    title = flat.rstrip(": ：")
    if not _may_be_a_title(title, flat):
        return None
    capitals = _is_in_capitals(flat)
    if capitals and not reads_like_a_title(title):
        return None
    if larger or (place.bold and capitals):
        return replace(place, title=title, rank=_TOP_RANK)
    if place.bold and (reads_like_a_title(flat) or len(flat) <= 60):
        return replace(place, title=title, rank=_BOLD_RANK)
    return replace(place, title=title, rank=_CAPITALS_RANK) if capitals and len(flat) <= 80 else None


def _may_be_a_title(title: str, flat: str) -> bool:
    if flat.endswith((".", ",", ";", "，", "。", "；")) or flat[0] in '"“‘' or title.lower() in _JOINING_WORDS:
        return False
    if _NO_HEADING.match(flat) or _COMPANY.search(flat):
        return False
    return sum(map(str.isalpha, flat)) >= max(2, 0.5 * len(flat.replace(" ", "")))


def _run_in(text: str, line: SetLine, place: _Heading) -> _Heading | None:
    """Take the bold beginning of a paragraph for its heading if a full stop or colon closes it."""
    lead = " ".join(text[line.start : line.bold_until].split())
    after = text[line.bold_until : line.bold_until + 1]
    closed = lead.endswith((".", ":", "：", "。")) or after in (".", ":", "：", "。")
    title = lead.rstrip(".:：。 ")
    if not closed or not 3 <= len(title) <= 90 or not reads_like_a_title(title) or _NO_HEADING.match(title):
        return None
    return replace(place, title=title, rank=_RUN_IN_RANK)


def _is_in_capitals(text: str) -> bool:
    if sum(map(str.isupper, text)) < 4:
        return False
    letters = [c for c in text if c.lower() != c.upper()]
    return len(letters) >= 4 and sum(c.isupper() for c in letters) >= 0.9 * len(letters)


def _without_repeats(headings: Sequence[_Heading]) -> list[_Heading]:
    """Leave out what stands again and again: running headers and the labels of forms."""
    times = Counter(h.title.casefold() for h in headings)
    return [h for h in headings if times[h.title.casefold()] <= _MAX_REPEATS]


def _in_sequence(headings: Sequence[_Heading]) -> list[_Heading]:
    """Leave out a bare number that does not go on counting, such as the number of a house."""
    kept = []
    seen = {0}
    for heading in headings:
        bare = _BARE_INTEGER.match(heading.title)
        if bare is not None and not seen & {int(bare[1]) - 1, int(bare[1])}:
            continue
        first = _FIRST_INTEGER.match(heading.title)
        if first is not None:
            seen.add(int(first[1]))
        kept.append(heading)
    return kept


def _without_labels(headings: Sequence[_Heading], lines: Sequence[SetLine]) -> list[_Heading]:
    """Leave out what has no number and stands over no text: the labels in figures."""
    titles = {h.start for h in headings}
    starts = [line.start for line in lines]
    kept = []
    for heading in headings:
        if heading.rank in _UNNUMBERED_RANKS and not _stands_over_text(heading, titles, lines, starts):
            continue
        kept.append(heading)
    return kept


def _stands_over_text(heading: _Heading, titles: set[int], lines: Sequence[SetLine], starts: Sequence[int]) -> bool:
    """Say whether, other headings aside, a paragraph or a table comes next."""
    at = bisect_left(starts, heading.end)
    block_start = -1
    for line in lines[at : at + 24]:
        if line.opens_block:
            block_start = line.start
        if line.kind in (Kind.FURNITURE, Kind.ASIDE) or block_start in titles:
            continue
        if line.kind is Kind.TABLE_ROW or line.end - block_start >= _PARAGRAPH_LENGTH:
            return True
        if line.closes_block:
            return False
    return False


def _without_lists(headings: Sequence[_Heading], text: str) -> list[_Heading]:
    """Leave out runs of headings with nothing between them, which are lists."""
    kept: list[_Heading] = []
    run: list[_Heading] = []

    def close() -> None:
        ranks = Counter(h.rank for h in run)
        kept.extend(h for h in run if ranks[h.rank] < _LIST_LENGTH)
        run.clear()

    for heading in headings:
        if run and _word_count(text[run[-1].start + len(run[-1].title) : heading.start]) > _WORDS_OF_A_BODY:
            close()
        run.append(heading)
    close()
    return kept


def _word_count(text: str) -> int:
    """Return about how many words `text` has; those of Chinese and Japanese, unspaced, have about two characters."""
    return len(text.split()) + len(_HAN_OR_KANA.findall(text)) // 2


def _with_titles(headings: Sequence[_Heading], text: str) -> list[_Heading]:
    """Join a label ("ARTICLE V") or an unfinished title with the unnumbered heading right below it."""
    joined: list[_Heading] = []
    for heading in headings:
        last = joined[-1] if joined else None
        if (
            last is not None
            and heading.rank in _UNNUMBERED_RANKS
            and not text[last.end : heading.start].strip()
            and (_goes_on(last) or (last.rank == heading.rank == _TOP_RANK and last.size == heading.size))
        ):
            title = f"{last.title} {heading.title}"[:MAX_TITLE]
            unfinished = _UNFINISHED.search(title) is not None
            joined[-1] = replace(last, end=heading.end, title=title, unfinished=unfinished)
        else:
            joined.append(heading)
    return joined


def _goes_on(heading: _Heading) -> bool:
    return heading.unfinished or (heading.rank in _UNNUMBERED_RANKS and _UNFINISHED.search(heading.title) is not None)


def _levelled(headings: Sequence[_Heading], body: float) -> list[Section]:
    """Nest by size first, where type is larger than the body's, then by the scheme of numbering.

    Headings of one scheme share the size that most of them have.
    """
    numbered = [h for h in headings if h.rank not in _UNNUMBERED_RANKS and h.rank != _RUN_IN_RANK]
    bold_numbers = 2 * sum(h.bold for h in numbered) > len(numbered)
    sizes = {rank: median(_excess(h, body) for h in numbered if h.rank == rank) for rank in {h.rank for h in numbered}}
    sections: list[Section] = []
    stack: list[tuple[float, int]] = []
    for heading in headings:
        larger = sizes.get(heading.rank, _excess(heading, body))
        rank = heading.rank
        if rank == _BOLD_RANK and not bold_numbers:
            rank = _BOLD_OVER_NUMBERS_RANK
        while stack and stack[-1] >= (-larger, rank):
            stack.pop()
        stack.append((-larger, rank))
        sections.append(Section(heading.start, len(stack), heading.title))
    return sections


def _excess(heading: _Heading, body: float) -> float:
    """The heading's size to half a point if it is larger than the body's, else 0."""
    return round(heading.size * 2) / 2 if heading.size >= _LARGER * body else 0.0
