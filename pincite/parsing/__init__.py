"""Documents in, `Document`s out: every format, and the worker processes that the parsers run in."""

import re
from collections.abc import Callable
from dataclasses import replace

from pincite.document import Document
from pincite.errors import CorruptDocument, EmptyDocument, UnsupportedFormat
from pincite.parsing import formats
from pincite.parsing.naming import clean_title, shown_name, title_from_name
from pincite.parsing.text_builder import hidden_text_warning
from pincite.tesseract import Recognition

__all__ = ["parse"]

_NEVER_TEXT = re.compile("[\x00\ud800-\udfff]")
# Tag characters draw nothing and spell ASCII: words for models alone.
_TAGS = re.compile("[\U000e0000-\U000e007f]")


def parse(data: bytes, name: str, recognition: Recognition | None = None, recognition_s: float = 0.0) -> Document:
    """Return the document in `data`; `name` is its file name, which helps to tell the format.

    With a `recognition`, scanned pages of a PDF are read, for `recognition_s` seconds at the most.

    Call it inside a worker process: a hostile document can hang or kill the parser. Raises DocumentError.
    """
    media_type = formats.detect(data, name)
    if media_type == formats.PDF and recognition is not None:
        from pincite.parsing.pdf import parse_pdf
        from pincite.parsing.recognition import Recogniser

        recogniser = Recogniser(recognition.languages, str(recognition.folder), recognition_s)
        document = parse_pdf(data, name, recogniser)
    else:
        document = _parser(media_type, name)(data, name)
    if not document.pages and not document.text.strip():
        if document.warnings:
            raise CorruptDocument(f"{shown_name(name)}: nothing of it could be read: {document.warnings[0].message}")
        raise EmptyDocument(f"{shown_name(name)}: the document holds no text; nothing was indexed")
    text = document.text
    if _NEVER_TEXT.search(text):
        # One character for one, so that every offset stays true.
        text = _NEVER_TEXT.sub(lambda m: " " if m[0] == "\x00" else "\ufffd", text)
    if tags := len(_TAGS.findall(text)):
        text = _TAGS.sub(" ", text)
        document = replace(document, warnings=(*document.warnings, hidden_text_warning(tags)))
    title = clean_title(document.title) or title_from_name(name)
    return replace(document, title=title, text=text)


def _parser(media_type: str, name: str) -> Callable[[bytes, str], Document]:  # noqa: PLR0911 — one line a format
    """The parser for `media_type`, imported only now: each format's library costs time and memory."""
    if media_type == formats.PDF:
        from pincite.parsing.pdf import parse_pdf

        return parse_pdf
    if media_type == formats.DOCX:
        from pincite.parsing.docx import parse_docx

        return parse_docx
    if media_type == formats.PPTX:
        from pincite.parsing.pptx import parse_pptx

        return parse_pptx
    if media_type == formats.XLSX:
        from pincite.parsing.xlsx import parse_xlsx

        return parse_xlsx
    if media_type == formats.HTML:
        from pincite.parsing.html import parse_html

        return parse_html
    if media_type == formats.EPUB:
        from pincite.parsing.epub import parse_epub

        return parse_epub
    if media_type == formats.EML:
        from pincite.parsing.eml import parse_eml

        return parse_eml
    if media_type == formats.MARKDOWN:
        from pincite.parsing.markdown import parse_markdown

        return parse_markdown
    if formats.is_plain_text(media_type):
        from pincite.parsing.text import parse_text

        return lambda data, name: parse_text(data, name, media_type)
    raise UnsupportedFormat(f"{shown_name(name)}: {media_type} is not supported; {formats.SUPPORTED}")
