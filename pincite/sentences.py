"""Where sentences begin and end, in any of the languages a document may mix."""

import re
from collections.abc import Iterator

import sentencex

# Hanzi, kana and fullwidth forms: enough of them and the Chinese rules cut better than the English ones.
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]")
# A terminator at the end of a visual line whose next line starts anew, which the rules above take for an abbreviation.
_CLAUSE_END = re.compile(r"[;；:：]\s*\n")
# White space of several bytes is a space to the segmenter, which takes each for one byte long: it panics on "V", a
# no-break space and a full stop.
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")


def sentences(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield the sentences of `text[start:end]` as ranges of `text`, without the white space around them.

    Together the ranges cover every character that is not white space.
    """
    piece = text[start:end]
    if not piece.strip():
        return
    language = "en"
    if not piece.isascii():
        piece = _WIDE_SPACE.sub(" ", piece)
        language = "zh" if len(_CJK.findall(piece)) * 4 > len(piece) else "en"
    position = 0
    for sentence in _segmented(language, piece):
        # Looked for, because white space between two sentences is at times in neither of them.
        found = piece.find(sentence, position)
        after = (found if found >= 0 else position) + len(sentence)
        yield from _trimmed_clauses(text, start + position, start + after)
        position = after
    yield from _trimmed_clauses(text, start + position, start + len(piece))


def _segmented(language: str, piece: str) -> list[str]:
    """Return the segmenter's sentences; where it panics on a line, that line is one, or the job would end with it."""
    try:
        return list(sentencex.segment(language, piece))
    except BaseException as panic:
        # What a panic of Rust code raises is no Exception, and its class cannot be imported.
        if type(panic).__name__ != "PanicException":
            raise
    lines = piece.splitlines(keepends=True)
    return [piece] if len(lines) == 1 else [part for line in lines for part in _segmented(language, line)]


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the range without the white space at its two ends; an empty range where there is nothing else."""
    piece = text[start:end]
    stripped = piece.strip()
    if not stripped:
        return start, start
    begin = start + len(piece) - len(piece.lstrip())
    return begin, begin + len(stripped)


def _trimmed_clauses(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for begin, stop in _clauses(text, start, end):
        trimmed = trim(text, begin, stop)
        if trimmed[0] < trimmed[1]:
            yield trimmed


def _clauses(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _CLAUSE_END.finditer(text, start, end):
        yield start, match.end()
        start = match.end()
    yield start, end
