"""The order in which a page is read: columns of prose one after the other, tables row by row."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from pincite.parsing.text_piece import Piece, joined_text, usual_size

# Prose columns are told from table columns by their lines: most are long and filled with ink.
_FULL_LINE = 0.7
_MIN_COLUMN_EMS = 8.0
_MIN_CHARACTERS_PER_LINE = 12.0
_MAX_CROSSING_SHARE = 1.0
_MIN_COLUMN_LINES = 3


class Row:
    """What stands on one line within one column, in reading order; `size` is that of most of its characters."""

    __slots__ = ("bottom", "pieces", "size", "top", "x0", "x1")

    def __init__(self, piece: Piece) -> None:
        self.pieces = [piece]
        self.top = piece.top
        self.bottom = piece.bottom
        self.x0 = piece.x0
        self.x1 = piece.x1
        self.size = piece.size

    @property
    def text(self) -> str:
        """What it reads, its pieces joined."""
        return joined_text(self.pieces)

    def takes(self, piece: Piece) -> bool:
        """Say whether the ink of a piece overlaps by half its height."""
        top, bottom = self.top, self.bottom
        overlap = (bottom if bottom < piece.bottom else piece.bottom) - (top if top > piece.top else piece.top)
        return overlap >= 0.5 * min(bottom - top, piece.bottom - piece.top)

    def add(self, piece: Piece) -> None:
        """Put a piece at the end; one that is as large as the others tells best where the line stands."""
        self.pieces.append(piece)
        self.x0 = min(self.x0, piece.x0)
        self.x1 = max(self.x1, piece.x1)
        self.size = usual_size(self.pieces)
        if len(piece.text) > 2 and piece.size >= self.size:
            self.top, self.bottom = piece.top, piece.bottom

    def put_in_order(self) -> None:
        """Put the pieces into the order in which they are read."""
        if len(self.pieces) > 1:
            rightward = sum([len(p.text) for p in self.pieces if not p.right_to_left])
            leftward = sum([len(p.text) for p in self.pieces if p.right_to_left]) > rightward
            self.pieces.sort(key=lambda p: -p.x1 if leftward else p.x0)
            self.size = usual_size(self.pieces)


@dataclass(slots=True)
class Column:
    """Pieces to be read line after line, and the margins they stand between (reading frame)."""

    pieces: list[Piece]
    x0: float = field(init=False)
    x1: float = field(init=False)

    def __post_init__(self) -> None:
        self.x0 = min(p.x0 for p in self.pieces)
        self.x1 = max(p.x1 for p in self.pieces)


def rows_of(pieces: Sequence[Piece]) -> list[Row]:
    """Group pieces into rows from top to bottom; two pieces share a row where their ink overlaps by half its height."""
    rows: list[Row] = []
    for piece in sorted(pieces, key=lambda p: (p.top + p.bottom, p.x0)):
        for row in rows[:-4:-1]:
            if row.takes(piece):
                row.add(piece)
                break
        else:
            rows.append(Row(piece))
    rows.sort(key=lambda r: r.bottom)
    for row in rows:
        row.put_in_order()
    return rows


def columns_of(pieces: Sequence[Piece], depth: int = 0) -> list[Column]:
    """Cut a page into the columns it is read in; what spans several columns separates what stands above from below.

    A recursive cut along white space (Nagy's X-Y cut) that takes a vertical gap for a gutter only between prose,
    so that the columns of a table stay together in their rows.
    """
    if not pieces:
        return []
    if len(pieces) < 2 * _MIN_COLUMN_LINES or depth > 6:
        return [Column(list(pieces))]
    for gutter in _gutters(pieces):
        bands = _bands(pieces, gutter)
        if any(isinstance(band, tuple) for band in bands):
            found: list[Column] = []
            rest: list[Piece] = []
            for band in bands:
                if isinstance(band, tuple):
                    found += columns_of(rest, depth + 1)
                    rest = []
                    sides = reversed(band) if _leftward(pieces) else band
                    for side in sides:
                        found += columns_of(side, depth + 1)
                else:
                    rest += band
            return found + columns_of(rest, depth + 1)
    return [Column(list(pieces))]


def _leftward(pieces: Sequence[Piece]) -> bool:
    return 2 * sum(p.right_to_left for p in pieces) > len(pieces)


def _gutters(pieces: Sequence[Piece]) -> list[float]:
    """Return x positions that few pieces cross and that many stand on either side of, the most telling first."""
    left = min(p.x0 for p in pieces)
    width = int(max(p.x1 for p in pieces) - left) + 2
    if not 0 < width < 100_000:
        return []
    opens, closes = [0] * (width + 1), [0] * (width + 1)
    for piece in pieces:
        opens[int(piece.x0 - left)] += 1
        closes[int(piece.x1 - left) + 1] += 1
    candidates = []
    started = ended = 0
    x = 0
    total = len(pieces)
    while x < width:
        started += opens[x]
        ended += closes[x]
        crossing = started - ended
        beyond = total - started
        sides = min(ended, beyond)
        run = x + 1
        while run < width and not opens[run] and not closes[run]:
            run += 1
        if sides >= _MIN_COLUMN_LINES and crossing <= _MAX_CROSSING_SHARE * sides and run - x >= 2:
            candidates.append((sides - crossing, run - x, left + (x + run) / 2))
        x = run
    candidates.sort(reverse=True)
    return [x for _, _, x in candidates[:6]]


def _bands(pieces: Sequence[Piece], gutter: float) -> list[list[Piece] | tuple[list[Piece], list[Piece]]]:
    """Cut at every piece that crosses the gutter; a band of two prose columns is a pair, any other a list."""
    bands: list[list[Piece] | tuple[list[Piece], list[Piece]]] = []
    sides: tuple[list[Piece], list[Piece]] = ([], [])

    def close() -> None:
        nonlocal sides
        if sides[0] or sides[1]:
            bands.append(sides if _are_prose_columns(*sides) else sides[0] + sides[1])
        sides = ([], [])

    ordered = sorted(pieces, key=lambda p: (p.middle, p.x0))
    floor = float("-inf")
    for piece in ordered:
        if piece.x0 < gutter < piece.x1:
            close()
            # What stands on the same line as a crossing piece belongs to it.
            floor = piece.bottom
            bands.append([piece])
        elif piece.middle < floor:
            last = bands[-1]
            assert isinstance(last, list)
            last.append(piece)
        else:
            sides[piece.x0 > gutter].append(piece)
    close()
    return bands


def _are_prose_columns(left: Sequence[Piece], right: Sequence[Piece]) -> bool:
    if not left or not right:
        return False
    shares = []
    for side in (left, right):
        rows = rows_of(side)
        share = _prose_share(rows)
        if share < 0:
            return False
        shares.append((share, len(rows)))
    (one, one_rows), (two, two_rows) = shares
    if max(one_rows, two_rows) < _MIN_COLUMN_LINES:
        return False
    enough = one >= 0.3 and two >= 0.3
    return enough and max(one, two) >= 0.5 and not _is_a_table_of_prose(left, right)


def _prose_share(rows: Sequence[Row]) -> float:
    """The share of lines that are as long as the column and filled with ink; -1 for what is too narrow for prose."""
    x0, x1 = min(r.x0 for r in rows), max(r.x1 for r in rows)
    size = median(r.size for r in rows)
    texts = [p.text for r in rows for p in r.pieces]
    wide = sum(map(len, texts)) + sum([c > "\u2e7f" for text in texts if not text.isascii() for c in text])
    if x1 - x0 < _MIN_COLUMN_EMS * size or wide / len(rows) < _MIN_CHARACTERS_PER_LINE:
        return -1.0
    full = 0
    for row in rows:
        ink = sum(p.width for p in row.pieces)
        full += ink >= 0.75 * (row.x1 - row.x0) and row.x1 - row.x0 >= _FULL_LINE * (x1 - x0)
    return full / len(rows)


def _is_a_table_of_prose(left: Sequence[Piece], right: Sequence[Piece]) -> bool:
    """Say whether long cells stand side by side: white space runs across both sides, and below it both begin level."""
    rows = rows_of([*left, *right])
    size = median(r.size for r in rows)
    pitch = _pitch(rows)
    border = max(p.x1 for p in left)
    level = cuts = 0
    bottom = rows[0].bottom
    for above, row in pairwise(rows):
        bottom = max(bottom, above.bottom)
        if row.top - bottom > max(1.35 * pitch - size * 0.72, 0.6 * size):
            cuts += 1
            level += any(p.x0 > border for p in row.pieces) and any(p.x0 < border for p in row.pieces)
    return cuts >= 3 and level >= 0.7 * cuts


def _pitch(rows: Sequence[Row]) -> float:
    """The usual distance between two baselines."""
    steps = [b.bottom - a.bottom for a, b in pairwise(rows) if b.bottom - a.bottom > 1]
    return median(steps) if steps else 0.0
