"""A model's text on its way to the reader: made harmless, and each sentence checked against the passage it cites.

Words pass at once. Only a citation waits, until the sentence in front of it has been checked, which takes about a
millisecond: then it is written as it is, or with the number of the passage that does support the sentence, or followed
by a mark that none does. A sentence without a citation gets one in the same way at its end.
"""

import re
from collections.abc import Awaitable, Callable, Sequence

from pincite.answers import wording
from pincite.answers.answer import Sentence, Status
from pincite.answers.evidence import Evidence
from pincite.answers.facts import numbers
from pincite.answers.rendering import harmless
from pincite.answers.verification import Verdict, check_all, in_another_language
from pincite.lexical import question_terms
from pincite.passage import Passage

# A sentence to the numbers of the passages that are about the same, across languages.
Related = Callable[[str], Awaitable[frozenset[int]]]

_AND = r"\s*(?:[,，、;；/|&]|\band\b|和|与|及)\s*"
_TO = r"\s*(?:[-–—~～]|\bto\b|至|到)\s*"
# The ways in which models cite: [1], [1, 7], [1–3], [^1], [Source: 2], 【3†source】, [来源1].
_WORD = r"(?:passages?|sources?|doc(?:ument)?s?|ref(?:erence)?s?|citations?|来源|段落|文档|文献|引用|资料|第)"
_BEGUN = rf"[\[【［〔]\s*(?:[\^#]|{_WORD}\s*[:：.]?\s*#?)?\s*"
_NUMBERS = rf"-?\d{{1,3}}(?:(?:{_AND})+\d{{1,3}}|{_TO}\d{{1,3}})*"
_CITATION = re.compile(rf"{_BEGUN}({_NUMBERS})\s*(?:†[^\]】]{{0,40}}|[.段条])?\s*[\]】］〕]", re.IGNORECASE)
# What a model that broke off left of one.
_CUT_OFF = re.compile(rf"{_BEGUN}(?:{_NUMBERS}\s*(?:{_AND}|{_TO}|†[^\]】]{{0,40}})?)?", re.IGNORECASE)
_TARGET = re.compile(r"\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)")
_BRACKETS = re.compile(r"!?\[[^\[\]\n]*\]")
_TAG = re.compile(r"<[A-Za-z/!?][^<>]*>")
_OPEN = frozenset("[<【［〔!")
_CLOSES = {"[": "]", "<": ">", "【": "】", "［": "］", "〔": "〕"}
# A bracket that is not closed within this many characters is one that stands for itself.
_LONGEST_BRACKET = 500
_LONGEST_WORD = 300
_HAN = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")
_RUN = re.compile(r"[^\s\u3000-\u30ff\u3400-\u9fff\uff00-\uffef\[\]<>!【］［】]+")
_ENDS = frozenset("。！？!?")
_ABBREVIATION = re.compile(
    r"(?:\b(?:No|Nos|Art|Mr|Mrs|Ms|Dr|vs|e\.g|i\.e|cf|Inc|Ltd|Co|Corp|pp?|Sec|Fig)|^\W*\d+|\b[A-Z])\.$"
)
_AFTER_END = frozenset(".,;:，。；：、!?！？)”’」』\"'*")
_DECORATION = re.compile(r"^[\s>*#\-–•]*(?:\d{1,2}[.)、]\s+)?")


class CheckedText:
    """Text as it comes, made harmless and checked; `related` is asked about sentences in another language."""

    def __init__(self, passages: Sequence[Passage], language: wording.Language, related: Related | None = None) -> None:
        self._evidence = [Evidence(number, passage) for number, passage in enumerate(passages, start=1)]
        self._language = language
        self._related = related
        self._raw = ""
        self._text = ""
        self._gap = ""
        self._begin = 0
        self._cited: list[int] | None = None
        self._ended = False
        self.sentences: list[Sentence] = []

    @property
    def text(self) -> str:
        """What has been written so far."""
        return self._text

    async def feed(self, piece: str) -> str:
        """Take a piece of the model's text, and return what can be shown of it and of what was held back."""
        self._raw += piece
        return await self._pass_on(last=False)

    async def finish(self) -> str:
        """Return what was held back, and check the last sentence."""
        before = len(self._text)
        await self._pass_on(last=True)
        await self._close()
        return self._text[before:]

    async def _pass_on(self, *, last: bool) -> str:
        before = len(self._text)
        while self._raw:
            taken = await self._take(last=last)
            if taken == 0:
                break
            self._raw = self._raw[taken:]
        return self._text[before:]

    async def _take(self, *, last: bool) -> int:
        """Deal with what stands at the front, and return its length; 0 where the rest of it has to be waited for."""
        raw = self._raw
        if raw[0] in _OPEN:
            return await self._take_bracket(last=last)
        if word := _RUN.match(raw):
            if word.end() == len(raw) and not last and word.end() < _LONGEST_WORD:
                return 0
            await self._write(harmless(word[0]))
            return word.end()
        await self._write(harmless(raw[0]))
        return 1

    async def _take_bracket(self, *, last: bool) -> int:
        raw = self._raw
        if raw[0] == "!" and not raw.startswith("!["):
            return await self._take_mark(last=last)
        closing = _CLOSES[raw[1] if raw[0] == "!" else raw[0]]
        waiting = not last and len(raw) < _LONGEST_BRACKET and "\n" not in raw
        if closing not in raw[:_LONGEST_BRACKET] and waiting:
            return 0
        if citation := _CITATION.match(raw):
            rest = raw[citation.end() :]
            target = _TARGET.match(rest)
            if (not rest and not last) or (rest.startswith("(") and target is None and waiting):
                return 0
            self._cite(citation[1])
            return citation.end() + (target.end() if target else 0)
        return await self._take_other(closing, last=last)

    async def _take_other(self, closing: str, *, last: bool) -> int:
        """Deal with a bracket that cites nothing."""
        raw = self._raw
        if last and closing != ">" and _CUT_OFF.fullmatch(raw):
            return len(raw)
        if brackets := _BRACKETS.match(raw):
            return await self._take_link(brackets[0], last=last)
        tag = _TAG.match(raw)
        if tag is None:
            await self._write(harmless(raw[0]))
        return tag.end() if tag else 1

    async def _take_mark(self, *, last: bool) -> int:
        if len(self._raw) == 1 and not last:
            return 0
        await self._write("!")
        return 1

    async def _take_link(self, brackets: str, *, last: bool) -> int:
        """Drop a picture, keep the words of a link, and let other brackets stand for themselves."""
        rest = self._raw[len(brackets) :]
        if not last and (not rest or (rest[0] == "(" and ")" not in rest and len(rest) < _LONGEST_BRACKET)):
            return 0
        target = _TARGET.match(rest)
        if brackets.startswith("!"):
            return len(brackets) + (target.end() if target else 0)
        words = brackets[1:-1]
        await self._write(harmless(words if target else brackets))
        return len(brackets) + (target.end() if target else 0)

    def _cite(self, found: str) -> None:
        cited = self._cited = self._cited if self._cited is not None else []
        if "\n" not in self._gap:
            self._gap = ""
        for part in re.split(_AND, found, flags=re.IGNORECASE):
            ends = [int(number) for number in re.findall(r"\d+", part)]
            first, last = (ends[0], ends[-1]) if ends and not part.startswith("-") else (0, 0)
            for number in range(first, min(last, first + len(self._evidence)) + 1):
                if 1 <= number <= len(self._evidence) and number not in cited:
                    cited.append(number)

    async def _write(self, shown: str) -> None:
        """Write harmless text; a sentence that has ended, or was cited, is checked before the next one begins."""
        if shown.isspace():
            self._gap += shown
            if self._text.endswith(".") and not _ABBREVIATION.search(self._text[self._begin :]):
                self._ended = True
            if "\n" in shown:
                self._ended = True
            return
        follows_end = shown[0] in _AFTER_END
        if self._cited is not None or (self._ended and not follows_end):
            await self._close()
        if self._begin == len(self._text) and follows_end:
            self._begin += len(self._gap) + len(shown)  # what ends a sentence begins none
        if shown[0] == ":" and self._text.endswith("]") and not self._gap:
            shown = "：" + shown[1:]  # "[1]:" would make a link of every [1]
        self._text += self._gap + shown
        self._gap = ""
        if shown[-1] in _ENDS:
            self._ended = True

    async def _close(self) -> None:
        """Check the sentence in front, and write its citations."""
        cited, self._cited, self._ended = self._cited, None, False
        begin, end = self._begin, len(self._text)
        claim = self._text[begin:end]
        lead = _DECORATION.match(claim)
        begin += lead.end() if lead else 0
        claim = self._text[begin:end].rstrip()
        if _claims(claim):
            sentence = await self._judged(claim, begin, cited or [])
            self.sentences.append(sentence)
            self._mark(sentence.citations, unsupported=sentence.status == "unsupported")
        elif cited:
            self._mark(cited, unsupported=False)
        self._begin = len(self._text)

    def _mark(self, citations: Sequence[int], *, unsupported: bool) -> None:
        marks = "".join(f"[{number}]" for number in citations)
        if unsupported:
            marks += (" " if marks and self._language == "en" else "") + wording.unsupported(self._language)
        if marks:
            space = "" if not self._text or _HAN.match(self._text[-1]) else " "
            self._text += space + marks

    async def _judged(self, claim: str, begin: int, cited: Sequence[int]) -> Sentence:
        checked = check_all(claim, self._evidence)
        verdicts = {each.number: verdict for each, verdict in zip(self._evidence, checked, strict=True)}
        fine = [number for number, verdict in verdicts.items() if verdict.supported]
        across = [n for n in fine if in_another_language(claim, self._evidence[n - 1])]
        if across:
            # No contradiction is no support: the model must have cited the passage, and a search find it too.
            trusted = set(cited) & set(across)
            if trusted and self._related is not None:
                trusted &= await self._related(claim)
            fine = [number for number in fine if number not in across or number in trusted]
        kept = [number for number in cited if number in fine]
        status: Status = "supported"
        if not kept and fine:
            kept = [max(fine, key=lambda number: (number not in across, verdicts[number].share, -number))]
            status = "repaired"
        elif not kept:
            status = "unsupported"
            kept = list(cited)
        elif len(kept) < len(cited):
            status = "repaired"
        quotes = tuple(q for n in kept if status != "unsupported" and (q := verdicts[n].quote) is not None)
        problem = _told(verdicts, cited) if status == "unsupported" else None
        return Sentence(begin, begin + len(claim), tuple(kept), status, quotes, problem)


def _claims(text: str) -> bool:
    """Say whether a sentence claims something that can be checked; "In short:" does not."""
    if text.endswith((":", "：")):
        return False
    return len(question_terms(text)) >= 2 or bool(numbers(text))


def _told(verdicts: dict[int, Verdict], cited: Sequence[int]) -> str:
    looked_at = [verdicts[number] for number in cited] or list(verdicts.values())
    best = max(looked_at, key=lambda verdict: verdict.share, default=None)
    if best is None or best.problem is None:
        return "no passage is about it"
    what = {
        "quote": "no passage has this quote word for word",
        "number": "the number is not in the passage, or not said of this",
        "name": "the name is not in the passage",
        "negation": "only one of the two denies it",
        "swapped": "the passage has another word here",
        "words": "the passage is about something else",
    }[best.problem]
    return f"{what}: {best.about}" if best.about else what
