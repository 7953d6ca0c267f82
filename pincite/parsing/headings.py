"""What a numbered heading looks like: "ARTICLE V", "Section 5.1", "5.1 Term. The …", "第五条", "一、"."""

import re
from dataclasses import dataclass

_HAN_NUMBER = "[一二三四五六七八九十百千零〇两0-9０-９]"
_ROMAN = "[IVXLC]{1,7}"

# Ranks order the schemes of numbering from the outermost inwards; they need not be used without gaps.
PART_RANK, _CHAPTER, _ZH_SECTION, _SECTION, _ZH_ARTICLE, _ZH_ITEM_RANK, _ZH_SUBITEM_RANK = 5, 10, 13, 15, 16, 17, 27
_DECIMAL_STEP = 10

_ZH_RANKS = {
    "编": PART_RANK, "編": PART_RANK, "篇": PART_RANK, "部": PART_RANK, "章": _CHAPTER,
    "节": _ZH_SECTION, "節": _ZH_SECTION, "条": _ZH_ARTICLE, "條": _ZH_ARTICLE,
}  # fmt: skip

_ZH_ORDINAL = re.compile(rf"第\s?{_HAN_NUMBER}{{1,7}}\s?(?P<unit>[编編篇章节節条條]|部分)(?:之[一二三四五六七八九十])?")
_ZH_ITEM = re.compile(r"[一二三四五六七八九十]{1,3}、\s?")
_ZH_SUBITEM = re.compile(r"[（(][一二三四五六七八九十]{1,3}[）)]\s?")
_ANNEX = re.compile(
    r"(?:EXHIBIT|APPENDIX|ANNEX|SCHEDULE|ATTACHMENT|PART|Exhibit|Appendix|Annex|Schedule|Attachment|Part)\s+"
    r"(?:[A-Z](?:[-.]?\d{1,2})?|\d{1,2}(?:\.\d{1,2})*|"
    + _ROMAN
    + r")\b|(?:附件|附录|附錄|附表)\s?"
    + _HAN_NUMBER
    + "{0,3}"
)
_CHAPTER_WORD = re.compile(
    rf"(?:ARTICLE|CHAPTER|TITLE|Article|Chapter|Title|Chapitre|CHAPITRE|Kapitel)\s+(?P<number>{_ROMAN}|\d{{1,3}})\b[.:]?"
)
_DECIMAL = re.compile(
    r"(?P<word>SECTION|Section|Sec\.|§)?\s?(?P<number>\d{1,2}(?:\.(?:\d{1,3}|[A-Z]|[IVX]{1,4})){0,5})(?P<mark>[.)、．]?)(?=\s|\D)"
)

_RUN_IN = re.compile(r"(?P<title>[^\W\d_][^.:;\n。：；]{1,90}?)\s?(?P<stop>[.:。：]|\s[–—-])(?=\s|$|[^\x00-\x7f])")
_ZH_TITLE = re.compile(r"[\s　]*(?P<title>[【\[（(]?[^\s。；，：:,.]{2,16}[】\]）)]?)(?=[\s　：:]|$)")
_SMALL_WORDS = frozenset(
    {"a", "an", "and", "as", "at", "by", "de", "des", "du", "et", "for", "from", "in", "into", "la", "le", "les", "of"}
    | {"on", "or", "over", "per", "sur", "the", "to", "under", "upon", "und", "with"}
)
_VERB = re.compile(r"\b(?:shall|means?|is|are|was|were|will|has|have|had|may|must|agrees?|includes?)\b")
# Titles run into a Chinese paragraph are short nouns ("交货地点。"); its sentences are hardly ever that short.
_RUN_IN_LENGTH_UNCASED = 8
_SENTENCE_END = re.compile(r"[。；;，,？?！!…]$")


@dataclass(frozen=True, slots=True)
class NumberedHeading:
    """A heading by its number: `rank` orders schemes (lower is further out), `end` is where it ends in the text given.

    `number` is the label alone; `title` is label and title, "" after the label where the title stands elsewhere.
    """

    number: str
    title: str
    rank: int
    end: int

    @property
    def is_bare(self) -> bool:
        """Say whether it is a label without a title, such as "ARTICLE V"."""
        return self.title == self.number


def numbered_heading(text: str, *, alone: bool, emphasised: bool = False) -> NumberedHeading | None:
    """Return the heading that `text` begins with, or None.

    `text` is a paragraph, its lines joined by any white space; `alone` says that the paragraph is short enough to be
    nothing but a heading, and `emphasised` that it is set like one, so that its title need not have capitals.
    Otherwise the heading must be run in: a title in title case and a full stop or colon.
    """
    flat = " ".join(text.split())
    for parse in (_chinese, _annex, _chapter, _decimal):
        found = parse(flat, alone, alone and emphasised)
        if found is not None:
            return found
    return None


def _chinese(text: str, alone: bool, _: bool) -> NumberedHeading | None:
    for pattern, fixed_rank in ((_ZH_ORDINAL, 0), (_ZH_ITEM, _ZH_ITEM_RANK), (_ZH_SUBITEM, _ZH_SUBITEM_RANK)):
        match = pattern.match(text)
        if match is None:
            continue
        number = match[0].strip()
        rank = fixed_rank
        if pattern is _ZH_ORDINAL:
            rank = _ZH_RANKS[match["unit"][0]]
            follows = text[match.end() : match.end() + 1]
            if follows and follows in "的之和、及至或规規所，。）":
                return None
        if alone and len(text) <= 60 and not _SENTENCE_END.search(text):
            return NumberedHeading(number, text, rank, len(text))
        if pattern is not _ZH_ORDINAL:
            return None
        title = _ZH_TITLE.match(text, match.end())
        if title is not None and text[match.end() : match.end() + 1].isspace():
            return NumberedHeading(number, f"{number} {title['title']}", rank, title.end())
        return NumberedHeading(number, number, rank, match.end())
    return None


def _annex(text: str, alone: bool, _: bool) -> NumberedHeading | None:
    match = _ANNEX.match(text)
    if match is None or not alone or len(text) > 120 or _SENTENCE_END.search(text):
        return None
    return NumberedHeading(match[0].strip(), text, PART_RANK, len(text))


def _chapter(text: str, alone: bool, emphasised: bool) -> NumberedHeading | None:
    match = _CHAPTER_WORD.match(text)
    return (
        None
        if match is None
        else _titled(text, match[0].rstrip(".:"), match.end(), _CHAPTER, alone, emphasised=emphasised)
    )


def _decimal(text: str, alone: bool, emphasised: bool) -> NumberedHeading | None:
    match = _DECIMAL.match(text)
    if match is None:
        return None
    parts = match["number"].split(".")
    if len(parts) > 1 and parts[-1] == "0":
        parts.pop()
    if match["mark"] == ")" or text[match.end() :].startswith(")"):
        return None
    if not match["word"] and not match["mark"] and len(parts) == 1 and not text[match.end() :].startswith(" "):
        return None
    rank = _SECTION + _DECIMAL_STEP * (len(parts) - 1)
    return _titled(
        text, match[0].strip().rstrip("."), match.end(), rank, alone, emphasised=emphasised, worded=bool(match["word"])
    )


def _titled(
    text: str, number: str, at: int, rank: int, alone: bool, *, emphasised: bool, worded: bool = True
) -> NumberedHeading | None:
    """Take the title that follows a number: all of a short paragraph, or what is run in before the first full stop."""
    rest = text[at:].strip(" -–—:.\t")
    if not rest:
        return NumberedHeading(number, number, rank, len(text)) if worded and alone else None
    begin = text.index(rest, at) if rest in text else at
    reads = reads_like_a_title(rest) or (emphasised and not _SENTENCE_END.search(rest) and any(map(str.isalpha, rest)))
    if alone and len(rest) <= 140 and reads:
        return NumberedHeading(number, text.rstrip(".: "), rank, len(text))
    match = _RUN_IN.match(text, begin)
    if match is None or not reads_like_a_title(match["title"]) or _is_a_clause(match["title"]):
        return None
    return NumberedHeading(number, text[: match.end("title")], rank, match.end())


def _is_a_clause(text: str) -> bool:
    """Say whether what stands before the first full stop is a sentence, in a script without capitals to tell it by."""
    return len(text) > _RUN_IN_LENGTH_UNCASED and text.lower() == text.upper()


def reads_like_a_title(text: str) -> bool:
    """Say whether a phrase is set like a title: capitals on its main words, or a script without capitals, no full stop.

    A title has letters, no sentence punctuation inside, and does not end like a clause.
    """
    words = re.findall(r"[^\W\d_][\w’'-]*", text)
    says = text.lower() if text.isupper() else text
    if text[:1] in "\"“‘'" or (len(words) > 4 and _VERB.search(says)):
        return False
    if not words or _SENTENCE_END.search(text) or re.search(r"[.。；;!?]\s+\S", text.rstrip(".")):
        return False
    cased = [w for w in words if w[0].lower() != w[0].upper()]
    if not cased:
        return len(text) <= 40
    if not cased[0][0].isupper():
        return False
    main = [w for w in cased if w.lower() not in _SMALL_WORDS and len(w) > 2]
    capitals = sum(w[0].isupper() for w in main)
    return capitals >= 0.7 * len(main) if len(cased) > 1 else True
