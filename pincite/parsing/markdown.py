"""Markdown to Document: the file verbatim, its sections and blocks from markdown-it's tokens."""

import re
from collections.abc import Iterator
from itertools import accumulate, pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pincite.document import Document, Section
from pincite.parsing import formats
from pincite.parsing.naming import clean_title, title_from_name
from pincite.parsing.numbered_sections import numbered_sections
from pincite.parsing.text import decode_file, paragraphs

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_LEAVES = {"paragraph_open", "heading_open", "tr_open", "fence", "code_block", "html_block"}


def parse_markdown(data: bytes, name: str) -> Document:
    """Return the document of a Markdown file; headings inside code do not count. Raises DocumentTooLarge."""
    text, warnings = decode_file(data, name)
    front = _FRONT_MATTER.match(text)
    body_start = front.end() if front else 0
    # Block structure is all that is needed here; inline parsing is quadratic on hostile input.
    tokens = MarkdownIt("commonmark").enable("table").disable("inline").parse(text[body_start:])
    starts = _line_starts(text, body_start)
    sections = tuple(_sections(tokens, starts))
    blocks = list(paragraphs(text, 0, body_start)) if front else []
    for start, end in _leaf_ranges(tokens, starts):
        done = blocks[-1][1] if blocks else 0
        # What markdown-it passes over (link targets, nesting beyond its limit) still is text of the file.
        blocks.extend(r for r in paragraphs(text, done, max(start, done)) if _has_words(text, r))
        blocks.extend(_trimmed(text, max(start, done), end))
    rest = blocks[-1][1] if blocks else 0
    blocks.extend(r for r in paragraphs(text, rest, len(text)) if _has_words(text, r))
    declared = _FRONT_TITLE.search(front[1]) if front else None
    title = declared[1].strip("\"'") if declared else _first_top_heading(sections)
    return Document(
        title=clean_title(title) or title_from_name(name),
        media_type=formats.MARKDOWN,
        text=text,
        sections=numbered_sections(text, blocks, sections, only_chinese=True),
        blocks=tuple(blocks),
        warnings=warnings,
    )


def _line_starts(text: str, first: int) -> list[int]:
    """The offset of each line of the body, and of the end: markdown-it counts lines."""
    lengths = [len(line) + 1 for line in text[first:].split("\n")]
    return [min(start, len(text)) for start in accumulate(lengths, initial=first)]


def _sections(tokens: list[Token], starts: list[int]) -> Iterator[Section]:
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.map and (title := _plain(inline.content)):
            yield Section(starts[token.map[0]], int(token.tag[1:]), title)


def _leaf_ranges(tokens: list[Token], starts: list[int]) -> Iterator[tuple[int, int]]:
    """Yield paragraphs, headings, table rows and code, in order; a tight list item holds one paragraph."""
    for token in tokens:
        if token.type in _LEAVES and token.map:
            yield starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)]


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    end = start + len(text[start:end].rstrip())
    if start < end and not text[start:end].isspace():
        yield start, end


def _has_words(text: str, block: tuple[int, int]) -> bool:
    return any(c.isalnum() for c in text[block[0] : block[1]])


def _plain(heading: str) -> str:
    """The heading as a reader sees it: without emphasis, code marks, link targets and anchors."""
    shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    shown = re.sub(r"\s*\{#[\w-]+\}\s*$", "", shown)
    shown = re.sub(r"<[^>]{0,200}>", "", shown)
    shown = re.sub(r"(\*\*|__|\*|`|~~)(.+?)\1", r"\2", shown)
    return clean_title(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", shown))


def _first_top_heading(sections: tuple[Section, ...]) -> str:
    """The title: the first heading of level 1, if it is the only one or leads the file."""
    top = [s for s in sections if s.level == 1]
    return top[0].title if top else (sections[0].title if sections else "")
