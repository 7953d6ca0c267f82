"""PPTX to Document: each slide is a page, its title a section; then its text, tables, charts and notes."""

import io
from collections.abc import Iterator
from typing import Any

from lxml import etree
from pptx import Presentation
from pptx.exc import PythonPptxError
from pptx.util import Emu

from pincite.document import Document
from pincite.errors import CorruptDocument, DocumentError
from pincite.parsing import formats
from pincite.parsing.archive import Archive, attribute, local
from pincite.parsing.drawing_text import chart_rows, paragraph_texts
from pincite.parsing.html import CELL_GAP
from pincite.parsing.naming import sensible_title, shown_name
from pincite.parsing.text_builder import TextBuilder
from pincite.parsing.zip_damage import ZIP_DAMAGE

_EMU_PER_POINT = 12_700
_MAX_GROUP_DEPTH = 30
# Footer, date and slide number: the same on every slide, and none of what it says.
_FURNITURE = {"sldNum", "ftr", "dt"}
_READ_ERRORS = (
    PythonPptxError,
    KeyError,
    AttributeError,
    IndexError,
    TypeError,
    etree.LxmlError,
    *ZIP_DAMAGE,
)


def parse_pptx(data: bytes, name: str) -> Document:
    """Return the document of a presentation. Raises CorruptDocument, EncryptedDocument, DocumentTooLarge."""
    archive = Archive(data, name)
    archive.refuse_entities()
    try:
        presentation = Presentation(io.BytesIO(data))
        slides = list(presentation.slides)
        width, height = presentation.slide_width or Emu(0), presentation.slide_height or Emu(0)
    except _READ_ERRORS as error:
        raise CorruptDocument(f"{shown_name(name)}: the presentation cannot be read; save it again") from error
    if not slides:
        raise CorruptDocument(f"{shown_name(name)}: the presentation has no slide; save it again")
    builder = TextBuilder()
    failed = 0
    for number, slide in enumerate(slides, start=1):
        builder.begin_page()
        try:
            _add_slide(slide, number, builder)
        except DocumentError:
            raise
        except _READ_ERRORS:
            failed += 1
            builder.warn("page_failed", f"slide {number} cannot be read", number)
        if not builder.end_page(number, width / _EMU_PER_POINT, height / _EMU_PER_POINT):
            builder.warn("page_without_text", f"slide {number} has no text; it may be a picture", number)
    if failed == len(slides):
        raise CorruptDocument(f"{shown_name(name)}: none of its {len(slides)} slides can be read; save it again")
    return builder.build(sensible_title(archive.core_title()), formats.PPTX)


def _add_slide(slide: Any, number: int, builder: TextBuilder) -> None:
    title = slide.shapes.title
    if title is not None and title.has_text_frame and (text := _flat(title.text_frame.text)):
        builder.heading(text, 1)
    for shape in _reading_order(_shapes(slide.shapes, 0)):
        if title is None or shape.shape_id != title.shape_id:
            _add_shape(shape, number, builder)
    if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
        for paragraph in notes.paragraphs:
            builder.row(_paragraph(paragraph))


def _shapes(shapes: Any, depth: int) -> Iterator[Any]:
    for shape in shapes:
        if hasattr(shape, "shapes") and depth < _MAX_GROUP_DEPTH:
            yield from _shapes(shape.shapes, depth + 1)
        elif not _is_hidden(shape):
            yield shape


def _reading_order(shapes: Iterator[Any]) -> list[Any]:
    """Top to bottom in bands of a third of an inch, left to right within; a shape without a place keeps its turn."""
    placed = []
    turn = (0, 0)
    for shape in shapes:
        if shape.top is not None and shape.left is not None:
            turn = (round(shape.top / Emu(304_800)), shape.left)
        placed.append((turn, shape))
    return [shape for _, shape in sorted(placed, key=lambda item: item[0])]


def _add_shape(shape: Any, number: int, builder: TextBuilder) -> None:
    if shape.is_placeholder:
        if shape.top is None:
            builder.warn("misplaced_shape", f"slide {number} has a placeholder that its layout does not know", number)
        if _placeholder_kind(shape) in _FURNITURE and shape.top is not None:
            return
    if getattr(shape, "has_table", False) and shape.has_table:
        with builder.table():
            for row in shape.table.rows:
                cells = [_flat(cell.text_frame.text) for cell in row.cells]
                if any(cells):
                    builder.row(CELL_GAP.join(cells))
    elif getattr(shape, "has_chart", False) and shape.has_chart:
        for line in chart_rows(shape.chart._chartSpace):
            builder.row(line)
    elif shape.has_text_frame:
        for paragraph in shape.text_frame.paragraphs:
            builder.row(_paragraph(paragraph))
        builder.end_rows()
    else:
        for text in _diagram(shape):
            builder.row(text)


def _paragraph(paragraph: Any) -> str:
    """The paragraph's text with its line breaks; python-pptx writes a soft break as a vertical tab."""
    text: str = paragraph.text
    return text.replace("\v", "\n").strip()


def _flat(text: str) -> str:
    return " ".join(text.split())


def _placeholder_kind(shape: Any) -> str:
    return next((attribute(e, "type") or "" for e in shape.element.iter() if local(e.tag) == "ph"), "")


def _is_hidden(shape: Any) -> bool:
    return any(local(e.tag) == "cNvPr" and e.get("hidden") in {"1", "true"} for e in list(shape.element.iter())[:4])


def _diagram(shape: Any) -> Iterator[str]:
    """Yield the text of a SmartArt diagram, which lives in a part of its own."""
    for element in shape.element.iter():
        if local(element.tag) == "relIds" and (relation_id := attribute(element, "dm")):
            part = shape.part.related_part(relation_id)
            parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
            yield from paragraph_texts(etree.fromstring(part.blob, parser))
