"""DOCX to Document: headings, paragraphs with their automatic numbers, tables row by row, notes, text boxes.

WordprocessingML is read directly: converters by way of HTML drop the numbers that Word computes ("第五条", "8.2"),
which are what a contract is cited by, and keep hidden text. Deleted text, hidden text and comments are left out.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pincite.document import Document
from pincite.errors import CorruptDocument
from pincite.parsing import formats
from pincite.parsing.archive import Archive, attribute, child, children, local
from pincite.parsing.docx_numbering import Numbering
from pincite.parsing.docx_styles import ParagraphFormat, Styles
from pincite.parsing.drawing_text import chart_rows, paragraph_texts
from pincite.parsing.html import CELL_GAP
from pincite.parsing.naming import sensible_title, shown_name
from pincite.parsing.numbered_sections import numbered_sections
from pincite.parsing.text_builder import TextBuilder

_TRANSPARENT = {
    "sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "hyperlink", "fldSimple", "dir", "bdo", "ruby",
    "rubyBase", "r", "oMath", "oMathPara",
}  # fmt: skip
_LEFT_OUT = {
    "del",
    "moveFrom",
    "delText",
    "instrText",
    "delInstrText",
    "rt",
    "pPr",
    "rPr",
    "sdtPr",
    "sdtEndPr",
    "tblPr",
}
_CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "\u2011", "ptab": "\t"}
_TOO_SMALL = {"0", "1", "2"}  # half points
_MAX_DEPTH = 60  # of nested tables and content controls; Word itself stops at 63


def parse_docx(data: bytes, name: str) -> Document:
    """Return the document of a Word file. Raises CorruptDocument, EncryptedDocument, DocumentTooLarge."""
    archive = Archive(data, name)
    archive.refuse_entities()
    main = _main_part(archive)
    root = archive.xml(main)
    body = child(root, "body") if root is not None else None
    if body is None:
        raise CorruptDocument(f"{shown_name(name)}: the file has no document part; export it again from its program")
    reading = _Reading(archive, main)
    reading.blocks(body, 0)
    reading.page_margins(root)
    title = reading.title or sensible_title(archive.core_title())
    document = reading.builder.build(title, formats.DOCX)
    styled = document.sections
    sections = numbered_sections(document.text, document.blocks, styled, only_chinese=bool(styled))
    return replace(document, sections=sections)


def _main_part(archive: Archive) -> str:
    root = archive.xml("_rels/.rels")
    for relation in root if root is not None else ():
        if str(relation.get("Type", "")).endswith("/officeDocument"):
            return str(relation.get("Target", "")).lstrip("/")
    return "word/document.xml"


class _Reading:
    """One pass over a document, with the numbers counted so far and the notes still to be placed."""

    def __init__(self, archive: Archive, main: str) -> None:
        self.builder = TextBuilder()
        self.title = ""
        self._archive = archive
        self._relations = archive.relations(main)
        self._parts = dict(self._relations.values())
        self._styles = Styles(self._part("styles"))
        self._numbering = Numbering(self._part("numbering"))
        self._due: list[str] = []  # notes and text boxes that follow the paragraph they are anchored in
        self._placed: dict[tuple[str, str], int] = {}  # the notes referred to so far, with their numbers
        # Empty while they are read: a note that refers to a note, or to itself, gets no mark.
        self._notes: dict[str, dict[str, str]] = {"footnote": {}, "endnote": {}}
        self._notes = {kind: self._read_notes(kind) for kind in self._notes}

    def blocks(self, container: Any, depth: int) -> None:
        """Add the paragraphs and tables of a body, a cell or a content control."""
        if depth > _MAX_DEPTH:
            return
        for element in container:
            kind = local(element.tag)
            if kind == "p":
                self._add_paragraph(element)
            elif kind == "tbl":
                self._add_table(element, depth)
            elif kind == "AlternateContent":
                self.blocks(_chosen(element), depth + 1)
            elif kind in _TRANSPARENT:
                self.blocks(element, depth + 1)
            elif kind == "altChunk":
                self.builder.warn("part_not_indexed", "an embedded document was not indexed; add it by itself")

    def page_margins(self, root: Any) -> None:
        """Add the headers and footers, each text once: a contract's number may stand nowhere else."""
        seen = set()
        for kind, member in self._relations.values():
            part = self._archive.xml(member) if kind in {"header", "footer"} else None
            for paragraph in part.iter() if part is not None else ():
                text = self._text(paragraph).strip() if local(paragraph.tag) == "p" else ""
                if sum(c.isalpha() for c in text) > 3 and text not in seen:
                    seen.add(text)
                    self.builder.block(text)
        self._place_due()

    def _add_paragraph(self, paragraph: Any) -> None:
        text, format_ = self._labelled(paragraph)
        if format_.is_title and not self.title:
            self.title = sensible_title(text)
        if format_.heading and text.strip():
            self.builder.heading(" ".join(text.split()), format_.heading)
        elif format_.number_id or format_.in_contents:
            self.builder.row(text)
        else:
            self.builder.block(text)
        self._place_due()

    def _labelled(self, paragraph: Any) -> tuple[str, ParagraphFormat]:
        properties = child(paragraph, "pPr")
        format_ = self._styles.paragraph(properties)
        text = self._text(paragraph, format_.hidden)
        if text.strip() and format_.number_id:
            text = self._numbering.label(format_.number_id, format_.depth) + text.lstrip()
        return text, format_

    def _add_table(self, table: Any, depth: int) -> None:
        rows = [list(_cells(row)) for row in _rows(table)]
        if all(len(cells) <= 1 for cells in rows) or self._holds_headings(table):
            for cells in rows:
                for cell in cells:
                    self.blocks(cell, depth + 1)
            return
        with self.builder.table():
            for cells in rows:
                texts = [self._cell_text(cell, depth + 1) for cell in cells]
                if any(texts):
                    self.builder.row(CELL_GAP.join(texts))
        self._place_due()

    def _cell_text(self, cell: Any, depth: int) -> str:
        """The cell on one line; a table inside it follows its text, cell after cell."""
        parts = []
        for element in cell:
            kind = local(element.tag)
            if kind == "p":
                parts.append(self._labelled(element)[0])
            elif kind == "tbl" and depth < _MAX_DEPTH:
                parts.extend(self._cell_text(c, depth + 1) for row in _rows(element) for c in _cells(row))
            elif kind in _TRANSPARENT and depth < _MAX_DEPTH:
                parts.append(self._cell_text(element, depth + 1))
        return " ".join(" ".join(parts).split())

    def _holds_headings(self, table: Any) -> bool:
        return any(local(e.tag) == "p" and self._styles.paragraph(child(e, "pPr")).heading for e in table.iter())

    def _text(self, paragraph: Any, hidden: bool = False) -> str:
        return "".join(self._inline(paragraph, hidden, 0))

    def _inline(self, element: Any, hidden: bool, depth: int) -> Iterator[str]:
        if depth > _MAX_DEPTH:
            return
        for part in element:
            kind = local(part.tag)
            if kind in _LEFT_OUT:
                continue
            if kind == "r":
                stated = self._styles.run_is_hidden(child(part, "rPr"))
                if (hidden if stated is None else stated) or _is_unseen(part):
                    self.builder.hide("".join(text.text or "" for text in part.iter() if local(text.tag) == "t"))
                else:
                    yield from self._inline(part, hidden, depth + 1)
            elif kind == "t":
                yield part.text or ""
            elif kind in _CHARACTERS:
                yield _CHARACTERS[kind]
            elif kind in {"footnoteReference", "endnoteReference"}:
                yield self._note_mark(kind.removesuffix("Reference"), attribute(part, "id") or "")
            elif kind == "AlternateContent":
                yield from self._inline(_chosen(part), hidden, depth + 1)
            elif kind in {"drawing", "pict", "object"}:
                self._collect_drawing(part)
            else:
                yield from self._inline(part, hidden, depth + 1)

    def _note_mark(self, kind: str, note_id: str) -> str:
        text = self._notes[kind].get(note_id, "")
        if not text:
            return ""
        number = self._placed.get((kind, note_id))
        if number is None:
            # Its text stands in the document once, however often it is referred to.
            number = self._placed[kind, note_id] = len(self._placed) + 1
            self._due.append(f"[{number}] {text}")
        return f"[{number}]"

    def _collect_drawing(self, drawing: Any) -> None:
        """Keep the text of a text box, chart or diagram for after the paragraph it is anchored in."""
        for element in drawing.iter():
            kind = local(element.tag)
            if kind == "txbxContent":
                for paragraph in (p for p in element.iter() if local(p.tag) == "p"):
                    if text := self._text(paragraph).strip():
                        self._due.append(text)
            elif kind == "chart" and (part := self._related(attribute(element, "id"))) is not None:
                self._due.extend(chart_rows(part))
            elif kind == "relIds" and (part := self._related(attribute(element, "dm"))) is not None:
                self._due.extend(paragraph_texts(part))

    def _place_due(self) -> None:
        due, self._due = self._due, []
        for text in due:
            self.builder.row(text)

    def _related(self, relation_id: str | None) -> Any | None:
        member = self._relations.get(relation_id or "", ("", ""))[1]
        return self._archive.xml(member) if member else None

    def _part(self, kind: str) -> Any | None:
        return self._archive.xml(self._parts[kind]) if kind in self._parts else None

    def _read_notes(self, kind: str) -> dict[str, str]:
        root = self._part(kind + "s")
        notes = {}
        for note in children(root, kind) if root is not None else ():
            if attribute(note, "type") in {None, "normal"}:
                paragraphs = [p for p in note.iter() if local(p.tag) == "p"]
                text = " ".join(t for p in paragraphs if (t := "".join(self._inline(p, False, 0)).strip()))
                notes[attribute(note, "id") or ""] = text
        return notes


def _is_unseen(run: Any) -> bool:
    """Whether a run is too small to read, or white with nothing behind it."""
    properties = child(run, "rPr")
    if properties is None:
        return False
    size, colour = (child(properties, name) for name in ("sz", "color"))
    if size is not None and attribute(size, "val") in _TOO_SMALL:
        return True
    is_white = colour is not None and (attribute(colour, "val") or "").upper() == "FFFFFF"
    return is_white and not children(properties, "shd", "highlight") and not any(map(_has_ground, run.iterancestors()))


def _has_ground(element: Any) -> bool:
    """Whether what is around a run may be of another colour than the paper: a table, a shape, a shaded paragraph."""
    kind = local(element.tag)
    if kind == "p":
        properties = child(element, "pPr")
        return properties is not None and bool(children(properties, "shd", "pStyle"))
    return kind in {"tbl", "txbxContent", "drawing", "pict"} or (
        kind == "document" and bool(children(element, "background"))
    )


def _rows(table: Any) -> Iterator[Any]:
    for element in table:
        kind = local(element.tag)
        if kind == "tr":
            properties = child(element, "trPr")
            if properties is None or not children(properties, "del", "hidden"):
                yield element
        elif kind in _TRANSPARENT:
            yield from _rows(element)


def _cells(row: Any) -> Iterator[Any]:
    for element in row:
        kind = local(element.tag)
        if kind == "tc":
            yield element
        elif kind in _TRANSPARENT:
            yield from _cells(element)


def _chosen(alternatives: Any) -> Any:
    """The first choice: both hold the same text, for newer and for older readers."""
    choice = child(alternatives, "Choice")
    found = choice if choice is not None else child(alternatives, "Fallback")
    return found if found is not None else ()
