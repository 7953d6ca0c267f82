"""What Pincite itself says in an answer, in the language of the question: Chinese, or English for all others."""

import re
from typing import Literal

Language = Literal["en", "zh"]

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_WORD = re.compile(r"[A-Za-z]{2,}")

_EXTRACTIVE = {
    "en": "Quoted word for word from the documents; no language model wrote this.",
    "zh": "以下内容逐字摘自文档，并非由语言模型撰写。",
}
_REFUSAL = {
    "en": "The documents do not seem to answer this question.",
    "zh": "文档中似乎没有能够回答这个问题的内容。",
}
_NEAREST = {
    "en": "The nearest passages, which may not answer it:",
    "zh": "以下是最接近的内容，但未必能够回答：",
}
_NOTHING = {
    "en": "No passage is about it. Ask in other words, or add the document that answers it.",
    "zh": "没有找到相关的内容。请换一种说法提问，或者添加包含答案的文档。",
}
_UNSUPPORTED = {"en": "(⚠ unsupported)", "zh": "（⚠ 无依据）"}
_CUT_OFF = {
    "en": "⚠ The language model broke off here; the answer is not complete.",
    "zh": "⚠ 语言模型在此中断，以上回答并不完整。",
}
_UNVERIFIED = {
    "en": "⚠ No sentence of this answer is supported by the documents. What they say, word for word:",
    "zh": "⚠ 以上回答没有任何一句得到文档的支持。文档原文如下：",
}


def language_of(text: str) -> Language:
    """Return the language in which Pincite's own words around an answer to `text` are."""
    hanzi = len(_HAN.findall(text))
    # A Chinese question may be full of English names, so one Hanzi weighs as much as one word.
    return "zh" if hanzi and hanzi >= len(_WORD.findall(text)) and not _KANA_OR_HANGUL.search(text) else "en"


def extractive(language: Language) -> str:
    """Return the line that says that the answer is one of quotes."""
    return _EXTRACTIVE[language]


def refusal(language: Language, *, nearest: bool) -> str:
    """Return the refusal; with `nearest`, the line that introduces the nearest passages comes after it."""
    return f"{_REFUSAL[language]}\n\n{_NEAREST[language] if nearest else _NOTHING[language]}"


def unsupported(language: Language) -> str:
    """Return the mark of a sentence that no passage supports."""
    return _UNSUPPORTED[language]


def cut_off(language: Language) -> str:
    """Return the line under an answer that broke off."""
    return _CUT_OFF[language]


def nothing_verified(language: Language) -> str:
    """Return the line between an answer without a supported sentence and the documents' own words."""
    return _UNVERIFIED[language]


def place(language: Language, title: str, page: int | None, label: str | None, section: str) -> str:
    """Return where a passage stands: the title with the page and its printed label, else with the section."""
    if page is None:
        return f"{title}, {section}" if section and language == "en" else f"{title}，{section}" if section else title
    printed = f" ({label})" if label and label != str(page) else ""
    return f"{title}, page {page}{printed}" if language == "en" else f"{title}，第 {page} 页{printed}"
