"""Bytes to text: marks first, then strict UTF-8, then the encoding whose reading looks most like writing.

General detectors err on short Chinese and Japanese. Here each candidate is decoded and scored by the share of its
non-ASCII characters that are common in its script: GB 2312 level 1, Big5 level 1, JIS level 1 and kana, KS X 1001
hangul. These levels are the standards' own lists of frequently used characters.
"""

import codecs
import unicodedata
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache

SAMPLE_BYTES = 64 * 1024
_GOOD_ENOUGH = 0.75
_FEW = 4  # characters; fewer tell Korean from Chinese by chance only


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text, the encodings it was read with, and how many bytes had to be replaced by U+FFFD."""

    text: str
    encoding: str
    undecoded_bytes: int


_undecoded: ContextVar[list[int]] = ContextVar("_undecoded")


def _replace_and_count(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    _undecoded.get().append(error.end - error.start)
    return "\ufffd", error.end


codecs.register_error("pincite_replace", _replace_and_count)


def decode(data: bytes, declared: str | None = None) -> Decoded:
    """Return the text of `data`; `declared` is the encoding it claims, believed if it fits.

    Never raises: what cannot be decoded becomes U+FFFD and is counted.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decode_as(data[len(mark) :], encoding)
    if declared and (fitting := _strictly(data, declared)) is not None:
        return fitting
    utf8 = _strictly(data, "utf-8")
    if b"\x00" in data and (utf16 := _utf16_without_mark(data, 0.4 if utf8 else 0.03)) is not None:
        return utf16
    if utf8 is not None:
        return _strictly(data, "iso2022_jp") or utf8 if b"\x1b$" in data else utf8
    return _mixed(data) or _decode_as(data, _best_encoding(data))


_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


# What a document declares, and the superset that its bytes really come in (as browsers do: WHATWG Encoding).
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252", "shift_jis": "cp932", "big5": "big5hkscs"}
_NO_TEXT = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "unicode-escape", "raw-unicode-escape", "utf-7"}


def _strictly(data: bytes, encoding: str) -> Decoded | None:
    try:
        name = codecs.lookup(encoding).name
        name = _SUPERSETS.get(name, name)
        return None if name in _NO_TEXT else Decoded(data.decode(name), name, 0)
    except (LookupError, UnicodeError, ValueError):
        return None


def _decode_as(data: bytes, encoding: str) -> Decoded:
    counts: list[int] = []
    token = _undecoded.set(counts)
    try:
        text = data.decode(encoding, "pincite_replace")
    finally:
        _undecoded.reset(token)
    return Decoded(text, encoding, sum(counts))


def _utf16_without_mark(data: bytes, least_zeros: float) -> Decoded | None:
    """ASCII in UTF-16 has a zero on one side of its pairs, `least_zeros` of all, and next to none on the other."""
    sample = data[: SAMPLE_BYTES & ~1]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    pairs = len(sample) // 2
    if len(data) % 2 or max(even, odd) < least_zeros * pairs or min(even, odd) > 0.01 * pairs:
        return None
    decoded = _strictly(data, "utf-16-be" if even > odd else "utf-16-le")
    if decoded is None or sum(not c.isprintable() and c not in "\t\n\r\f" for c in decoded.text[:2000]) > 20:
        return None
    return decoded


def _mixed(data: bytes) -> Decoded | None:
    """Read a file whose lines come from two encodings, such as UTF-8 with GBK appended; None where it is not one."""
    lines = data.splitlines(keepends=True)
    foreign = [line for line in lines if _strictly(line, "utf-8") is None]
    if len(foreign) == sum(not line.isascii() for line in lines):
        return None
    encoding = _best_encoding(b"".join(foreign))
    if encoding == "utf-8":
        return None
    decoded = [_strictly(line, "utf-8") or _decode_as(line, encoding) for line in lines]
    text = "".join(d.text for d in decoded)
    return Decoded(text, f"utf-8 and {encoding}", sum(d.undecoded_bytes for d in decoded))


def _best_encoding(data: bytes) -> str:
    sample = _sample(data)
    cut = len(sample) < len(data)
    scores = {name: _score(sample, name, common, cut) for name, common in _CANDIDATES.items()}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] >= _GOOD_ENOUGH:
        return best
    return _by_statistics(sample) or (best if scores[best] > 0.3 else "utf-8")


def _by_statistics(sample: bytes) -> str | None:
    """Ask charset-normalizer, for the single-byte encodings of the world's other scripts."""
    from charset_normalizer import from_bytes

    match = from_bytes(sample).best()
    if match is None:
        return None
    foreign = [c for c in str(match) if ord(c) > 127]
    letters = sum(unicodedata.category(c)[0] in "LM" for c in foreign)
    return match.encoding if letters > 0.8 * len(foreign) else None


def _sample(data: bytes) -> bytes:
    """The lines with non-ASCII bytes, up to SAMPLE_BYTES of them: the rest says nothing about the encoding."""
    if len(data) <= SAMPLE_BYTES:
        return data
    kept, size = [], 0
    for line in data.split(b"\n"):
        if not line.isascii():
            kept.append(line[: SAMPLE_BYTES - size])
            size += len(kept[-1]) + 1
            if size >= SAMPLE_BYTES:
                break
    return b"\n".join(kept)


def _score(sample: bytes, encoding: str, common: Callable[[str], float], cut: bool) -> float:
    """The plausible share of the non-ASCII characters, each undecodable byte counting against it fivefold.

    A sample that was `cut` may end inside a character.
    """
    decoded = _decode_as(sample, encoding)
    errors = max(0, decoded.undecoded_bytes - (3 if cut else 0))
    total = sum(1 for c in decoded.text if ord(c) > 127 and c != "\ufffd")
    return (common(decoded.text) - 5 * errors) / max(total, 1)


_PUNCTUATION = frozenset("，。、；：？！“”‘’（）《》〈〉【】「」『』〔〕—…·～　％￥＋－＝／")


# The hundred most frequent characters of modern Chinese, in both scripts: they make up about two fifths of any prose,
# and next to nothing of Korean or Japanese misread as Chinese.
_FREQUENT_SIMPLIFIED = frozenset(
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经十三"
    "之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日那社义事平形相全表间"
    "样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料象员革位"
    "入常文总次品式活设及管特件长求老头基资边流路级少图山统接知较将组见计别她手角期根论运农指几九区强放决西被干做必战先回则任取据处队南给"
    "甲乙双方合同条款签订姓名价格"
)
_FREQUENT_TRADITIONAL = frozenset(
    "的一是在不了有和人這中大為上個國我以要他時來用們生到作地於出就分對成會可主發年動同工也能下過子說產種面而方後多定行學法所民得經十三"
    "之進著等部度家電力裡如水化高自二理起小物現實加量都兩體制機當使點從業本去把性好應開它合還因由其些然前外天政四日那社義事平形相全表間"
    "樣與關各重新線內數正心反你明看原又麼利比或但質氣第向道命此變條只沒結解問意建月公無系軍很情者最立代想已通並提直題黨程展五果料象員革位"
    "甲乙雙方合約條款簽訂姓名價格"
)


@cache
def _level_1(encoding: str, first: int, last: int, trails: tuple[tuple[int, int], ...]) -> frozenset[str]:
    found: set[str] = set()
    for code in range(first, last + 1):
        lead, trail = divmod(code, 256)
        if any(low <= trail <= high for low, high in trails):
            found.update(bytes((lead, trail)).decode(encoding, "ignore"))
    return frozenset(found)


def _fullwidth(c: str) -> bool:
    return "\uff01" <= c <= "\uff5e"


def _kana(c: str) -> bool:
    return "\u3041" <= c <= "\u30fe"


def _chinese(text: str, level_1: frozenset[str], frequent: frozenset[str]) -> float:
    plausible = sum(c in level_1 or c in _PUNCTUATION or _fullwidth(c) for c in text)
    # Korean misread as Chinese is all common characters and no frequent ones.
    enough = plausible < _FEW or 8 * sum(c in frequent for c in text) >= plausible
    return plausible * (1.0 if enough else 0.9)


def _simplified(text: str) -> float:
    level_1 = _level_1("gb2312", 0xB0A1, 0xD7FE, ((0xA1, 0xFE),))
    # EUC-JP read as GBK has its kana right and its kanji wrong: kana tell against Chinese.
    return _chinese(text, level_1, _FREQUENT_SIMPLIFIED) - sum(map(_kana, text))


def _traditional(text: str) -> float:
    level_1 = _level_1("big5", 0xA440, 0xC67E, ((0x40, 0x7E), (0xA1, 0xFE)))
    return _chinese(text, level_1, _FREQUENT_TRADITIONAL)


def _japanese(text: str) -> float:
    level_1 = _level_1("cp932", 0x889F, 0x9872, ((0x40, 0x7E), (0x80, 0xFC)))
    kana = sum(map(_kana, text))
    halfwidth = sum("\uff61" <= c <= "\uff9f" for c in text)  # any GBK byte pair may be two of these
    plausible = sum(c in level_1 or c in _PUNCTUATION or _fullwidth(c) for c in text)
    # Japanese of any length has kana; without them a little doubt leaves Chinese the choice.
    return (kana + plausible) * (1.0 if kana else 0.9) - 0.5 * halfwidth


def _korean(text: str) -> float:
    hangul = _level_1("euc_kr", 0xB0A1, 0xC8FE, ((0xA1, 0xFE),))
    plausible = sum(c in hangul or c in _PUNCTUATION for c in text)
    return plausible * (0.95 if plausible >= _FEW else 0.85)


def _western(text: str) -> float:
    """A letter with an accent stands among plain letters; a sign stands alone."""
    plausible = 0.0
    padded = f" {text} "
    for before, c, after in zip(padded, padded[1:], padded[2:], strict=False):
        if ord(c) <= 127 or c == "\ufffd":
            continue
        plain_neighbour = before.isascii() or after.isascii()
        if unicodedata.category(c) in {"Ll", "Lu"}:
            plausible += 1.0 if plain_neighbour and not (c.isupper() and before.islower()) else 0.0
        else:
            plausible += 0.9 if c in "“”‘’–—…•€£§©®°«»¡¿ºª·´½¼¾²³µ±×\xa0™" else 0.2
    return plausible


def _any_script(text: str) -> float:
    """UTF-8 with damage: what decodes at all decodes right, if it is a character that exists."""
    return sum(ord(c) > 127 and c != "\ufffd" and unicodedata.category(c) not in {"Cn", "Co", "Cc"} for c in text)


_CANDIDATES: dict[str, Callable[[str], float]] = {
    "gb18030": _simplified,
    "big5hkscs": _traditional,
    "cp932": _japanese,
    "euc_jp": _japanese,
    "cp949": _korean,
    "cp1252": _western,
    "utf-8": _any_script,
}
