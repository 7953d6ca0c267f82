"""Pages of blocks joined to one verbatim text, with the place of every word."""

from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import numpy as np

from pincite.document import Page, Table, Words
from pincite.parsing.paragraphs import Block, Kind, Line
from pincite.parsing.text_builder import table_of
from pincite.parsing.text_piece import Rectangle, spaced

_TERMINAL = (".", "!", "?", ":", ";", "。", "！", "？", "：", "；", "…", "؟", "۔")
_CLOSING = "\"'”’)]）】》」』"


@dataclass(slots=True)
class PageLayout:
    """One page before it becomes text: `blocks` in reading order, and the furniture around them."""

    number: int
    label: str | None
    width: float
    height: float
    blocks: list[Block]
    header: list[Block] = field(default_factory=list)
    footer: list[Block] = field(default_factory=list)


class SetLine(NamedTuple):
    """A line as it stands in the document's text, with what tells a heading: its type, its place, its block."""

    start: int
    end: int
    page: int
    y: float
    size: float
    bold_until: int
    opens_block: bool
    closes_block: bool
    kind: Kind


@dataclass(slots=True)
class Assembly:
    """Grows a document's text page by page."""

    length: int = 0
    pages: list[Page] = field(default_factory=list)
    blocks: list[tuple[int, int]] = field(default_factory=list)
    lines: list[SetLine] = field(default_factory=list)
    _tables: list[list[tuple[int, int]]] = field(default_factory=list)
    _parts: list[str] = field(default_factory=list)
    _outflow: bool = False

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self._parts)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The ruled tables that have a header."""
        text = self.text
        return tuple(table for table in (table_of(text, rows) for rows in self._tables) if table)

    def add(self, layout: PageLayout, after: PageLayout | None) -> None:
        """Append a page; the paragraph at its end may run on into the page `after` it.

        Header and footer are moved inside the page, behind a paragraph that comes from the page before and in front of
        one that runs on, so that they never stand within a paragraph.
        """
        inflow = self._outflow
        outflow = after is not None and runs_on(_last(layout), _first(after))
        blocks = list(layout.blocks)
        if inflow and len(blocks) == 1 and (layout.header or layout.footer):
            outflow = False
        head = blocks[:1] if inflow else []
        tail = blocks[len(head) :][-1:] if outflow else []
        middle = blocks[len(head) : len(blocks) - len(tail)]
        ordered = [*head, *layout.header, *middle, *layout.footer, *tail]
        if ordered and self.length:
            self._append("\n" if inflow else "\n\n")
        self._set(layout, ordered, inflow)
        self._outflow = outflow

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self.length += len(text)

    def _set(self, layout: PageLayout, blocks: list[Block], inflow: bool) -> None:
        page_start = self.length
        words = _WordList()
        last: Block | None = None
        in_table = False
        for block in blocks:
            if last is not None:
                self._append("\n" if last.kind is block.kind is Kind.TABLE_ROW else "\n\n")
            start = self.length
            for i, line in enumerate(block.lines):
                if i:
                    self._append(line.lead)
                self._set_line(line, layout.number, words, block, i)
            if inflow and last is None:
                start = self.blocks.pop()[0]
            self.blocks.append((start, self.length))
            if block.opens_table:
                self._tables.append([])
                in_table = True
            in_table = in_table and block.kind is Kind.TABLE_ROW
            if in_table:
                self._tables[-1].append(self.blocks[-1])
            last = block
        self.pages.append(
            Page(layout.number, layout.label, page_start, self.length, layout.width, layout.height, words.done())
        )

    def _set_line(self, line: Line, page: int, words: "_WordList", block: Block, index: int) -> None:
        start = self.length
        bold_until = start
        bold = True
        words.begin_line()
        for lead, piece in spaced(line.pieces):
            if lead:
                self._append(lead)
            words.add(piece.words, piece.boxes, self.length)
            for style in piece.styles:
                bold = bold and (style.bold or not piece.text[style.start : style.end].strip())
                if bold:
                    bold_until = self.length + style.end
            self._append(piece.text)
        self.lines.append(
            SetLine(
                start=start,
                end=self.length,
                page=page,
                y=line.pieces[0].boxes[0][1],
                size=line.size,
                bold_until=bold_until,
                opens_block=index == 0,
                closes_block=index == len(block.lines) - 1,
                kind=block.kind,
            )
        )


def runs_on(block: Block | None, following: Block | None) -> bool:
    """Say whether a paragraph that ends a page or column clearly goes on in the block that follows."""
    if block is None or following is None or not block.kind is following.kind is Kind.PROSE:
        return False
    last, first = block.lines[-1], following.lines[0]
    before, after = last.text.rstrip(), first.text.lstrip()
    if not before or not after or abs(last.size - first.size) > 0.08 * max(last.size, first.size):
        return False
    if before.endswith(("-", "\u00ad")) and before[-2:-1].isalpha() and after[0].islower():
        return True
    if before.rstrip(_CLOSING).endswith(_TERMINAL) or not block.ends_full:
        return False
    # Scripts without capitals: a full line without an end, and no indent after it.
    without_case = after[0].isalpha() and after[0].lower() == after[0].upper()
    return after[0].islower() or (without_case and not following.begins_indented)


def join_blocks(blocks: list[Block]) -> list[Block]:
    """Join the paragraphs that run on from one column into the next; footers are not in `blocks`."""
    joined: list[Block] = []
    for block in blocks:
        if joined and runs_on(joined[-1], block):
            joined[-1].lines += block.lines
            joined[-1].ends_full = block.ends_full
        else:
            joined.append(block)
    return joined


def _first(layout: PageLayout) -> Block | None:
    return layout.blocks[0] if layout.blocks else None


def _last(layout: PageLayout) -> Block | None:
    return layout.blocks[-1] if layout.blocks else None


class _WordList:
    def __init__(self) -> None:
        self._words: list[tuple[int, int]] = []
        self._boxes: list[Rectangle] = []
        # Of each piece: how many words it has, where it begins in the text, and its line.
        self._counts: list[int] = []
        self._offsets: list[int] = []
        self._lines: list[int] = []
        self._line = -1

    def begin_line(self) -> None:
        self._line += 1

    def add(self, words: list[tuple[int, int]], boxes: list[Rectangle], offset: int) -> None:
        self._words += words
        self._boxes += boxes
        self._counts.append(len(words))
        self._offsets.append(offset)
        self._lines.append(self._line)

    def done(self) -> Words:
        if not self._words:
            return Words.none()
        starts, ends = np.fromiter(chain.from_iterable(self._words), np.int32).reshape(-1, 2).T
        offsets, lines = np.repeat(np.array([self._offsets, self._lines], np.int32), self._counts, axis=1)
        boxes = np.fromiter(chain.from_iterable(self._boxes), np.float32).reshape(-1, 4)
        return Words(starts + offsets, ends + offsets, boxes, lines)
