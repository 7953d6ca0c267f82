"""Words of a sentence as its wording is compared: numbers in digits, English by its stems, Hanzi one by one."""

import re

from pincite.answers.facts import in_digits

_HAN = re.compile(r"[\u3400-\u9fff]")
_TOKEN = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*|[\u3400-\u9fff]|\d[\d,.]*\d|\d")
# Words whose exchange changes little: articles, prepositions, modals; and the characters that do their work.
_LIGHT_WORDS = (
    "a an the this that these those it its their his her of in on at by for from to with within under as and or but if "
    "is are was were be been being has have had do does did will would shall should must may might can could need "
    "needs which who whom whose when where while also such any each all every than then there so upon into during per "
    "via he she they we you i them him us according state states stated says said provide provides provided"
)
_LIGHT = frozenset(_LIGHT_WORDS.split())
_LIGHT_HANZI = frozenset(
    "的之了在于应当须需必要可以能会将由被对向与和及或并且而则该其此本等为是有内中上下时也还都就应每按照根据所至从自给把让使得"
    "到着过"
)


def words(text: str) -> list[str]:
    """Return the words of a normalised text as they are written, its numbers in digits."""
    return _TOKEN.findall(in_digits(text))


def tokens(text: str) -> list[str]:
    """Return the words of a normalised text as they are compared."""
    return [stem(word.lower()) for word in words(text)]


def content(text: str) -> list[str]:
    """Return the words that say something, without numbers."""
    return [token for token in tokens(text) if not is_light(token) and not token[0].isdigit()]


def stem(token: str) -> str:
    """Return an English word without its ending; other words as they are."""
    if not token.isascii() or len(token) < 5:
        return token
    for ending in ("ing", "ed", "es", "s", "e"):
        if token.endswith(ending) and len(token) - len(ending) >= 4:
            return token[: -len(ending)]
    return token


def is_light(token: str) -> bool:
    """Say whether a word carries little of what is said."""
    return token.lower() in _LIGHT or token in _LIGHT_HANZI


def has_hanzi(text: str) -> bool:
    """Say whether there is a Chinese character in a text."""
    return _HAN.search(text) is not None
