"""Rows of a column gathered into blocks: paragraphs, list items, and the rows of tables."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise

from pincite.parsing.reading_order import Column, Row, rows_of
from pincite.parsing.text_piece import Piece, joined_text, usual_size

# In font sizes: a gap this wide stands between the cells of a row.
_CELL_GAP = 1.0
# In a column of fewer lines nothing tells a full line from a short one.
_ROWS_THAT_MEASURE = 3
_COLUMNS_OF_FIGURES = 3

_BULLET = re.compile(r"[•●○◦▪■□◆◇➢➤✓✔‣⁃·\uf0a7\uf0b7\uf0fc\uf0d8*–—-]$")
_LABEL = re.compile(
    r"(?:[(\[（]?(?:\d{1,3}(?:\.(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4}))*"
    r"|[A-Za-z]{1,2}|[ivxlcIVXLC]{1,6}|[一二三四五六七八九十百]{1,4})[.)\]）、:]{0,2}"
    r"|(?:section|article|sec\.?|§|第)\s?[\dA-Z.]{1,8})$",
    re.IGNORECASE,
)
_ITEM_START = re.compile(
    r"[•●○◦▪■□◆◇➢➤✓✔‣⁃\uf0a7\uf0b7\uf0fc\uf0d8]"
    r"|(?:[(\[（](?:\d{1,3}|[A-Za-z]{1,2}|[ivxlc]{1,6}|[一二三四五六七八九十]{1,3})[)\]）]|\d{1,3}(?:\.\d{1,3})*[.)]?|[A-Za-z][.)])\s"
    r"|(?:section|article)\s+[\dIVXLC]|第[一二三四五六七八九十百零〇\d]+[章节條条編编]|[一二三四五六七八九十]{1,3}、",
    re.IGNORECASE,
)
_PHRASE_END = re.compile(r"(?:[.;:!?。；：！？，,)）”\"]|\b(?:and|or))$")


class Kind(Enum):
    """What a block is: running text, a row of a table, part of the page's frame, or text in another direction."""

    PROSE = auto()
    TABLE_ROW = auto()
    FURNITURE = auto()
    ASIDE = auto()


@dataclass(slots=True)
class Line:
    """A visible line, or the part of one within a table cell; `lead` separates it from the line before in its block."""

    pieces: list[Piece]
    lead: str = "\n"

    @property
    def size(self) -> float:
        """The size of most of its characters."""
        return usual_size(self.pieces)

    @property
    def text(self) -> str:
        """What it reads, its pieces joined."""
        return joined_text(self.pieces)


@dataclass(slots=True)
class Block:
    """Lines that belong together. `begins_indented` and `ends_full` tell whether it may continue another block.

    `opens_table`: the first row of a ruled table.
    """

    kind: Kind
    lines: list[Line] = field(default_factory=list)
    begins_indented: bool = False
    ends_full: bool = False
    opens_table: bool = False


def blocks_of(column: Column) -> list[Block]:
    """Return the blocks of a column from top to bottom."""
    tables = sorted((p for p in column.pieces if p.cells is not None), key=lambda p: p.middle)
    rest = [p for p in column.pieces if p.cells is None]
    blocks: list[Block] = []
    for table in tables:
        blocks += _blocks_of_text([p for p in rest if p.middle < table.middle])
        blocks += _blocks_of_table(table)
        rest = [p for p in rest if p.middle >= table.middle]
    return blocks + _blocks_of_text(rest)


def _blocks_of_table(table: Piece) -> Iterator[Block]:
    is_first = True
    for row in table.cells or ():
        for cells in _unmerged(row):
            lines = []
            for cell in cells:
                in_cell = [Line(line.pieces) for line in rows_of(cell)]
                in_cell[0].lead = "\t"
                lines += in_cell
            yield Block(Kind.TABLE_ROW, lines, opens_table=is_first)
            is_first = False


def _unmerged(cells: Sequence[Sequence[Piece]]) -> list[list[list[Piece]]]:
    """Return the rows between two rules: several, where the same number of figures stands in nearly every cell."""
    whole = [[list(cell) for cell in cells]]
    if len(cells) < _COLUMNS_OF_FIGURES:
        return whole
    lines = [rows_of(cell) for cell in cells]
    count = max(len(rows) for rows in lines)
    even = sum(len(rows) == count for rows in lines)
    figures = sum(any(c.isdigit() for p in row.pieces for c in p.text) for rows in lines for row in rows)
    if count < 2 or even < 0.8 * len(cells) or figures < 0.5 * sum(len(rows) for rows in lines):
        return whole
    of_cell = {id(piece): i for i, cell in enumerate(cells) for piece in cell}
    separate = []
    for row in rows_of([piece for cell in cells for piece in cell]):
        found: dict[int, list[Piece]] = {}
        for piece in row.pieces:
            found.setdefault(of_cell[id(piece)], []).append(piece)
        separate.append([found[i] for i in sorted(found)])
    return separate


def _blocks_of_text(pieces: Sequence[Piece]) -> list[Block]:
    if not pieces:
        return []
    rows = rows_of(pieces)
    measure = _Measure(rows)
    blocks: list[Block] = []
    open_rows: list[Row] = []
    table: _TableRow | None = None

    def close() -> None:
        if open_rows:
            blocks[-1].ends_full = len(rows) >= _ROWS_THAT_MEASURE and measure.ends_full(open_rows)
            open_rows.clear()

    for row in rows:
        cells = _cells(row)
        if _is_tabular(row, cells, measure):
            close()
            if table is None or not table.take(row, cells):
                table = _TableRow(row, cells)
                blocks.append(table.block)
            continue
        if table is not None and table.take(row, cells):
            continue
        table = None
        line = Line(row.pieces)
        if open_rows and measure.continues(open_rows, row):
            blocks[-1].lines.append(line)
        else:
            close()
            blocks.append(Block(Kind.PROSE, [line], begins_indented=measure.is_indented(row)))
        open_rows.append(row)
    close()
    return blocks


def _cells(row: Row) -> list[list[Piece]]:
    cells: list[list[Piece]] = []
    for piece in row.pieces:
        last = cells[-1][-1] if cells else None
        if last is not None:
            gap = max(piece.x0 - last.x1, last.x0 - piece.x1)
            if gap <= _CELL_GAP * max(last.size, piece.size):
                cells[-1].append(piece)
                continue
        cells.append([piece])
    return cells


def _is_tabular(row: Row, cells: Sequence[Sequence[Piece]], measure: "_Measure") -> bool:
    if len(cells) < 2:
        return False
    label = "".join(p.text for p in cells[0]).strip()
    if len(cells) == 2 and (_LABEL.match(label) or _BULLET.match(label)):
        return sum(map(str.isalpha, "".join([p.text for p in cells[1]]))) < 2
    ink = sum(p.width for p in row.pieces)
    # A justified line stretches its spaces.
    return not (measure.is_full(row) and ink >= 0.85 * (row.x1 - row.x0))


class _TableRow:
    """A row of a table that may run over several lines."""

    def __init__(self, row: Row, cells: Sequence[list[Piece]]) -> None:
        self.block = Block(Kind.TABLE_ROW)
        self._cells: list[list[Line]] = [[Line(cell)] for cell in cells]
        self._ranges = [_range(cell) for cell in cells]
        self._bottom = row.bottom
        self._size = row.size
        self._write()

    def take(self, row: Row, cells: Sequence[list[Piece]]) -> bool:
        """Take in a row whose cells carry on cells of this one; say whether it did."""
        if row.bottom - self._bottom > 1.45 * self._size:
            return False
        targets = [self._column(_range(cell)) for cell in cells]
        if None in targets or len(set(targets)) != len(targets):
            return False
        if 0 in targets and len(cells) > 1:
            return False
        if targets == [0] and (row.bottom - self._bottom > 1.25 * self._size or len(self._cells[0]) > 3):
            return False
        for target, cell in zip(targets, cells, strict=True):
            assert target is not None
            self._cells[target].append(Line(cell))
            self._ranges[target] = _joined(self._ranges[target], _range(cell))
        self._bottom = row.bottom
        self._write()
        return True

    def _column(self, cell: tuple[float, float]) -> int | None:
        over = [i for i, (x0, x1) in enumerate(self._ranges) if cell[0] < x1 and cell[1] > x0]
        return over[0] if len(over) == 1 else None

    def _write(self) -> None:
        self.block.lines = []
        for cell in self._cells:
            for i, line in enumerate(cell):
                line.lead = "\n" if i else "\t"
                self.block.lines.append(line)


def _range(pieces: Sequence[Piece]) -> tuple[float, float]:
    return min(p.x0 for p in pieces), max(p.x1 for p in pieces)


def _joined(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return min(one[0], other[0]), max(one[1], other[1])


class _Measure:
    """The usual pitch and the margins of a column, by which the beginning of a paragraph is told."""

    def __init__(self, rows: Sequence[Row]) -> None:
        steps = sorted(
            b.bottom - a.bottom for a, b in pairwise(rows) if b.bottom - a.bottom > 0.8 * min(a.size, b.size)
        )
        self.pitch = steps[len(steps) // 4] if steps else 0.0
        self.leftward = 2 * sum(p.right_to_left for r in rows for p in r.pieces) > sum(len(r.pieces) for r in rows)
        starts = sorted(self._edges(r)[0] for r in rows)
        ends = sorted(self._edges(r)[1] for r in rows)
        self.start = starts[len(starts) // 10]
        self.end = ends[int(len(ends) * 0.85)]

    def _edges(self, row: Row) -> tuple[float, float]:
        return (-row.x1, -row.x0) if self.leftward else (row.x0, row.x1)

    def is_full(self, row: Row) -> bool:
        return self._edges(row)[1] > self.end - 2.5 * row.size

    def ends_full(self, paragraph: Sequence[Row]) -> bool:
        """Say whether the last line of a paragraph is as long as lines get here, or as its other lines."""
        last = paragraph[-1]
        margin = self.end
        if len(paragraph) >= _ROWS_THAT_MEASURE:
            margin = min(margin, max(self._edges(row)[1] for row in paragraph[:-1]))
        return self._edges(last)[1] > margin - 2.5 * last.size

    def is_indented(self, row: Row) -> bool:
        return self._edges(row)[0] > self.start + 0.8 * row.size

    def continues(self, paragraph: Sequence[Row], row: Row) -> bool:
        """Say whether a row carries on the paragraph whose rows are given."""
        last = paragraph[-1]
        size = max(last.size, row.size)
        step = row.bottom - last.bottom
        if step > max(1.3 * self.pitch, 1.1 * size) or step > 2.7 * size:
            return False
        if abs(last.size - row.size) > 0.12 * size or _is_bold(last) != _is_bold(row):
            return False
        start, _ = self._edges(row)
        last_start, last_end = self._edges(last)
        text = row.text
        if _ITEM_START.match(text) and (
            _BULLET.match(text[:1])
            or _ITEM_START.match(last.text)
            or _PHRASE_END.search(last.text)
            or not self.is_full(last)
        ):
            return False
        if last_end + _first_word_width(row) + 0.6 * size < self.end:
            return False
        if start > last_start + 0.8 * size:
            return len(paragraph) == 1
        return not (start < last_start - 0.8 * size and len(paragraph) > 1)


def _is_bold(row: Row) -> bool:
    return all(s.bold for p in row.pieces for s in p.styles if s.end - s.start > 1)


def _first_word_width(row: Row) -> float:
    piece = row.pieces[0]
    x0, y0, x1, y1 = piece.boxes[0]
    # Along the line, whichever way the page is turned, a word is as long as its share of the piece.
    width = piece.width * max(1, piece.words[0][1] - piece.words[0][0]) / max(1, len(piece.text))
    return max(width, min(x1 - x0, y1 - y0))
