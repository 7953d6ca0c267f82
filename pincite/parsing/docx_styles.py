"""What a Word style means for the text: heading level, list membership, hidden or not, along the chain of styles."""

import re
from dataclasses import dataclass
from typing import Any

from pincite.parsing.archive import attribute, child, children

_HEADING_NAME = re.compile(r"^(?:heading|标题|見出し|제목|überschrift|titre)\s*([1-9])$", re.IGNORECASE)
_TITLE_NAME = re.compile(r"^(?:title|标题|標題|titel|titre)$", re.IGNORECASE)
_CONTENTS_NAME = re.compile(r"^(?:toc|目录|目錄|table of figures)\s*\d*$", re.IGNORECASE)
_DEPTH = 20  # longer chains of styles are loops


@dataclass(frozen=True, slots=True)
class ParagraphFormat:
    """`heading` is 1-based, 0 for body text; `number_id` is "" outside lists; `depth` is 0-based.

    `in_contents`: a line of a table of contents.
    """

    heading: int = 0
    number_id: str = ""
    depth: int = 0
    is_title: bool = False
    in_contents: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class _Style:
    name: str
    based_on: str
    properties: Any | None
    run_properties: Any | None


class Styles:
    """The styles of one document (ECMA-376 part 1, 17.7)."""

    def __init__(self, root: Any | None) -> None:
        self._styles: dict[str, _Style] = {}
        for element in children(root, "style") if root is not None else ():
            self._styles[attribute(element, "styleId") or ""] = _Style(
                name=_value(element, "name") or "",
                based_on=_value(element, "basedOn") or "",
                properties=child(element, "pPr"),
                run_properties=child(element, "rPr"),
            )

    def paragraph(self, properties: Any | None) -> ParagraphFormat:
        """Return the format of a paragraph with the direct `properties` (its pPr)."""
        style_id = (_value(properties, "pStyle") or "") if properties is not None else ""
        chain = self._chain(style_id)
        sources = [properties, *(s.properties for s in chain)]
        outline = next((v for p in sources if (v := _value(p, "outlineLvl")) is not None), None)
        number_id = next((v for p in sources if (v := _value(p, "numPr", "numId")) is not None), "")
        depth = next((v for p in sources if (v := _value(p, "numPr", "ilvl")) is not None), "0")
        return ParagraphFormat(
            heading=_heading_level(outline, chain),
            number_id="" if number_id == "0" else number_id,  # 0 takes the paragraph out of its style's list
            depth=int(depth) if depth.isdecimal() else 0,
            is_title=any(_TITLE_NAME.match(s.name) for s in chain[:1]),
            in_contents=any(_CONTENTS_NAME.match(s.name) for s in chain[:1]),
            hidden=_is_hidden([s.run_properties for s in chain]),
        )

    def run_is_hidden(self, properties: Any | None) -> bool | None:
        """Whether a run with these properties (its rPr) is hidden text; None where they do not say."""
        if properties is None:
            return None
        chain = self._chain(_value(properties, "rStyle") or "")
        sources = [properties, *(s.run_properties for s in chain)]
        return _is_hidden(sources) if any(child(p, "vanish") is not None for p in sources if p is not None) else None

    def _chain(self, style_id: str) -> list[_Style]:
        chain: list[_Style] = []
        while style_id in self._styles and len(chain) < _DEPTH:
            chain.append(self._styles[style_id])
            style_id = chain[-1].based_on
        return chain


def _heading_level(outline: str | None, chain: list[_Style]) -> int:
    if outline is not None and outline.isdecimal():
        return int(outline) + 1 if int(outline) < 9 else 0  # 9 is body text
    for style in chain:
        if found := _HEADING_NAME.match(style.name):
            return int(found[1])
    return 0


def _is_hidden(sources: list[Any | None]) -> bool:
    for properties in sources:
        vanish = child(properties, "vanish") if properties is not None else None
        if vanish is not None:
            return (attribute(vanish, "val") or "true").lower() not in {"0", "false", "off"}
    return False


def _value(element: Any | None, *path: str) -> str | None:
    found = child(element, *path) if element is not None else None
    return None if found is None else attribute(found, "val")
