"""The text inside Office drawings: charts and diagrams, the same in DOCX and PPTX."""

from collections.abc import Iterator
from typing import Any

from pincite.parsing.archive import child, children, local
from pincite.parsing.html import CELL_GAP


def chart_rows(root: Any) -> Iterator[str]:
    """Yield a chart (DrawingML `chartSpace`) as rows: its title, then a table of its cached values."""
    title = next((e for e in root.iter() if local(e.tag) == "title"), None)
    if title is not None and (text := " ".join(paragraph_texts(title))):
        yield text
    series = [e for e in root.iter() if local(e.tag) == "ser"]
    if not series:
        return
    names = [_first(_points(child(s, "tx"))) for s in series]
    columns = [_points(child(s, "val") if child(s, "val") is not None else child(s, "yVal")) for s in series]
    first = series[0]
    categories = _points(child(first, "cat") if child(first, "cat") is not None else child(first, "xVal"))
    if any(names):
        yield CELL_GAP.join(["", *names]).strip(CELL_GAP) if len(names) == 1 else CELL_GAP.join(["", *names])
    for index in sorted({i for points in (categories, *columns) for i in points}):
        yield CELL_GAP.join([categories.get(index, ""), *(points.get(index, "") for points in columns)])


def paragraph_texts(root: Any) -> Iterator[str]:
    """Yield the paragraphs of DrawingML text (`a:p`) anywhere under `root`, those with text."""
    for paragraph in root.iter():
        if local(paragraph.tag) == "p":
            text = "".join(e.text or "" for e in paragraph.iter() if local(e.tag) == "t")
            if text.strip():
                yield text.strip()


def _points(element: Any | None) -> dict[int, str]:
    """The cached values of a chart reference by index; numbers without the noise of binary fractions."""
    found: dict[int, str] = {}
    if element is None:
        return found
    for point in element.iter():
        if local(point.tag) == "pt" and str(point.get("idx", "")).isdecimal():
            value = child(point, "v")
            if value is not None and value.text:
                found[int(point.get("idx"))] = _tidy(value.text)
    if not found:
        direct = "".join(e.text or "" for e in children(element, "v"))
        return {0: direct} if direct else {}
    return found


def _tidy(value: str) -> str:
    try:
        return f"{float(value):.15g}" if any(c in value for c in ".eE") else value
    except ValueError:
        return value


def _first(points: dict[int, str]) -> str:
    return " ".join(points[i] for i in sorted(points))
