"""How a spreadsheet cell looks: a value and its number format as the text that a reader sees."""

import math
import re
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import lru_cache

_QUOTED = re.compile(r'"([^"]*)"|\\(.)|_.|\*.')
_BRACKETED = re.compile(r"\[([^\]]*)\]")
_DIGITS = re.compile(r"[#0?][#0?,. ]*")


def shown(value: object, number_format: str) -> str:  # noqa: PLR0911 — one line a type
    """Return the text of a cell. Numbers as Excel shows them in a wide column, dates in ISO 8601.

    Fractions and locale-dependent date pictures are simplified; the value itself is never changed.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return _number(float(value) if isinstance(value, float) else value, number_format)
    if isinstance(value, datetime):
        return _datetime(value, number_format)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
    return str(value)


def _datetime(value: datetime, number_format: str) -> str:
    has_clock = bool(re.search(r"[hH]|s", _BRACKETED.sub("", _QUOTED.sub("", number_format))))
    if not has_clock and value.time() == time():
        return value.date().isoformat()
    return value.isoformat(sep=" ", timespec="seconds")


def general(value: float) -> str:
    """Return a number in the General format: 15 significant digits, which is all that Excel keeps."""
    if isinstance(value, int):
        return str(value)
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.15g}"


def _number(value: float, number_format: str) -> str:
    if not math.isfinite(value):
        return str(value)
    sections = _split(number_format)
    picture, value = _section(sections, value)
    picture = _BRACKETED.sub(lambda m: _currency(m[1]), picture)
    return _apply(picture, value)


@lru_cache(maxsize=512)
def _split(number_format: str) -> tuple[str, ...]:
    """Split at the semicolons outside quotes: positive; negative; zero; text."""
    parts = re.findall(r'(?:"[^"]*"|\\.|[^;"\\]|["\\])*(?:;|$)', number_format)
    return tuple(p.rstrip(";") for p in parts if p) or ("General",)


def _section(sections: tuple[str, ...], value: float) -> tuple[str, float]:
    if value < 0 and len(sections) > 1 and sections[1]:
        return sections[1], -value
    if value == 0 and len(sections) > 2 and sections[2]:
        return sections[2], value
    return sections[0], value


def _currency(bracketed: str) -> str:
    """`[$¥-804]` shows ¥; colours and conditions show nothing."""
    return bracketed[1:].partition("-")[0] if bracketed.startswith("$") else ""


def _apply(picture: str, value: float) -> str:
    bare = _QUOTED.sub("", picture)
    if "general" in bare.lower() or bare.strip() == "@":
        return re.sub("general", lambda _: general(value), _literal(picture), flags=re.IGNORECASE).replace(
            "@", general(value)
        )
    digits = _DIGITS.search(_QUOTED.sub(lambda m: "\x00" * len(m[0]), picture))
    if digits is None:
        return _literal(picture).strip() or general(value)
    if re.search(r"[#0?]\s*/\s*[#0-9?]", bare):
        return general(value)
    scientific = re.match(r"[eE][+-]?(0+)", picture[digits.end() :])
    spec = digits[0].rstrip(" ,")
    thousands_cut = len(digits[0].rstrip()) - len(digits[0].rstrip().rstrip(","))
    value = value / 1000**thousands_cut
    percent = bare.count("%")
    value = value * 100**percent
    before, after = _literal(picture[: digits.start()]), picture[digits.end() :]
    if scientific:
        mantissa = f"{value:.{_decimals(spec)}E}"
        return (before + mantissa + _literal(after[scientific.end() :])).strip()
    return (("-" if value < 0 else "") + before + _fixed(abs(value), spec) + _literal(after)).strip().replace("- ", "-")


def _decimals(spec: str) -> int:
    return len(re.findall(r"[0#?]", spec.partition(".")[2]))


def _fixed(value: float, spec: str) -> str:
    """Round as Excel does: half up, on the 15 decimal digits it keeps, so that 1.005 becomes 1.01."""
    whole, _, fraction = spec.partition(".")
    exact = Decimal(f"{value:.15g}") if isinstance(value, float) else Decimal(value)
    with localcontext(prec=400):
        rounded = exact.quantize(Decimal(1).scaleb(-_decimals(spec)), ROUND_HALF_UP)
    integer, dot, rest = f"{rounded:{',' if ',' in whole else ''}f}".partition(".")
    rest = rest[: len(rest) - _optional_zeros(rest, fraction)]
    if integer == "0" and "0" not in whole and not rest.strip("0"):
        integer = ""  # "#" and "?" show no zero
    return integer.zfill(whole.count("0")) + (dot if rest else "") + rest


def _optional_zeros(digits: str, picture: str) -> int:
    """How many zeros at the end of the fraction stand where the picture shows none."""
    optional = len(picture) - len(picture.rstrip("#?"))
    return min(optional, len(digits) - len(digits.rstrip("0")))


def _literal(picture: str) -> str:
    return _QUOTED.sub(lambda m: m[1] if m[1] is not None else (m[2] or ""), picture)
