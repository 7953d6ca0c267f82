"""Numbers, dates, names and negations of a sentence, in forms in which English and Chinese can be compared."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_HAN = re.compile(r"[\u3400-\u9fff]")
_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_DIGITS |= {c: n for n, c in enumerate("零壹贰叁肆伍陆柒捌玖")}
_UNITS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_MYRIADS = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_HAN_NUMBER = "".join({**_DIGITS, **_UNITS, **_MYRIADS})
# A single character such as 三 is a number only in front of one of these; elsewhere it is part of a word. 一 is one
# only where it counts time or money, or is a multiple: 一个 and 一种 say no more than "a".
_MEASURES = (
    "个個天日月年周週次名人元条條款项項岁歲小时時秒台份张張页頁章节節届级級批期倍米公万萬亿億种種位家度季层层座%％"
)
_ONCE = "天日月年周週元岁歲秒倍万萬亿億季%％"
_CHINESE = re.compile(
    f"(?P<part>[百千万]分之)?(?:(?P<below>[{_HAN_NUMBER}]{{1,3}})分之(?P<above>[{_HAN_NUMBER}]{{1,3}})"
    f"|(?P<long>[{_HAN_NUMBER}]{{2,}})|(?<=第)(?P<nth>[{_HAN_NUMBER}])|(?<=分之)(?P<share>[{_HAN_NUMBER}])"
    f"|一(?=个?分钟|个?小[时時]|个[月星季]|[{_ONCE}])|(?P<one>(?!一)[{_HAN_NUMBER}])(?=分钟|[{_MEASURES}]))"
)
_PARTS = {"百分之": 1.0, "千分之": 0.1, "万分之": 0.01}
_DECADE = re.compile(r"(?:(\d{1,2}) ?|(上))世纪 ?(\d0) ?年代")

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TIES = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS = {word: number for number, word in enumerate(_ONES.split())}
_WORDS |= {word: 10 * number for number, word in enumerate(_TIES.split(), start=2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_UNIT = "|".join(sorted((word for word, value in _WORDS.items() if value < 20), key=len, reverse=True))
_TENS = "|".join(word for word, value in _WORDS.items() if value >= 20)
_SMALL = rf"(?:(?:{_TENS})(?:[ -](?:one|two|three|four|five|six|seven|eight|nine)\b)?|(?:{_UNIT}))"
_ENGLISH = re.compile(
    rf"\b{_SMALL}\b(?:[ -](?:hundred|thousand|million|billion)\b(?:(?: and|,)? {_SMALL}\b)?)*", re.IGNORECASE
)
# "one" is a number only where something is counted: "the one that", "one of them" are not.
_COUNTED = re.compile(
    r"[ -](?:calendar |working |business )?(?:day|week|month|quarter|year|hour|minute|second|time|per)", re.I
)

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH_NAME = (
    "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?|Oct(?:ober)?"
    "|Nov(?:ember)?|Dec(?:ember)?|May(?=,? \\d)|(?<=\\d )May"
)
_MONTH = re.compile(rf"\b(?:{MONTH_NAME})\b(?=[\s.,;:)]|$)")
_FRACTION = re.compile(
    r"\b(?:(one|two|three|four|five)[ -](half|thirds?|fourths?|quarters?|fifths?)|(half))\b(?! an? )", re.IGNORECASE
)
_SHARES = {"half": 2, "third": 3, "fourth": 4, "quarter": 4, "fifth": 5}
_PLAIN = r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?)"
_SCALE = r"(?:百万|千万|[万萬亿億]|千(?![克米瓦伏卡])|(?:hundred|thousand|million|billion)\b)"
_ARABIC = re.compile(
    r"(?:(?<![A-Za-z\d])|(?<=RMB)|(?<=USD)|(?<=CNY)|(?<=EUR)|(?<=GBP)|(?<=HKD))"  # the 2 of CO2 is part of a name
    rf"(?P<part>[百千万]分之)?(?P<number>{_PLAIN})(?P<scale>\s?{_SCALE})?"
    # "3 to 5 million" begins at three million.
    rf"(?:(?=\s?(?:[-–—~]|to|至|到)\s?{_PLAIN}(?P<range>\s?{_SCALE})))?",
    re.IGNORECASE,
)
_ARABIC_SCALES = {"百万": 10**6, "千万": 10**7, "千": 1000, **_MYRIADS, **_SCALES}


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it stands in a text: `value`, and where it was written."""

    value: float
    start: int
    end: int


def normalised(text: str) -> str:
    """Return the text with widths unified and white space as single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def numbers(text: str) -> list[Number]:
    """Return the numbers of a normalised text, the parts of dates among them, however they are written."""
    hanzi = not text.isascii() and _HAN.search(text) is not None
    whole = [*(_decades(text) if hanzi else ()), *_fractions(text)]
    parts = {*_arabic(text), *(_chinese(text) if hanzi else ()), *_english(text), *_months(text)}
    apart = [n for n in parts if not any(w.start < n.end and n.start < w.end for w in whole)]
    return sorted([*whole, *apart], key=lambda n: n.start)


def in_digits(text: str) -> str:
    """Return a normalised text with its numbers in digits, so that "thirty", 三十 and 30 are the same word."""
    parts: list[str] = []
    done = 0
    for number in numbers(text):
        if number.start >= done:
            parts += [text[done : number.start], f" {number.value:.12g} "]
            done = number.end
    return "".join([*parts, text[done:]])


def _arabic(text: str) -> Iterator[Number]:
    for found in _ARABIC.finditer(text):
        scale = (found["scale"] or found["range"] or "").strip().lower()
        value = float(found["number"].replace(",", "")) * _ARABIC_SCALES.get(scale, 1) * _PARTS.get(found["part"], 1)
        yield Number(round(value, 6), found.start(), found.end())


def _chinese(text: str) -> Iterator[Number]:
    for found in _CHINESE.finditer(text):
        if found["below"] and not found["part"]:
            below, above = _of_hanzi(found["below"]), _of_hanzi(found["above"])
            if below and above is not None:
                yield Number(round(above / below, 6), found.start(), found.end())
            continue
        value = _of_hanzi(found["long"] or found["nth"] or found["share"] or found["one"] or "一")
        # "2 万" was read with its digits; a myriad or a hundred alone is no number.
        if value is not None and not (found.start() and text[found.start() - 1].isdigit()):
            yield Number(round(value * _PARTS.get(found["part"], 1), 6), found.start(), found.end())


def _of_hanzi(digits: str) -> float | None:
    if not any(digit in _DIGITS or digit in "十拾" for digit in digits):
        return None
    if len(digits) > 1 and all(digit in _DIGITS for digit in digits):  # a year: 二〇二五
        return float("".join(str(_DIGITS[digit]) for digit in digits))
    total, section, last = 0, 0, 0
    for digit in digits:
        if digit in _DIGITS:
            last = _DIGITS[digit]
        elif digit in _UNITS:
            section += (last or 1) * _UNITS[digit]
            last = 0
        else:
            total += (section + last) * _MYRIADS[digit]
            section = last = 0
    return float(total + section + last)


def _english(text: str) -> Iterator[Number]:
    for found in _ENGLISH.finditer(text):
        words = [word for word in re.split(r"[ ,-]+", found[0].lower()) if word != "and"]
        if words == ["one"] and not _COUNTED.match(text, found.end()):
            continue
        total, section = 0, 0
        for word in words:
            if word in _WORDS:
                section += _WORDS[word]
            elif word == "hundred":
                section = max(1, section) * 100
            elif word in _SCALES:
                total += max(1, section) * _SCALES[word]
                section = 0
        yield Number(float(total + section), found.start(), found.end())


def _decades(text: str) -> Iterator[Number]:
    """Yield 20 世纪 70 年代 as 1970, as "the 1970s" is read."""
    for found in _DECADE.finditer(text):
        century = 20 if found[2] else int(found[1])
        yield Number(float((century - 1) * 100 + int(found[3])), found.start(), found.end())


def _fractions(text: str) -> Iterator[Number]:
    for found in _FRACTION.finditer(text):
        above = _WORDS[found[1].lower()] if found[1] else 1
        below = _SHARES[(found[2] or found[3]).lower().removesuffix("s")]
        yield Number(round(above / below, 6), found.start(), found.end())


def _months(text: str) -> Iterator[Number]:
    for found in _MONTH.finditer(text):
        yield Number(float(month_number(found[0])), found.start(), found.end())


def month_number(name: str) -> int:
    """Return the number of a month that `MONTH_NAME` matches."""
    return _MONTHS.index(name[:3]) + 1


_QUOTED = re.compile(r"“([^”]+)”|\"([^\"]+)\"|「([^」]+)」|『([^』]+)』|‘([^’]{8,})’")
_SHORTEST_QUOTE = 4


def quotations(text: str) -> list[str]:
    """Return what a sentence puts in quotation marks; single words, which may be names, are left out."""
    quoted = (next(group for group in found.groups() if group) for found in _QUOTED.finditer(text))
    return [words.strip(" .,;，。；") for words in quoted if len(words) >= _SHORTEST_QUOTE]


# What is said with a negation and denies nothing, and what denies without one.
_NO_NEGATION = re.compile(
    r"\bnot only\b|\bno(?:t)? (?:later|more|less|fewer|longer|earlier) than\b|\b(?:not|never) exceed(?:s|ing)?\b"
    r"|\bnot (?:to )?exceed\b|\bno\.|\bnot? (?:below|above|under|over)\b|\bwhether or not\b|\bat (?:least|most)\b"
    r"|不(?:得|应|能|可|应当)?(?:少于|低于|小于|短于|早于|超过|高于|大于|多于|迟于|晚于|足)|不可抗力|不仅|不但|不同|不断"
    r"|不足|不锈|不动产|不良|不便|不管|不论|不过|不久|不等|非常|除非|非法|非洲|是非|无论|无线|无人机|未来|未成年|未必|没收|无锡",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|neither|nor|without|cannot|nothing|nobody)\b|n['’]t\b"
    r"|\bnon-(?=[a-z])|\bnon(?=renew|exclus|compet|pay|perform|disclos|transfer|assign|refund|compl)"
    r"|\b(?:prohibit|forbid|exclud|refus)\w*|\bban(?:s|ned)?\b|\bfail(?:s|ed)? to\b"
    r"|不|未|无|無|没|沒|勿|禁止|严禁|嚴禁|拒绝|并非|而非|非",
    re.IGNORECASE,
)


# "Not without consent" neither denies nor allows: whoever retells it may say either.
_TWICE = re.compile(
    r"\b(?:not|no|never|neither|nor|cannot)\b[^.;:]{1,80}\b(?:without|unless|except)\b"
    r"|\b(?:without|unless|except)\b[^.;:]{1,80}\b(?:not|no|never|neither|nor|cannot)\b"
    r"|(?:未经|除非)[^。；]{1,40}不[得能可]|不[得能可][^。；]{1,40}除非",
    re.IGNORECASE,
)


def negations(text: str) -> list[tuple[int, int]]:
    """Return where a normalised text denies something."""
    hidden = _NO_NEGATION.sub(lambda found: "_" * len(found[0]), text)
    return [found.span() for found in _NEGATION.finditer(hidden)]


def conditional(text: str) -> list[tuple[int, int]]:
    """Return where a normalised text denies something but for a condition, both negations within one range."""
    return [found.span() for found in _TWICE.finditer(text)]
