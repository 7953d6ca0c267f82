"""The labels that Word writes before numbered paragraphs ("5.2", "第三条"), which stand nowhere in the text itself."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from pincite.parsing.archive import attribute, child, children

BULLET = "•"
_LEVELS = 9


@dataclass(frozen=True, slots=True)
class _Level:
    start: int = 1
    format: str = "decimal"
    pattern: str = ""
    gap: str = " "
    legal: bool = False


@dataclass(slots=True)
class _List:
    """One abstract list: its levels, and how far each was counted."""

    levels: dict[int, _Level]
    counts: dict[int, int] = field(default_factory=dict)


class Numbering:
    """Counts the paragraphs of a document's lists, in the order they are asked about (ECMA-376 part 1, 17.9)."""

    def __init__(self, root: Any | None) -> None:
        self._lists: dict[str, _List] = {}
        self._numbers: dict[str, tuple[str, dict[int, _Level], dict[int, int]]] = {}
        self._restarted: set[tuple[str, int]] = set()
        if root is None:
            return
        for abstract in children(root, "abstractNum"):
            levels = dict(_level(e) for e in children(abstract, "lvl"))
            self._lists[attribute(abstract, "abstractNumId") or ""] = _List(levels)
        for number in children(root, "num"):
            self._add_number(number)

    def label(self, number_id: str, depth: int) -> str:
        """Return the label of the next paragraph of list `number_id` at `depth` (0 the top), and the gap after it."""
        abstract_id, overrides, restarts = self._numbers.get(number_id, ("", {}, {}))
        counted = self._lists.get(abstract_id)
        if counted is None or not 0 <= depth < _LEVELS:
            return ""
        levels = counted.levels | overrides
        level = levels.get(depth, _Level())
        if depth in restarts and (number_id, depth) not in self._restarted:
            self._restarted.add((number_id, depth))
            counted.counts.pop(depth, None)
            level = replace(level, start=restarts[depth])
        counted.counts[depth] = counted.counts.get(depth, level.start - 1) + 1
        for deeper in range(depth + 1, _LEVELS):
            counted.counts.pop(deeper, None)
        if level.format == "bullet":
            return BULLET + " "
        if level.format == "none" and "%" not in level.pattern:
            return level.pattern + level.gap if level.pattern else ""
        label = re.sub(r"%([1-9])", lambda m: self._count(counted, levels, int(m[1]) - 1, level), level.pattern)
        return label + level.gap if label else ""

    def _count(self, counted: _List, levels: dict[int, _Level], depth: int, of: _Level) -> str:
        shown = levels.get(depth, _Level())
        count = counted.counts.setdefault(depth, shown.start)
        return str(count) if of.legal else _written(count, shown.format)

    def _add_number(self, number: Any) -> None:
        abstract = child(number, "abstractNumId")
        if abstract is None:
            return
        overrides, restarts = {}, {}
        for override in children(number, "lvlOverride"):
            depth = _integer(attribute(override, "ilvl"), 0)
            if (level := child(override, "lvl")) is not None:
                overrides[depth] = _level(level)[1]
            if (start := child(override, "startOverride")) is not None:
                restarts[depth] = _integer(attribute(start, "val"), 1)
        self._numbers[attribute(number, "numId") or ""] = (attribute(abstract, "val") or "", overrides, restarts)


def _level(element: Any) -> tuple[int, _Level]:
    def value(name: str) -> str | None:
        found = child(element, name)
        return None if found is None else attribute(found, "val")

    format_element = child(element, "numFmt")
    if format_element is None:  # newer Word wraps it, with a fallback for older readers
        format_element = child(element, "AlternateContent", "Fallback", "numFmt")
    level = _Level(
        start=_integer(value("start"), 1),
        format=(attribute(format_element, "val") if format_element is not None else None) or "decimal",
        pattern=value("lvlText") or "",
        gap="" if value("suff") == "nothing" else " ",
        legal=child(element, "isLgl") is not None,
    )
    return _integer(attribute(element, "ilvl"), 0), level


def _integer(value: str | None, otherwise: int) -> int:
    return int(value) if value and re.fullmatch(r"-?\d{1,6}", value) else otherwise


def _written(count: int, number_format: str) -> str:
    return _FORMATS.get(number_format, str)(count)


def _roman(count: int) -> str:
    if not 0 < count < 4000:
        return str(count)
    out = ""
    for value, letters in zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        ("m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"),
        strict=True,
    ):
        out += letters * (count // value)
        count %= value
    return out


def _letters(count: int) -> str:
    """a … z, aa, bb …: Word repeats the letter."""
    return chr(97 + (count - 1) % 26) * ((count - 1) // 26 + 1) if 0 < count <= 26 * 50 else str(count)


def _chinese(count: int, digits: str = "零一二三四五六七八九", units: str = "千百十") -> str:
    if not 0 < count < 10_000:
        return str(count) if count else digits[0]
    out, pending_zero = "", False
    for value, unit in zip((1000, 100, 10, 1), (*units, ""), strict=True):
        digit, count = divmod(count, value)
        if digit:
            out += (digits[0] if pending_zero else "") + digits[digit] + unit
            pending_zero = False
        elif out:
            pending_zero = True
    return out


def _chinese_counting(count: int) -> str:
    """Ten is 十 rather than 一十."""
    written = _chinese(count)
    return written.removeprefix("一") if 10 <= count < 20 else written


def _digits(alphabet: str) -> Callable[[int], str]:
    return lambda count: "".join(alphabet[int(d)] for d in str(max(count, 0)))


def _cycle(alphabet: str) -> Callable[[int], str]:
    return lambda count: alphabet[count - 1] if 0 < count <= len(alphabet) else str(count)


def _ordinal(count: int) -> str:
    suffix = "th" if 10 <= count % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count}{suffix}"


_FORMATS: dict[str, Callable[[int], str]] = {
    "decimalZero": lambda count: f"{count:02d}",
    "upperRoman": lambda count: _roman(count).upper(),
    "lowerRoman": _roman,
    "upperLetter": lambda count: _letters(count).upper(),
    "lowerLetter": _letters,
    "ordinal": _ordinal,
    "none": lambda count: "",
    "chineseCounting": _chinese_counting,
    "chineseCountingThousand": _chinese_counting,
    "taiwaneseCounting": _chinese_counting,
    "taiwaneseCountingThousand": _chinese_counting,
    "japaneseCounting": _chinese_counting,
    "koreanCounting": _chinese_counting,
    "ideographDigital": _digits("〇一二三四五六七八九"),
    "taiwaneseDigital": _digits("〇一二三四五六七八九"),
    "japaneseDigitalTenThousand": _digits("〇一二三四五六七八九"),
    "decimalFullWidth": _digits("０１２３４５６７８９"),
    "decimalFullWidth2": _digits("０１２３４５６７８９"),
    "chineseLegalSimplified": lambda count: _chinese(count, "零壹贰叁肆伍陆柒捌玖", "仟佰拾"),
    "ideographLegalTraditional": lambda count: _chinese(count, "零壹貳參肆伍陸柒捌玖", "仟佰拾"),
    "ideographTraditional": _cycle("甲乙丙丁戊己庚辛壬癸"),
    "ideographZodiac": _cycle("子丑寅卯辰巳午未申酉戌亥"),
    "decimalEnclosedCircle": _cycle("①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"),
    "decimalEnclosedCircleChinese": _cycle("①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"),
    "decimalEnclosedParen": _cycle("⑴⑵⑶⑷⑸⑹⑺⑻⑼⑽⑾⑿⒀⒁⒂⒃⒄⒅⒆⒇"),
    "decimalEnclosedFullstop": _cycle("⒈⒉⒊⒋⒌⒍⒎⒏⒐⒑⒒⒓⒔⒕⒖⒗⒘⒙⒚⒛"),
}
