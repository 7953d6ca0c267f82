"""Where in a document's outline a place of its text stands."""

from collections.abc import Iterable, Sequence

from pincite.document import Section


def section_path(sections: Iterable[Section], offset: int) -> str:
    """Return the titles of the sections around `offset` of the text, the outermost first: "4 Pay › 4.2 Late"."""
    path: list[Section] = []
    for section in sections:
        if section.start > offset:
            break
        path = [outer for outer in path if outer.level < section.level] + [section]
    return " › ".join(" ".join(section.title.split()) for section in path)


def main_section(sections: Sequence[Section], start: int, end: int) -> int:
    """Return where the longest part of the range `start`..`end` begins that lies in one section."""
    begins = [start, *(section.start for section in sections if start < section.start < end)]
    lengths = [following - begin for begin, following in zip(begins, [*begins[1:], end], strict=True)]
    return begins[lengths.index(max(lengths))]
