"""What a viewer address asks for: the page, the passage and the words to mark, and how to show them."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

MAX_MARKS = 200
MIN_ZOOM, MAX_ZOOM = 0.5, 4.0
_RANGE = re.compile(r"(\d{1,10})-(\d{1,10})")


@dataclass(frozen=True, slots=True)
class Target:
    """The parsed query of a viewer address; what is missing or malformed there is simply not asked for.

    `start`, `end`, `terms` and `sentences` are character offsets into the document's text; `part` is the 1-based piece
    of a long text without pages; `zoom` 1 fits the width.
    """

    token: str = ""
    page: int | None = None
    part: int | None = None
    start: int = 0
    end: int = 0
    terms: tuple[tuple[int, int], ...] = ()
    sentences: tuple[tuple[int, int], ...] = ()
    language: str | None = None
    zoom: float = 1.0

    @property
    def has_passage(self) -> bool:
        return self.start < self.end

    @property
    def evidence(self) -> int:
        """The offset of what answers best: the first sentence marked, else the first word, else the passage's start."""
        return next((start for start, _ in (*self.sentences, *self.terms)), self.start)

    def query(self, **changes: object) -> str:
        """Return the query string of this target with the given fields changed: a relative link inside the viewer."""
        return "?" + urlencode(list(_fields(replace(self, **changes))))  # type: ignore[arg-type]


def parse_target(query: QueryParams) -> Target:
    """Read a target from a query string; other parameters, such as those a chat client appends, are ignored."""
    start, end = _number(query.get("start")), _number(query.get("end"))
    return Target(
        token=query.get("t", ""),
        page=_number(query.get("page")),
        part=_number(query.get("part")),
        start=start or 0,
        end=end or 0,
        terms=_ranges(query.getlist("m")),
        sentences=_ranges(query.getlist("s")),
        language=query.get("lang"),
        zoom=_zoom(query.get("z")),
    )


def _fields(target: Target) -> Iterator[tuple[str, str]]:
    if target.page is not None:
        yield "page", str(target.page)
    if target.part is not None:
        yield "part", str(target.part)
    if target.has_passage:
        yield "start", str(target.start)
        yield "end", str(target.end)
    for name, ranges in (("m", target.terms), ("s", target.sentences)):
        for start, end in ranges:
            yield name, f"{start}-{end}"
    if target.language is not None:
        yield "lang", target.language
    if target.zoom != 1:
        yield "z", f"{target.zoom:g}"
    yield "t", target.token


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and re.fullmatch(r"[0-9]{1,10}", value) else None


def _ranges(values: Iterable[str]) -> tuple[tuple[int, int], ...]:
    matches = (_RANGE.fullmatch(value) for value in values)
    ranges = ((int(match[1]), int(match[2])) for match in matches if match)
    return tuple((start, end) for start, end in ranges if start < end)[:MAX_MARKS]


def _zoom(value: str | None) -> float:
    try:
        zoom = float(value) if value is not None else 1.0
    except ValueError:
        return 1.0
    return min(max(zoom, MIN_ZOOM), MAX_ZOOM) if math.isfinite(zoom) else 1.0
