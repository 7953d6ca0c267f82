"""Assembles a document's text with its blocks, sections and pages, for formats whose text is not the file itself."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pincite.document import Document, Page, ParseWarning, Section, Table, Words
from pincite.parsing.naming import clean_title

# Control characters and lone surrogates carry no text; the tab and the new line do.
_NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
PARAGRAPH_GAP = "\n\n"
ROW_GAP = "\n"


def table_of(text: str, rows: Sequence[tuple[int, int]]) -> Table | None:
    """Return the table of these rows, or None where it has no header: a first row of words rather than of figures."""
    if len(rows) < 2:
        return None
    (start, header_end), end = rows[0], rows[-1][1]
    header = text[start:header_end]
    letters, figures = sum(map(str.isalpha, header)), sum(map(str.isdigit, header))
    return Table(start, header_end, end) if letters > 2 * figures else None


def hidden_text_warning(characters: int, where: str = "") -> ParseWarning:
    """Return the warning that text a reader does not see was left out; it is what hides words for models."""
    place = f" ({where})" if where else ""
    return ParseWarning("hidden_text", f"{characters} characters hidden from the reader were left out{place}")


class TextBuilder:
    """Grows the text block by block; every block added is a range that should stay together."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[tuple[int, int]] = []
        self._sections: list[Section] = []
        self._pages: list[Page] = []
        self._page_start: int | None = None
        self._warnings: list[ParseWarning] = []
        self._last_was_row = False
        self._pending_section: tuple[str, int] | None = None
        self._hidden = 0
        self._tables: list[tuple[int, int]] = []  # the first block and the one behind the last of each

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections so far."""
        return tuple(self._sections)

    @property
    def is_empty(self) -> bool:
        """Whether no block was added yet."""
        return not self._blocks

    def block(self, text: str) -> None:
        """Add a paragraph or list item; white space around it is dropped, and nothing is added for an empty one."""
        self._add(text, row=False)

    def row(self, text: str) -> None:
        """Add a table row or another line that stands directly under the one before."""
        self._add(text, row=True)

    def end_rows(self) -> None:
        """Let the next row begin a new group, apart from the rows before."""
        self._last_was_row = False

    @contextmanager
    def table(self) -> Iterator[None]:
        """Take the rows added in the block for one table, whose first row is its header where it reads like one."""
        first = len(self._blocks)
        yield
        self._tables.append((first, len(self._blocks)))

    def heading(self, text: str, level: int) -> None:
        """Add a block that begins a section; `level` 1 is the top."""
        start = self._add(text, row=False)
        if start is not None:
            self._sections.append(Section(start, level, clean_title(text)))

    def section_at_next_block(self, title: str, level: int) -> None:
        """Begin a section at the next block added, under a `title` that stands elsewhere in the file."""
        self._pending_section = (title, level)

    def begin_page(self) -> None:
        """Start the next physical page; what is added until `end_page` stands on it."""
        self._page_start = None

    def end_page(self, number: int, width: float, height: float) -> bool:
        """Close the page with the 1-based `number`, sizes in points; return whether it holds any text."""
        empty = self._page_start is None
        start = self._length if self._page_start is None else self._page_start
        self._pages.append(Page(number, None, start, self._length, width, height, Words.none()))
        self._page_start = None
        self._last_was_row = False
        return not empty

    def warn(self, code: str, message: str, page: int | None = None) -> None:
        """Add something that a reader of the document should know; never the document's text."""
        self._warnings.append(ParseWarning(code, message, page))

    def hide(self, text: str) -> None:
        """Count text that is left out because a reader of the document does not see it."""
        self._hidden += len("".join(text.split()))

    def build(self, title: str, media_type: str) -> Document:
        """Return the document; where `title` is empty, the first heading is the title."""
        if self._hidden:
            self._warnings.append(hidden_text_warning(self._hidden))
        text = "".join(self._parts)
        tables = (table_of(text, self._blocks[first:after]) for first, after in self._tables)
        title = clean_title(title) or (self._sections[0].title if self._sections else "")
        return Document(
            title=title,
            media_type=media_type,
            text=text,
            pages=tuple(self._pages),
            sections=tuple(self._sections),
            blocks=tuple(self._blocks),
            warnings=tuple(self._warnings),
            tables=tuple(table for table in tables if table),
        )

    def _add(self, text: str, row: bool) -> int | None:
        text = _NOT_TEXT.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
        if not text:
            return None
        if self._parts:
            self._append(ROW_GAP if row and self._last_was_row else PARAGRAPH_GAP)
        start = self._length
        self._append(text)
        self._blocks.append((start, self._length))
        self._last_was_row = row
        if self._pending_section:
            title, level = self._pending_section
            self._sections.append(Section(start, level, clean_title(title)))
            self._pending_section = None
        if self._page_start is None:
            self._page_start = start
        return start

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
