"""Where in a document's outline a place of its text stands."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from pincite.document import Section


def section_paths(sections: Iterable[Section]) -> list[str]:
    """Return for each section the titles from the outermost to its own: "4 Pay › 4.2 Late"."""
    return [" › ".join(titles) for titles in _titles(sections)]


def section_titles(sections: Iterable[Section], offset: int) -> tuple[str, ...]:
    """Return the titles of the sections around `offset` of the text, the outermost first; none before the first."""
    last = deque(_titles(takewhile(lambda section: section.start <= offset, sections)), maxlen=1)
    return last[0] if last else ()


def section_path(sections: Iterable[Section], offset: int) -> str:
    """Return the path of the section around `offset` of the text; empty before the first heading."""
    return " › ".join(section_titles(sections, offset))


def _titles(sections: Iterable[Section]) -> Iterator[tuple[str, ...]]:
    around: list[Section] = []
    for section in sections:
        around = [outer for outer in around if outer.level < section.level] + [section]
        yield tuple(" ".join(outer.title.split()) for outer in around)


def main_section(sections: Sequence[Section], start: int, end: int) -> int:
    """Return where the longest part of the range `start`..`end` begins that lies in one section."""
    begins = [start, *(section.start for section in sections if start < section.start < end)]
    lengths = [following - begin for begin, following in zip(begins, [*begins[1:], end], strict=True)]
    return begins[lengths.index(max(lengths))]
