"""A document without pictures as paragraphs and headings, with the passage and its matched words marked."""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from http_server.viewer.target import Target
from pincite.document import Section

PART_CHARACTERS = 30_000
HEADING_SLACK = 24  # markup and numbering around a heading's title

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that is marked alike; `kind` is a list of CSS classes, empty for plain text."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph, or a heading where `level` is 1 to 6; `follows` if no empty line parts it from the one before."""

    level: int
    follows: bool
    pieces: tuple[Piece, ...]


def parts(length: int, blocks: Sequence[Span], size: int = PART_CHARACTERS) -> list[Span]:
    """Cut a text of `length` characters into ranges of about `size`, at the edge of a block wherever there is one."""
    edges = [start for start, _ in blocks]
    cuts = [0]
    while length - cuts[-1] > size + size // 2:
        wanted = cuts[-1] + size
        found = bisect.bisect_right(edges, wanted) - 1
        edge = edges[found] if found >= 0 else 0
        cuts.append(edge if edge > cuts[-1] + size // 2 else wanted)
    return list(zip(cuts, [*cuts[1:], length], strict=True))


def part_of(spans: Sequence[Span], offset: int) -> int:
    """Return the 1-based number of the part that holds `offset`, the last one for an offset behind the text."""
    return max(1, bisect.bisect_right([start for start, _ in spans], offset))


def paragraphs(
    text: str, span: Span, blocks: Sequence[Span], sections: Sequence[Section], target: Target
) -> list[Paragraph]:
    """Return the paragraphs of `text` in `span`, every visible character of it exactly once and in order."""
    found, previous_end = [], None
    for start, end in _paragraph_spans(text, span, blocks):
        follows = previous_end is not None and text.count("\n", previous_end, start) < 2
        level = _heading_level(text, start, end, sections)
        found.append(Paragraph(level, follows, tuple(_pieces(text, start, end, target))))
        previous_end = end
    return found


def _paragraph_spans(text: str, span: Span, blocks: Sequence[Span]) -> Iterator[Span]:
    """Yield the blocks in `span`, and what stands between them where that is more than white space."""
    position, stop = span
    first = bisect.bisect_right([end for _, end in blocks], position)
    for block_start, block_end in blocks[first:]:
        if block_start >= stop:
            break
        start, end = max(block_start, position), min(block_end, stop)
        if text[position:start].strip():
            yield position, start
        if text[start:end].strip():
            yield start, end
        position = end
    if text[position:stop].strip():
        yield position, stop


def _heading_level(text: str, start: int, end: int, sections: Sequence[Section]) -> int:
    found = bisect.bisect_left([section.start for section in sections], start)
    if found == len(sections) or sections[found].start >= end:
        return 0
    section = sections[found]
    is_heading = section.title in text[start:end] and end - start <= len(section.title) + HEADING_SLACK
    return min(max(section.level, 1), 6) if is_heading else 0


def _pieces(text: str, start: int, end: int, target: Target) -> Iterator[Piece]:
    layers = (("passage", [(target.start, target.end)]), ("sentence", target.sentences), ("term", target.terms))
    cuts = {start, end}
    for _, ranges in layers:
        cuts.update(edge for edges in ranges for edge in edges if start < edge < end)
    ordered = sorted(cuts)
    for left, right in itertools.pairwise(ordered):
        kinds = [name for name, ranges in layers if any(a <= left and right <= b for a, b in ranges)]
        yield Piece(text[left:right], " ".join(kinds))
