"""Words of which one excludes the others, English and Chinese: before and after, weekly and monthly, must and may."""

import re

# Each is a family, and each of its members the words that say it.
_FAMILIES = (
    (
        r"\b(?:before|prior|preceding|ahead of|in advance)\b|之前|以前|提前|事先|前(?=[,、。\d一二三四五六七八九十])",
        r"\b(?:after|following|subsequent\w*|thereafter)\b|之后|以后|后(?=[,、。\d一二三四五六七八九十])",
    ),
    (
        r"\b(?:increas\w+|ris(?:e|es|en|ing)|rose|grow\w*|grew|rais(?:e|es|ed|ing)|higher)\b|增加|增长|上升|提高|升高|上涨",
        r"\b(?:decreas\w+|reduc\w+|declin\w+|f(?:a|e)ll(?:s|en|ing)?|lower(?:s|ed|ing)?|drop\w*)\b|减少|下降|降低|下跌",
    ),
    (r"\b(?:faster|quicker|sooner)\b|更快|较快", r"\bslower\b|更慢|较慢"),
    (r"\bolder\b|更老|更古老", r"\byounger\b|更年轻"),
    (r"\b(?:larger|bigger|greater)\b|更大|较大", r"\b(?:smaller|lesser)\b|更小|较小"),
    (r"\blonger\b|更长|较长", r"\bshorter\b|更短|较短"),
    (r"\b(?:maximi[sz]\w*|maximum)\b|最大|最高|最多", r"\b(?:minimi[sz]\w*|minimum)\b|最小|最低|最少"),
    (r"\bpositive(?:ly)?\b|正面|积极", r"\bnegative(?:ly)?\b|负面|消极"),
    (r"\binternal(?:ly)?\b|内部", r"\bexternal(?:ly)?\b|外部"),
    (r"\bimport(?:s|ed|ing)?\b|进口", r"\bexport(?:s|ed|ing)?\b|出口"),
    (r"\b(?:male|men|man)\b|男", r"\b(?:female|women|woman)\b|女"),
    (r"\b(?:oral|verbal)(?:ly)?\b|口头", r"\b(?:written|in writing)\b|书面"),
    (r"\bdirect(?:ly)?\b|直接", r"\bindirect(?:ly)?\b|间接"),
    (r"\btemporar(?:y|ily)\b|临时|暂时", r"\bpermanent(?:ly)?\b|永久"),
    (
        r"\bhourly\b|\b(?:a|per|each|every) hour\b|每个?小时",
        r"\bdaily\b|\b(?:a|per|each|every)(?: \w+)? day\b|[每按][日天]",
        r"\bweekly\b|\b(?:a|per|each|every)(?: \w+)? week\b|[每按](?:周|个?星期)",
        r"\bmonthly\b|\b(?:a|per|each|every)(?: \w+)? month\b|[每按]个?月",
        r"\bquarterly\b|\b(?:a|per|each|every)(?: \w+)? quarter\b|[每按]个?季",
        r"\b(?:annual|year)(?:ly)?\b|每年|按年|逐年|年度",
    ),
)
# What has to be done and what may be; "must not" and "may not" are negations, and looked at as such.
_DUTIES = (
    r"\b(?:must|shall|ha(?:s|ve) to|(?:required|obliged|obligated) to)\b(?! not| never)|(?<!不)应当|必须|(?<!无)须",
    r"\b(?:may|can|could)\b(?! not)|\b(?:allowed|permitted|entitled|free) to\b|可以|有权",
)
_PATTERNS = tuple(tuple(re.compile(member, re.IGNORECASE) for member in family) for family in _FAMILIES)
_DUTY_PATTERNS = tuple(re.compile(member, re.IGNORECASE) for member in _DUTIES)


def opposed(claim: str, text: str, *, duties: bool) -> str | None:
    """Return a word of the claim that a text does not have where it has an opposite one, which the claim has not.

    Both texts are normalised; with `duties` a duty is also told from a permission.
    """
    for family in (*_PATTERNS, *([_DUTY_PATTERNS] if duties else [])):
        said = [member.search(claim) for member in family]
        if sum(found is not None for found in said) != 1:
            continue
        stands = [member.search(text) is not None for member in family]
        for found, there in zip(said, stands, strict=True):
            if found and not there and any(stands):
                return found[0]
    return None
