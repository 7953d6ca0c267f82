"""Formats whose text is the file itself: plain text, CSV, JSON and source code. Kept verbatim, cut into blocks."""

import re
from collections.abc import Iterator
from itertools import pairwise

from pincite.document import Document, ParseWarning, Section, Table
from pincite.errors import DocumentTooLarge
from pincite.parsing import encodings, formats
from pincite.parsing.naming import clean_title, shown_name, title_from_name
from pincite.parsing.numbered_sections import numbered_sections
from pincite.parsing.text_builder import table_of

# Above this the text cannot be addressed by the 32-bit offsets of `Words`, nor indexed in reasonable time.
MAX_CHARACTERS = 200_000_000
_LONG_PARAGRAPH = 2000
_SENTENCE_ENDS = frozenset(".!?:;。！？：；…”」』")

_Range = tuple[int, int]
_BLANK_LINES = re.compile(r"\n(?:[ \t\u3000]*\n)+")
_TOP_LEVEL = re.compile(
    r"^(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|pub(?:\([^)\n]*\))?|unsafe|open)"
    r"[ \t]+)*(?P<kind>def|class|interface|enum|trait|struct|impl|func|fn|function|module|object|record)\b[^\n]*",
    re.MULTILINE,
)
_SQL_TOP_LEVEL = re.compile(
    r"^CREATE[ \t]+(?:OR[ \t]+REPLACE[ \t]+)?(?:TABLE|VIEW|FUNCTION|PROCEDURE|INDEX|TRIGGER)\b[^\n(]*",
    re.MULTILINE | re.IGNORECASE,
)


def decode_file(data: bytes, name: str) -> tuple[str, tuple[ParseWarning, ...]]:
    """Return the file's text with its line ends as "\\n", and a warning where bytes could not be decoded."""
    decoded = encodings.decode(data)
    text = decoded.text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > MAX_CHARACTERS:
        raise DocumentTooLarge(f"{shown_name(name)}: the text is over {MAX_CHARACTERS} characters; split the file")
    warnings = []
    if decoded.undecoded_bytes:
        message = f"{decoded.undecoded_bytes} bytes could not be decoded; save the file as UTF-8"
        warnings.append(ParseWarning("undecoded_bytes", message))
    if " and " in decoded.encoding:
        warnings.append(ParseWarning("mixed_encodings", f"the file mixes {decoded.encoding}; save it as UTF-8"))
    return text, tuple(warnings)


def parse_text(data: bytes, name: str, media_type: str) -> Document:
    """Return the document of a plain text, CSV, JSON or source file. Raises DocumentTooLarge."""
    text, warnings = decode_file(data, name)
    sections: tuple[Section, ...] = ()
    tables: tuple[Table, ...] = ()
    if media_type in {formats.CSV, formats.TSV}:
        blocks = list(_records(text))
        tables = tuple(filter(None, [table_of(text, blocks)]))
    elif media_type == formats.JSON:
        blocks = list(_outer_lines(text))
    elif media_type == formats.TEXT:
        blocks = list(paragraphs(text))
        sections = numbered_sections(text, blocks)
    else:
        blocks = list(_spans_between(text, _BLANK_LINES))
        sections = _definitions(text, media_type)
    return Document(
        title_from_name(name),
        media_type,
        text,
        sections=sections,
        blocks=tuple(blocks),
        warnings=warnings,
        tables=tables,
    )


def paragraphs(text: str, first: int = 0, last: int | None = None) -> Iterator[_Range]:
    """Yield the paragraphs between blank lines; one that is very long is cut where its lines look like paragraphs."""
    for start, end in _spans_between(text, _BLANK_LINES, first, last):
        if end - start <= _LONG_PARAGRAPH:
            yield start, end
        else:
            yield from _lines_that_end(text, start, end)


def _lines_that_end(text: str, first: int, last: int) -> Iterator[_Range]:
    """Cut after a line that ends a sentence or stops well short of the others: the rest are lines wrapped by width."""
    lines = list(_spans_between(text, re.compile("\n"), first, last))
    width = max((end - start for start, end in lines), default=0)
    start = first
    for line_start, line_end in lines:
        if text[line_end - 1] in _SENTENCE_ENDS or line_end - line_start < 0.7 * width:
            yield from _stripped(text, start, line_end)
            start = line_end
    yield from _stripped(text, start, last)


def _spans_between(text: str, gap: re.Pattern[str], first: int = 0, last: int | None = None) -> Iterator[_Range]:
    last = len(text) if last is None else last
    start = first
    for found in gap.finditer(text, first, last):
        yield from _stripped(text, start, found.start())
        start = found.end()
    yield from _stripped(text, start, last)


def _stripped(text: str, start: int, end: int) -> Iterator[_Range]:
    """Yield the range without the white space around it, but with its indentation; nothing where it is empty."""
    body = text[start:end]
    left = len(body) - len(body.lstrip("\n"))
    right = len(body.rstrip())
    if left < right and not body[left:right].isspace():
        yield start + left, start + right


def _records(text: str) -> Iterator[_Range]:
    """Yield the records of a CSV: a line, or several where a quoted field holds line ends.

    A quote that nothing closes would swallow the rest of the file; then each line is a record.
    """
    ranges: list[_Range] = []
    start, open_quote = 0, False
    for line in re.finditer(r"[^\n]*(?:\n|\Z)", text):
        open_quote ^= line[0].count('"') % 2 == 1
        if not open_quote:
            ranges.extend(_stripped(text, start, line.end()))
            start = line.end()
    if open_quote:
        return _spans_between(text, re.compile("\n"))
    return iter(ranges)


def _outer_lines(text: str) -> Iterator[_Range]:
    """Yield JSON in pieces that begin at the lines of least indentation: its records, or its top members."""
    starts = [m.start() for m in re.finditer(r"^[ \t]*[^\s\]}]", text, re.MULTILINE)]
    if len(starts) < 3:
        return _stripped(text, 0, len(text))
    indents = [len(re.match(r"[ \t]*", text[s : s + 64])[0]) for s in starts]  # type: ignore[index]
    opens_one_value = indents[0] == 0 and indents.count(0) == 1
    least = min(i for i in indents if i > 0 or not opens_one_value)
    cuts = [0, *(s for s, i in zip(starts[1:], indents[1:], strict=True) if i <= least), len(text)]
    return (r for a, b in pairwise(cuts) for r in _stripped(text, a, b))


def _definitions(text: str, media_type: str) -> tuple[Section, ...]:
    """The top-level functions and classes: lines that begin with such a word and are not indented."""
    pattern = _SQL_TOP_LEVEL if media_type.endswith("=sql") else _TOP_LEVEL
    return tuple(Section(m.start(), 1, clean_title(m[0].rstrip(" :{("))) for m in pattern.finditer(text))
