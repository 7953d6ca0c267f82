"""Document text made harmless: shown, it is never a link, a picture, HTML, or a citation it does not have.

A character that would start one is put in its full-width form. It looks nearly the same, no reader of Markdown takes it
for markup, and the text still equals the original once widths are normalised (Unicode NFKC), which is how quotes are
compared with their passages.
"""

import re

# Brackets make links, pictures, footnotes, HTML and citations; a backtick makes code, which hides them.
_MARKUP = str.maketrans("[]<>`", "［］＜＞｀")
# What chat clients link by themselves: schemes, "www.", addresses of mail, and hosts with a path.
_ADDRESS = re.compile(
    r"""(?:[A-Za-z][A-Za-z0-9+.-]{0,30}:(?=//|[A-Za-z0-9])(?://)?|\bwww\.)[^\s\u3000-\u303f\uff00-\uffef]*
    |[\w.+-]{1,100}@[\w-]{1,100}(?:\.[\w-]{1,100}){1,10}
    |\b[\w-]{1,100}(?:\.[\w-]{1,100}){1,10}/[^\s\u3000-\u303f\uff00-\uffef]*""",
    re.VERBOSE,
)
_SCHEME = re.compile(r"https?|ftp|file|data|javascript|vbscript|mailto|tel|sms|blob|ws|wss|www|\S+//", re.IGNORECASE)
_IN_ADDRESS = str.maketrans(":.@/", "：．＠／")
_HANZI = "\u3000-\u30ff\u3400-\u9fff\uff00-\uffef"
_BETWEEN_HANZI = re.compile(f"(?<=[{_HANZI}])[ \t]*\n[ \t]*(?=[{_HANZI}])")


def harmless(text: str) -> str:
    """Return the text so that no reader of Markdown or HTML finds a link, a picture, a tag or a citation in it."""
    return _ADDRESS.sub(_defused, text).translate(_MARKUP)


def on_one_line(text: str) -> str:
    """Return the text without its line breaks: a space each, none between Chinese characters."""
    return " ".join(_BETWEEN_HANZI.sub("", text).split())


def _defused(address: re.Match[str]) -> str:
    found = address[0]
    by_colon = ":" in found and "@" not in found.partition(":")[0]
    # "Note:this" has the form of a scheme and is none.
    if by_colon and "//" not in found and "." not in found.partition(":")[0] and not _SCHEME.match(found):
        return found
    return found.translate(_IN_ADDRESS)


# Marks by which chat templates tell who speaks: a server that does not escape them would take a document for a speaker.
_TEMPLATE = re.compile(r"<\||\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>", re.IGNORECASE)


def defanged(text: str) -> str:
    """Return the text without the marks of chat templates: their brackets in full width."""
    return _TEMPLATE.sub(lambda mark: mark[0].translate(_MARKUP), text)
