"""What a PDF calls itself."""

import re

from pincite.parsing.document_assembly import Assembly
from pincite.parsing.headings import reads_like_a_title
from pincite.parsing.naming import clean_title, title_from_name
from pincite.parsing.paragraphs import Kind
from pincite.parsing.typographic_headings import prose_blocks

# Titles that a program wrote, not a person.
_NO_TITLE = re.compile(
    r"^(?:microsoft (?:word|powerpoint|excel)|untitled|无标题|document\d*$|slide 1$|print)"
    r"|\.(?:docx?|xlsx?|pptx?|pdf|indd|tex|dvi|rtf|txt|qxd|fm)$",
    re.IGNORECASE,
)
_DOCUMENT_NOUN = re.compile(
    r"\b(?:agreement|contract|lease|report|policy|manual|handbook|guide|plan|statement|terms|notice|regulations?)\b"
    r"|合同|协议|協議|报告|報告|手册|手冊|办法|规定|章程|制度|指南|说明书",
    re.IGNORECASE,
)
_LONGEST = 200
_LONGEST_FOUND_BY_NOUN = 120
_LARGER = 1.15


def document_title(metadata: str | None, assembly: Assembly, name: str) -> str:
    """Return the title of the metadata, else the largest type of page 1, else a line there that names the document.

    Without any of them it is the file's name without its extension.
    """
    title = clean_title(metadata)
    if len(title) > 3 and not _NO_TITLE.search(title):
        return title
    return _largest_type(assembly) or _naming_line(assembly) or title_from_name(name)


def _largest_type(assembly: Assembly) -> str | None:
    text = assembly.text
    first = [line for line in assembly.lines if line.page == 1 and line.kind in (Kind.PROSE, Kind.TABLE_ROW)]
    if not first:
        return None
    largest = max(line.size for line in first)
    ordinary = sorted(line.size for line in first)[len(first) // 2]
    title = clean_title(" ".join(text[line.start : line.end] for line in first if line.size >= 0.95 * largest))
    fits = largest > _LARGER * ordinary and 3 < len(title) <= _LONGEST and any(c.isalpha() for c in title)
    return title if fits else None


def _naming_line(assembly: Assembly) -> str | None:
    text = assembly.text
    for block in prose_blocks(line for line in assembly.lines if line.page == 1):
        title = clean_title(text[block[0].start : block[-1].end])
        if len(title) <= _LONGEST_FOUND_BY_NOUN and _DOCUMENT_NOUN.search(title) and reads_like_a_title(title):
            return title
    return None
