"""XLSX to Document: each sheet a section, each row a line of its cells as a reader sees them."""

import io
import re
import warnings
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import ParseError

from lxml import etree
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from pincite.document import Document
from pincite.errors import CorruptDocument
from pincite.parsing import formats
from pincite.parsing.archive import Archive
from pincite.parsing.html import CELL_GAP
from pincite.parsing.naming import sensible_title, shown_name, title_from_name
from pincite.parsing.text_builder import TextBuilder
from pincite.parsing.xlsx_display import shown
from pincite.parsing.zip_damage import ZIP_DAMAGE

MAX_ROWS = 1_048_576  # of the format itself; a damaged row number would have the reader count to it
MAX_COLUMNS = 16_384
_HIDDEN_TAG = re.compile(rb'<(?:\w{1,20}:)?(row|col)\b[^>]*?\bhidden="(?:1|true)"[^>]*>')
_NUMBER = re.compile(rb'\b(r|min|max)="(\d{1,9})"')
_READ_ERRORS = (
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    InvalidFileException,
    ParseError,
    etree.LxmlError,
    *ZIP_DAMAGE,
)
_FORMULA_WITHOUT_VALUE = re.compile(rb"<f[ >/](?:(?!</?c[ >]).)*?(?:</f>|/>)\s*(?:<v\s*/>|<v></v>)?\s*</c>", re.DOTALL)


def parse_xlsx(data: bytes, name: str) -> Document:
    """Return the document of a workbook; formulas stand as the values stored with them.

    Raises CorruptDocument, EncryptedDocument, DocumentTooLarge.
    """
    archive = Archive(data, name)
    archive.refuse_entities()
    builder = TextBuilder()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about extensions that it does not keep when writing
            workbook = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
            visible = [sheet for sheet in workbook.worksheets if sheet.sheet_state == "visible"]
            hidden = len(workbook.worksheets) - len(visible)
            read = [_sheet_was_read(sheet, n, archive, builder) for n, sheet in enumerate(visible, start=1)]
            failed = read.count(False)
    except _READ_ERRORS as error:
        raise CorruptDocument(f"{shown_name(name)}: the workbook cannot be read; save it again") from error
    if failed and builder.is_empty:
        raise CorruptDocument(f"{shown_name(name)}: none of its sheets can be read; save the workbook again")
    if hidden:
        builder.warn("hidden_sheets", f"{hidden} hidden sheets were not indexed; unhide them to have them indexed")
    if missing := _formulas_without_value(archive):
        message = f"{missing} formulas have no stored result; open the workbook in a spreadsheet program and save it"
        builder.warn("formulas_without_value", message)
    return builder.build(sensible_title(archive.core_title()) or title_from_name(name), formats.XLSX)


def _sheet_was_read(sheet: Any, number: int, archive: Archive, builder: TextBuilder) -> bool:
    """Add a sheet; where it breaks off, what was read stays, with a warning."""
    try:
        _add_sheet(sheet, archive, builder)
    except _READ_ERRORS:
        builder.warn("sheet_failed", f"sheet {number} is damaged; a part of it was not indexed")
        return False
    return True


def _add_sheet(sheet: Any, archive: Archive, builder: TextBuilder) -> None:
    # The stated dimension may be the whole sheet; without it, rows are as wide as their last cell and gaps are empty.
    sheet.reset_dimensions()
    rows = _rows(sheet, _Hidden(archive.read(str(sheet._worksheet_path).lstrip("/"))), builder)
    first = next(rows, None)
    if first is None:
        return
    builder.heading(sheet.title, 1)
    with builder.table():
        builder.row(first)
        for row in rows:
            builder.row(row)


def _rows(sheet: Any, hidden: "_Hidden", builder: TextBuilder) -> Iterator[str]:
    """Yield the rows that hold something; columns that are empty keep their place between two that are not."""
    for number, row in enumerate(sheet.rows, start=1):
        if number > MAX_ROWS:
            raise ValueError("a row number is beyond the format's last")
        if not row:
            continue
        cells = [" ".join(shown(c.value, c.number_format).split()) if c.value is not None else "" for c in row]
        if number in hidden.rows:
            builder.hide("".join(cells))
            continue
        for column in hidden.columns:
            if column <= len(cells):
                builder.hide(cells[column - 1])
                cells[column - 1] = ""
        if any(cells):
            yield _joined(cells)


class _Hidden:
    """The 1-based rows and columns of a sheet that a reader does not see, which openpyxl passes over."""

    def __init__(self, sheet: bytes) -> None:
        self.rows: set[int] = set()
        self.columns: set[int] = set()
        if b'hidden="' not in sheet:
            return
        for tag in _HIDDEN_TAG.finditer(sheet):
            numbers = {name: int(value) for name, value in _NUMBER.findall(tag[0])}
            if tag[1] == b"row":
                self.rows.add(numbers.get(b"r", 0))
            elif 0 < numbers.get(b"min", 0) <= numbers.get(b"max", 0) <= MAX_COLUMNS:
                self.columns.update(range(numbers[b"min"], numbers[b"max"] + 1))


def _joined(cells: list[str]) -> str:
    """Join the cells; a long run of empty ones, as between the corners of a vast sheet, is one gap."""
    line = CELL_GAP.join(cells)
    return re.sub(r"(?: \| ){4,}", " | | ", line).strip(" |") if len(cells) > 64 else line.rstrip(" |")


def _formulas_without_value(archive: Archive) -> int:
    sheets = (n for n in archive.names if n.startswith("xl/worksheets/") and n.endswith(".xml"))
    return sum(len(_FORMULA_WITHOUT_VALUE.findall(archive.read(n))) for n in sheets)
