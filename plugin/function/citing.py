"""Passages as Open WebUI's citations, and the numbers in an answer as references to them.

Open WebUI numbers citations in the order in which their `source` events arrive. An answer cites the passages by the
numbers they had in the prompt; so the numbers are rewritten in the order of first use, and the event of a passage is
sent just before the text that cites it first. Passages that are never cited are never listed.
"""

import html
import re
from typing import Any

from plugin.function.harmless import harmless
from plugin.function.thinking import OPENING, TAGS
from plugin.function.wording import say

SEPARATOR = r"\s*[,，、;；]\s*"
REFERENCE = re.compile(rf"[\[【]\s*(\d{{1,2}}(?:{SEPARATOR}\d{{1,2}})*)\s*[\]】]")
UNFINISHED = re.compile(r"[\[【][\d\s,，、;；]{0,40}$")
# A word may be the beginning of an address until its end is there.
UNFINISHED_WORD = re.compile(r"[\[【][^\]】\n]{0,40}$|[^\s\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]{1,300}$")
LINKING = str.maketrans("(:", "（：")
# Open WebUI shows a passage in a frame of few lines: a best sentence that begins later than this is put on top as well.
IN_VIEW = 200
ADDRESS = re.compile(r"https?:/+", re.IGNORECASE)


def cited_name(passage: dict[str, Any], language: str) -> str:
    """Return what a citation's chip reads, such as "Handbook.pdf, p. 12"; a format without pages has its section."""
    path = str(passage["document"]["path"])
    # With an address in it, Open WebUI would show only its host, and ask a third party for an icon.
    name = ADDRESS.sub("", path.rstrip("/")).rsplit("/", 1)[-1]
    if passage.get("page") is not None:
        return say(language, "page", name=name, page=passage["page"])
    section = str(passage.get("section") or "").rsplit(" › ", 1)[-1]
    return say(language, "section", name=name, section=ADDRESS.sub("", section)) if section else name


def marked_html(passage: dict[str, Any]) -> str:
    """Return the passage as HTML of our own making: its text escaped, its marks as `<mark>`, the best one in view."""
    text, cuts = str(passage["text"]), [0]
    spans = sorted((int(mark["start"]), int(mark["end"])) for mark in passage.get("marks") or [])
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    pieces = []
    for start, end in merged:
        pieces += [html.escape(text[cuts[-1] : start]), f"<mark>{html.escape(text[start:end])}</mark>"]
        cuts.append(end)
    pieces.append(html.escape(text[cuts[-1] :]))
    style = "white-space:pre-wrap;font:14px/1.5 system-ui,sans-serif;color:#1f2328;background:#fff;padding:8px"
    lead = ""
    for mark in passage.get("marks") or []:
        if mark["kind"] == "sentence" and mark["start"] > IN_VIEW:
            sentence = text[mark["start"] : mark["end"]].strip()
            lead = f"<mark>{html.escape(sentence)}</mark><hr>"
            break
    return f'<div style="{style}">{lead}{"".join(pieces)}</div>'


def source_of(passage: dict[str, Any], language: str) -> dict[str, Any]:
    """Return a passage as the `data` of a `source` event.

    `page` is 0-based there, and only there; `embed_url` is what a click on the chip opens beside the chat.
    """
    name = cited_name(passage, language)
    identifier = f"pincite:{passage['id']}"
    metadata: dict[str, Any] = {"source": identifier, "name": name, "html": True}
    if passage.get("page") is not None:
        metadata["page"] = passage["page"] - 1
    return {
        "source": {"id": identifier, "name": name, "url": passage["url"], "embed_url": passage["url"]},
        "document": [marked_html(passage)],
        "metadata": [metadata],
        "distances": [passage["score"]],
    }


class Citing:
    """Rewrites the numbers of an answer from `count` passages as it streams, its words made harmless if `defuse`.

    The tags around what a model thinks first stay what they are. `given` are the numbers that the passages cited so
    far had in the prompt, in the order of their first citation.
    """

    def __init__(self, count: int, *, defuse: bool = False) -> None:
        self._count = count
        self._defuse = defuse
        self._numbers: dict[int, int] = {}
        self._held = ""
        self._begun = False
        self._end_of_thinking = ""

    @property
    def given(self) -> list[int]:
        return list(self._numbers)

    def feed(self, text: str) -> str:
        """Return what can be shown of the answer so far; the beginning of a reference waits for its end."""
        if not self._defuse and not self._held and "[" not in text and "【" not in text:
            return text
        text = self._held + text
        unfinished = (UNFINISHED_WORD if self._defuse else UNFINISHED).search(text)
        self._held = text[unfinished.start() :] if unfinished else ""
        return self._shown(text[: len(text) - len(self._held)])

    def rest(self) -> str:
        """Return what was held back when the answer has ended."""
        held, self._held = self._held, ""
        shown = self._shown(UNFINISHED.sub("", held)) if self._defuse else held
        shown += self._end_of_thinking  # what comes after it is no thought
        self._begun, self._end_of_thinking = False, ""
        return shown

    def cite(self, given: int) -> str:
        """Return the reference to the passage with the 1-based number `given` of the prompt."""
        return f"[{self._numbers.setdefault(given, len(self._numbers) + 1)}]"

    def _shown(self, text: str) -> str:
        if not self._defuse:
            return REFERENCE.sub(self._renumber, text)
        if not self._begun and (opening := OPENING.match(text)):
            self._begun, self._end_of_thinking = True, TAGS[opening[1]]
            return opening[0] + self._shown(text[opening.end() :])
        self._begun = self._begun or bool(text.strip())
        if self._end_of_thinking and self._end_of_thinking in text:
            thought, end, rest = text.partition(self._end_of_thinking)
            self._end_of_thinking = ""
            return self._harmless(thought) + end + self._harmless(rest)
        return self._harmless(text)

    def _harmless(self, text: str) -> str:
        parts, done = [], 0
        for reference in REFERENCE.finditer(text):
            parts += [harmless(text[done : reference.start()]), self._renumber(reference)]
            done = reference.end()
            if text[done : done + 1] in {"(", ":"}:  # "[1](…" and "[1]: …" would link the reference
                parts.append(text[done].translate(LINKING))
                done += 1
        return "".join([*parts, harmless(text[done:])])

    def _renumber(self, reference: re.Match[str]) -> str:
        given = [int(number) for number in re.split(SEPARATOR, reference[1])]
        # A number that no passage has is an invention; shown, it would look like evidence.
        return "".join(self.cite(number) for number in given if 1 <= number <= self._count)
