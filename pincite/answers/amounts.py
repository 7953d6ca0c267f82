"""What a number counts and which way it bounds, and dates, in forms in which English and Chinese can be compared."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from pincite.answers.facts import MONTH_NAME, Number, in_digits, month_number, numbers

Bound = Literal["at most", "at least"]

_UNITS = {
    "dollar": (r"(?:US|U\.S\.) ?dollars?|dollars?|USD", "美元|美金"),
    "euro": ("euros?|EUR", "欧元|歐元"),
    "pound": ("pounds?|GBP", "英镑|英鎊"),
    "Hong Kong dollar": ("HKD|Hong Kong dollars?", "港元|港币|港幣"),
    "yen": ("yen|JPY", "日元|日圆"),
    "yuan": ("yuan|RMB|CNY|renminbi", "人民币|元|圆"),
    "percent": ("%|per ?cent|percentage points?", "%|个百分点"),
    "second": ("seconds?|secs?", "秒"),
    "minute": ("minutes?|mins?", "分钟|分鐘"),
    "hour": ("hours?|hrs?", "个?小时|小時"),
    "day": ("days?", "个?工作日|日|天|號|号"),
    "week": ("weeks?", "周|週|个?星期"),
    "month": ("months?", "个?月|個月"),
    "quarter": ("quarters?", "个?季度"),
    "year": ("years?|yrs?", "周?[年岁歲]"),
}
_UNIT_AFTER = [
    (unit, re.compile(rf"[\s-]*(?:(?:{english})(?![A-Za-z])|(?:{chinese}))", re.IGNORECASE))
    for unit, (english, chinese) in _UNITS.items()
]
# What may stand between a number and its unit: "thirty (30) calendar days", "30 full-time years".
_BETWEEN = re.compile(
    r"(?:\s*\([^()]{1,30}\)|\s*\)|整|余|多)*(?:[\s-]*(?:calendar|consecutive|full|business|working)\b)*"
)
_SIGNS = {"HK$": "Hong Kong dollar", "$": "dollar", "€": "euro", "£": "pound", "人民币": "yuan", "¥": "yuan"}
_SIGNS |= {"RMB": "yuan", "CNY": "yuan", "USD": "dollar", "EUR": "euro", "GBP": "pound"}
_SIGN = re.compile(rf"({'|'.join(map(re.escape, _SIGNS))})\s*$")

# "six (6"; and "a total of $": what may stand between a bound and its number.
_SPELLED = re.compile(r"(?:[\w.,%$€£-]+\s){1,4}\($")
_FILLER = re.compile(
    r"(?:^|(?<=\W))(?:an?|the|of|total|another|additional|any|by|is)$|(?:HK|US|USD|RMB|CNY|EUR|[$€£¥:])$"
)
_HAN_FILLER = ("人民币", "为", "是", "于", "共", "提前")
_BEFORE: tuple[tuple[Bound, re.Pattern[str]], ...] = (
    (
        "at most",
        re.compile(
            r"(?:\bat (?:the )?most|\bup to|\bno(?:t)? (?:more|longer|later|greater|higher|larger) than|\bwithin"
            r"|\bbelow|\b(?:less|fewer|lower|shorter|smaller|earlier|sooner) than|\bunder|\bnot exceed(?:ing)?"
            r"|\bmaximum|\blimited to|\bcapped at"
            r"|不(?:得|应|能|可|会|應)?(?:超过|超過|多于|高于|大于|长于|迟于|晚于)|未超过|至多|最多|最长|最高|最大|最迟"
            r"|(?<![不得应能可会])(?:低于|少于|小于|短于)|不足|不满|未满)$",
            re.IGNORECASE,
        ),
    ),
    (
        "at least",
        re.compile(
            r"(?:\bat (?:the (?:very )?)?least|\bno(?:t)? (?:less|fewer|shorter|earlier|lower|sooner|smaller) than"
            r"|\bover|\babove|\b(?:more|longer|greater|higher|larger|later) than|\bexceed(?:s|ed|ing)?|\bin excess"
            r"|\bminimum|\bbeyond"
            r"|不(?:得|应|能|可|会|應)?(?:少于|低于|短于|小于|早于)|至少|最少|最短|最低|最小|最早"
            r"|超过|超過|多于|高于|大于|长于|逾|满)$",
            re.IGNORECASE,
        ),
    ),
)
_AFTER: tuple[tuple[Bound, re.Pattern[str]], ...] = (
    (
        "at most",
        re.compile(r"\s*or (?:less|fewer|under|below|lower|shorter|younger|earlier)\b|及?(?:以下|以内|之内|内)", re.I),
    ),
    ("at least", re.compile(r"\s*or (?:more|greater|over|above|higher|longer|older|later)\b|及?以上", re.I)),
)
# Between "six" and "(6)", "Ten Million U.S. Dollars" and "($10,000,000)".
_AGAIN = re.compile(r"[^()]{0,25}\((?:US|HK|RMB|USD|EUR)?\s?[$€£¥]?")
_PARENTHESIS = re.compile(r"^\s*\([^()]{1,30}\)")
_CLAUSE_END = re.compile(r"[,;:.，；：。](?!\d)")
# Each turns a bound round: "shall not take more than ten days", "nothing requires more than ten hours".
_TURNS = re.compile(
    r"\b(?:not|no|never|nothing|nobody|none|neither|nor|cannot|without|unless)\b|n['’]t\b|不得|不能|不可|不应|不必|不准|无需|禁止|除非",
    re.IGNORECASE,
)
_LOOKED_BACK = 80
# Characters in which a bound stands before its number.
_NEAR = 30
_LONGEST_FILLER = 12


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of a normalised text, `text[start:end]`, with its unit and its bound where it has them."""

    value: float
    start: int
    end: int
    unit: str | None
    bound: Bound | None


def amounts(text: str) -> list[Amount]:
    """Return the numbers of a normalised text with what they count; of "six (6) months" both say the same."""
    found: list[Amount] = []
    for number in numbers(text):
        last = found[-1] if found else None
        amount = _amount(text, number)
        if last and last.value == number.value and _AGAIN.fullmatch(text[last.end : number.start]):
            amount = replace(amount, unit=last.unit or amount.unit, bound=last.bound or amount.bound)
            found[-1] = replace(last, unit=amount.unit, bound=amount.bound)
        found.append(amount)
    return found


def _amount(text: str, number: Number) -> Amount:
    written = text[number.start : number.end]
    before, after = text[max(0, number.start - _LOOKED_BACK) : number.start], text[number.end : number.end + 60]
    between = _BETWEEN.match(after)
    rest = after[between.end() :] if between else after
    unit, rest = _unit(rest)
    if unit is None:  # "30 (calendar) days" had its unit where the words between were looked for
        unit, rest = _unit(after)
    if "分之" in written and not unit:
        unit = "percent" if written[0] in "百千万" else None
    if unit is None and (sign := _SIGN.search(before[-5:])):
        unit = _SIGNS[sign[1]]
    return Amount(number.value, number.start, number.end, unit, _bound(before, rest))


def _unit(after: str) -> tuple[str | None, str]:
    for unit, pattern in _UNIT_AFTER:
        if found := pattern.match(after):
            return unit, after[found.end() :]
    return None, after


def _bound(before: str, after: str) -> Bound | None:
    after = _PARENTHESIS.sub("", after)
    for bound, pattern in _AFTER:
        if pattern.match(after):
            return _turned(bound) if _is_turned(before) else bound
    before = before.rstrip()
    if before.endswith("("):
        before = _SPELLED.sub("", before)
    while before:
        for bound, pattern in _BEFORE:
            if found := pattern.search(before, max(0, len(before) - _NEAR)):
                return _turned(bound) if _is_turned(before[: found.start()]) else bound
        shorter = _without_filler(before)
        if shorter == before:
            return None
        before = shorter
    return None


def _without_filler(before: str) -> str:
    """Return the text without its last word, where that is one that may stand between a bound and its number."""
    if filler := next((filler for filler in _HAN_FILLER if before.endswith(filler)), None):
        return before.removesuffix(filler).rstrip()
    found = _FILLER.search(before, max(0, len(before) - _LONGEST_FILLER))
    return before[: found.start()].rstrip() if found else before


def _is_turned(before: str) -> bool:
    clause = _CLAUSE_END.split(before)[-1]
    return len(_TURNS.findall(clause)) % 2 == 1


def _turned(bound: Bound) -> Bound:
    return "at least" if bound == "at most" else "at most"


Date = tuple[int | None, int, int | None]

_YEAR = r"(?P<year>\d{4})"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_MONTH = rf"(?P<month>{MONTH_NAME})\b\.?"
_DATES = (
    re.compile(rf"\b{_DAY}(?: day)?(?: of)? {_MONTH}(?:,? {_YEAR})?(?!\d)"),
    re.compile(rf"\b{_MONTH} {_DAY}(?:,? {_YEAR})?(?!\d)"),
    re.compile(rf"\b{_MONTH},? {_YEAR}(?!\d)"),
    re.compile(r"(?:(?P<year>\d{4}) ?年 ?)?(?P<month>\d{1,2}) ?月(?: ?(?P<day>\d{1,2}) ?[日号])?"),
    re.compile(r"(?<!\d)(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?!\d)"),
)


def dates(text: str) -> set[Date]:
    """Return the dates of a normalised text that name a month, as year, month and day, None where one is left out."""
    return set(_dates(in_digits(text) if "月" in text else text))


def _dates(text: str) -> Iterator[Date]:
    for pattern in _DATES:
        for found in pattern.finditer(text):
            part = found.groupdict()
            month = part["month"]
            number = int(month) if month.isdigit() else month_number(month)
            yield (_int(part.get("year")), number, _int(part.get("day")))


def _int(digits: str | None) -> int | None:
    return int(digits) if digits else None


def fits(date: Date, other: Date) -> bool:
    """Say whether two dates can be the same, one of them perhaps saying less."""
    return all(a is None or b is None or a == b for a, b in zip(date, other, strict=True))
