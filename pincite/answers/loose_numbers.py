"""Numbers that stand in words: what a translator reads as 2 is "both" here, "second" there, XLIX or 双 elsewhere."""

import re

_READ_AS: dict[str, float] = dict.fromkeys(["a", "an", "each", "one", "once", "per", "single"], 1.0)
_READ_AS |= dict.fromkeys(["both", "couple", "double", "pair", "twice", "two"], 2.0)
_READ_AS |= {"half": 0.5, "triple": 3, "decade": 10, "dozen": 12, "century": 100}
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth"
)
_READ_AS |= {word: number for number, word in enumerate(_ORDINALS.split(), start=1)}
_READ_AS |= {f"{word}s": number for word, number in list(_READ_AS.items()) if len(word) > 4}
_ROMAN = re.compile(r"\b(?=[LXVI]{2})(XL|L?X{0,3})(IX|IV|V?I{0,3})\b")
_ROMAN_DIGITS = {"X": 10, "XX": 20, "XXX": 30, "XL": 40, "L": 50, "LX": 60, "LXX": 70, "LXXX": 80}
_ROMAN_DIGITS |= {"": 0, "I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8, "IX": 9}
_CENTURY = re.compile(r"\b(1\d|20)00s\b")
_HANZI_DIGITS: dict[str, float] = {"两": 2, "双": 2, "首": 1, "半": 0.5}
_HANZI_DIGITS |= {character: number for number, character in enumerate("一二三四五六七八九十", start=1)}


def loose_values(text: str) -> frozenset[float]:
    """Return the numbers that words of a normalised text stand for where another language would count."""
    values = {_READ_AS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in _READ_AS}
    values |= {_HANZI_DIGITS[c] for c in text if c in _HANZI_DIGITS}
    values |= {float(found[1]) + 1 for found in _CENTURY.finditer(text)}
    values |= {float(_ROMAN_DIGITS[found[1]] + _ROMAN_DIGITS[found[2]]) for found in _ROMAN.finditer(text)}
    values |= {round(1 / number, 6) for number in (3, 4, 5) if _ORDINALS.split()[number - 1] in text}
    return frozenset(values)
