"""Tables drawn with rules or boxes: which words stand in which cell."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pincite.parsing.text_piece import Piece, Rectangle

# Lines that are nearer than this are one line, and lines that end nearer than this to another one touch it (points).
_TOUCH_PT = 3.0
_THICKEST_RULE_PT = 3.0
_SHORTEST_RULE_PT = 6.0
_MAX_RULES = 2000
_MAX_SQUARES = 20_000
_MIN_FILLED_CELLS = 4


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line: at `at` on the other axis, from `start` to `end` along its own."""

    horizontal: bool
    at: float
    start: float
    end: float

    def touches(self, other: "Rule") -> bool:
        """Say whether two rules cross, meet or run into each other."""
        if self.horizontal == other.horizontal:
            near = abs(self.at - other.at) <= _TOUCH_PT
            return near and self.start <= other.end + _TOUCH_PT and other.start <= self.end + _TOUCH_PT
        return (
            self.start - _TOUCH_PT <= other.at <= self.end + _TOUCH_PT
            and other.start - _TOUCH_PT <= self.at <= other.end + _TOUCH_PT
        )


def gather_tables(pieces: Sequence[Piece], drawn: Iterable[Rectangle]) -> list[Piece]:
    """Put one piece in the place of every ruled table: its `cells` hold the table's rows of cells of pieces.

    `drawn` are the bounds of the page's lines and boxes, in the reading frame of the pieces. A grid counts as a table
    from two columns, two rows and four cells with text; anything else (a frame, an underline, a chart) is left alone.
    """
    rules = _rules(drawn)
    if not rules or len(rules) > _MAX_RULES:
        return list(pieces)
    rest = list(pieces)
    tables = []
    for grid in _grids(rules):
        inside = [p for p in rest if grid.holds(p)]
        if not inside:
            continue
        table = grid.table(inside)
        if table is not None:
            tables.append(table)
            taken = {id(p) for p in inside}
            rest = [p for p in rest if id(p) not in taken]
    return rest + tables


def _rules(drawn: Iterable[Rectangle]) -> list[Rule]:
    """Take thin shapes as rules, and the edges of boxes as four."""
    rules: set[Rule] = set()
    for x0, y0, x1, y1 in drawn:
        width, height = x1 - x0, y1 - y0
        if height <= _THICKEST_RULE_PT:
            if width >= _SHORTEST_RULE_PT:
                rules.add(Rule(True, (y0 + y1) / 2, x0, x1))
        elif width <= _THICKEST_RULE_PT:
            if height >= _SHORTEST_RULE_PT:
                rules.add(Rule(False, (x0 + x1) / 2, y0, y1))
        elif width >= _SHORTEST_RULE_PT and height >= _SHORTEST_RULE_PT:
            rules.update((Rule(True, y0, x0, x1), Rule(True, y1, x0, x1)))
            rules.update((Rule(False, x0, y0, y1), Rule(False, x1, y0, y1)))
        if len(rules) > _MAX_RULES:
            break
    return sorted(rules, key=lambda r: (r.horizontal, r.at, r.start))


def _grids(rules: Sequence[Rule]) -> list["_Grid"]:
    """Group the rules that touch, largest area first."""
    parent = list(range(len(rules)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    vertical = [i for i, r in enumerate(rules) if not r.horizontal]
    horizontal = [i for i, r in enumerate(rules) if r.horizontal]
    heights = [rules[i].at for i in horizontal]
    for i in vertical:
        first = bisect_right(heights, rules[i].start - _TOUCH_PT)
        last = bisect_right(heights, rules[i].end + _TOUCH_PT)
        for j in horizontal[first:last]:
            if rules[i].touches(rules[j]):
                parent[root(i)] = root(j)
    groups: dict[int, list[Rule]] = {}
    for i, rule in enumerate(rules):
        groups.setdefault(root(i), []).append(rule)
    grids = [_Grid(group) for group in groups.values() if len(group) >= 4]
    return sorted((g for g in grids if g.is_table), key=lambda g: g.area, reverse=True)


class _Grid:
    """Rules that touch one another, and the cells between them."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._across = [r for r in rules if r.horizontal]
        self._down = [r for r in rules if not r.horizontal]
        # A table may be open at its sides: the ends of the rules across it are its edges too.
        edges = (min(r.start for r in self._across), max(r.end for r in self._across)) if self._across else ()
        self.xs = _merged([*(r.at for r in self._down), *edges])
        edges = (min(r.start for r in self._down), max(r.end for r in self._down)) if self._down else ()
        self.ys = _merged([*(r.at for r in self._across), *edges])

    @property
    def is_table(self) -> bool:
        ruled = bool(self._down) and bool(self._across) and len(self.xs) >= 3 and len(self.ys) >= 3
        return ruled and len(self.xs) * len(self.ys) <= _MAX_SQUARES

    @property
    def area(self) -> float:
        return (self.xs[-1] - self.xs[0]) * (self.ys[-1] - self.ys[0])

    def holds(self, piece: Piece) -> bool:
        middle = (piece.x0 + piece.x1) / 2
        return (
            self.ys[0] - _TOUCH_PT <= piece.middle <= self.ys[-1] + _TOUCH_PT
            and self.xs[0] - _TOUCH_PT <= middle <= self.xs[-1] + _TOUCH_PT
        )

    def table(self, pieces: Sequence[Piece]) -> Piece | None:
        """Return the table as one piece, or None where too few cells hold text."""
        regions = self._regions()
        cells: dict[tuple[int, int], list[Piece]] = {}
        for piece in pieces:
            for part in self._cut(piece):
                row = _between(self.ys, part.middle)
                column = _between(self.xs, (part.x0 + part.x1) / 2)
                cells.setdefault(regions[row, column], []).append(part)
        rows: dict[int, list[tuple[Piece, ...]]] = {}
        leftward = 2 * sum(p.right_to_left for p in pieces) > len(pieces)
        for row, column in sorted(cells, key=lambda c: (c[0], -c[1] if leftward else c[1])):
            rows.setdefault(row, []).append(tuple(cells[row, column]))
        if len(cells) < _MIN_FILLED_CELLS or max(len(row) for row in rows.values()) < 2:
            return None
        return Piece(
            text="",
            words=[],
            boxes=[],
            styles=(),
            x0=min(self.xs[0], *(p.x0 for p in pieces)),
            top=min(self.ys[0], *(p.top for p in pieces)),
            x1=max(self.xs[-1], *(p.x1 for p in pieces)),
            bottom=max(self.ys[-1], *(p.bottom for p in pieces)),
            size=pieces[0].size,
            cells=tuple(tuple(row) for row in rows.values()),
        )

    def _regions(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Map every square of the grid to the first square of its cell: squares without a rule between are one."""
        region: dict[tuple[int, int], tuple[int, int]] = {}
        down = [_near(self._down, x) for x in self.xs]
        across = [_near(self._across, y) for y in self.ys]
        for i in range(len(self.ys) - 1):
            for j in range(len(self.xs) - 1):
                middle = (self.ys[i] + self.ys[i + 1]) / 2, (self.xs[j] + self.xs[j + 1]) / 2
                if j and not _any_covers(down[j], middle[0]):
                    region[i, j] = region[i, j - 1]
                elif i and not _any_covers(across[i], middle[1]):
                    region[i, j] = region[i - 1, j]
                else:
                    region[i, j] = i, j
        return region

    def _cut(self, piece: Piece) -> list[Piece]:
        """Cut a piece that runs over a rule between two of its words."""
        parts = [piece]
        for x in self.xs[1:-1]:
            last = parts[-1]
            if last.x0 < x - 1 and last.x1 > x + 1 and _any_covers(_near(self._down, x), last.middle):
                parts[-1:] = last.cut_at(x)
        return parts


def _merged(values: Sequence[float]) -> list[float]:
    """Return the distinct positions, ascending; those within touch are one."""
    merged: list[float] = []
    for value in sorted(values):
        if not merged or value - merged[-1] > _TOUCH_PT:
            merged.append(value)
    return merged


def _between(positions: Sequence[float], value: float) -> int:
    return min(max(bisect_right(positions, value) - 1, 0), len(positions) - 2)


def _near(rules: Sequence[Rule], at: float) -> list[Rule]:
    return [r for r in rules if abs(r.at - at) <= 2 * _TOUCH_PT]


def _any_covers(rules: Sequence[Rule], along: float) -> bool:
    return any(r.start - 1 <= along <= r.end + 1 for r in rules)
