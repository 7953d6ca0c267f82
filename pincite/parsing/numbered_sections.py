"""Sections by their numbers, for text without headings of its own: "第五条", "ARTICLE V", "3.2 Payment"."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pincite.document import Section
from pincite.parsing.headings import numbered_heading
from pincite.parsing.naming import clean_title

_MARKUP = re.compile(r"(?:[>\s]*)(?:\*\*|__|\*|_)?")
_EMPHASIS = re.compile(r"\*\*|__|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)")
# A line of a table of contents: a title, dots or a tab, a page number; or a list of links.
_CONTENTS_LINE = re.compile(r"(?:\t|\.{3,}|…|·{3,})\s*[\divxlc]{1,6}\s*$|^\s*(?:[-*+]|\d+\.)\s*\[")
_CHINESE = re.compile(r"第\s?[^\s]{1,8}?[编編篇章节節条條部]")
_ALONE = 100
_LEAST = 3  # a number or two of Western style may be a list or a date


@dataclass(frozen=True, slots=True)
class _Numbered:
    start: int
    rank: int
    title: str
    chinese: bool


def numbered_sections(
    text: str, blocks: Sequence[tuple[int, int]], styled: Sequence[Section] = (), *, only_chinese: bool = False
) -> tuple[Section, ...]:
    """Return the `styled` sections, and those that blocks of `text` begin by their numbers, in order.

    `styled` are the headings that the format itself marks; numbers stand below the one they follow. Chinese ordinals
    ("第五条") are believed alone; Western numbers only where several form a sequence, and not if `only_chinese`.
    """
    marked = {section.start for section in styled}
    found = [n for n in _candidates(text, blocks) if n.start not in marked and (n.chinese or not only_chinese)]
    found = _without_contents(found)
    western = [n for n in found if not n.chinese]
    if len(western) < _LEAST or not _in_sequence(western):
        found = [n for n in found if n.chinese]
    return tuple(_levelled(found, styled))


def _candidates(text: str, blocks: Sequence[tuple[int, int]]) -> Iterator[_Numbered]:
    for start, end in blocks:
        line_end = text.find("\n", start, end)
        first_line = text[start : line_end if line_end >= 0 else end][:400]
        if _CONTENTS_LINE.search(first_line):
            continue
        skipped = _MARKUP.match(first_line)
        flat = _EMPHASIS.sub("", first_line[skipped.end() if skipped else 0 :]).strip()
        heading = numbered_heading(flat, alone=line_end < 0 and len(flat) <= _ALONE)
        if heading is not None and (title := clean_title(heading.title)):
            yield _Numbered(start, heading.rank, title, bool(_CHINESE.match(flat)))


def _without_contents(found: Sequence[_Numbered]) -> list[_Numbered]:
    """Drop a heading that comes again later: the first is in the table of contents."""
    left = Counter(n.title for n in found)
    kept = []
    for numbered in found:
        left[numbered.title] -= 1
        if left[numbered.title] == 0 or (numbered.chinese and "条" in numbered.title):
            kept.append(numbered)
    return kept


def _in_sequence(found: Sequence[_Numbered]) -> bool:
    """Whether the last numbers of the labels mostly count up by one, or begin again at one."""
    last: dict[int, int] = {}
    good = 0
    for numbered in found:
        digits = re.findall(r"\d+", numbered.title.partition(" ")[0]) or re.findall(r"\d+", numbered.title)[:1]
        number = int(digits[-1]) if digits else last.get(numbered.rank, 0) + 1
        good += number in {1, last.get(numbered.rank, 0) + 1}
        last[numbered.rank] = number
    return good >= 0.8 * len(found)


def _levelled(found: Sequence[_Numbered], styled: Sequence[Section]) -> Iterator[Section]:
    ranks = sorted({n.rank for n in found})
    base = 0
    pending = list(styled)
    for numbered in found:
        while pending and pending[0].start < numbered.start:
            base = pending[0].level
            yield pending.pop(0)
        yield Section(numbered.start, base + 1 + ranks.index(numbered.rank), numbered.title)
    yield from pending
