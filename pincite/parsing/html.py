"""HTML to text blocks: headings, paragraphs, list items, table rows; what a reader does not see is left out."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from lxml import etree
from lxml import html as lxml_html

from pincite.document import Document
from pincite.errors import CorruptDocument
from pincite.parsing import encodings, formats
from pincite.parsing.naming import shown_name
from pincite.parsing.text_builder import TextBuilder

CELL_GAP = " | "

_LEFT_OUT = {
    "script", "style", "template", "noscript", "head", "iframe", "object", "embed", "applet", "canvas", "svg", "math",
    "audio", "video", "map", "select", "button", "datalist", "textarea", "input", "nav",
}  # fmt: skip
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "dir", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "html", "li", "main", "menu", "ol",
    "p", "pre", "section", "summary", "table", "caption", "thead", "tbody", "tfoot", "tr", "ul",
}  # fmt: skip
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN_STYLE = re.compile(
    r"(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*0?\.?0*\s*(?:;|!|$)"
    r"|font-size\s*:\s*(?:0(?![.\d])|(?:0?\.\d+|1)p[xt])"
    r"|(?:text-indent|left|top)\s*:\s*-\d{4,})",
    re.IGNORECASE,
)
_WHITE_TEXT = re.compile(
    r"(?<![\w-])color\s*:\s*(?:white|#fff(?:fff)?|rgb\(\s*255\s*,\s*255\s*,\s*255\s*\))\s*(?:;|!|$)", re.I
)
_META_CHARSET = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE)
_XML_CHARSET = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{2,40})")


def parse_html(data: bytes, name: str) -> Document:
    """Return the document of an HTML page. Raises CorruptDocument."""
    builder = TextBuilder()
    root = read_html(data, name, builder)
    walk(_main_part(root), builder)
    title = root.findtext(".//title") or ""
    return builder.build(title, formats.HTML)


def _main_part(root: Any) -> Any:
    """The page's own statement of what its content is, if it makes one that holds a good part of the text."""
    found = root.xpath("//main | //*[@role='main']")
    if len(found) == 1 and 4 * len(found[0].text_content()) >= len(root.text_content()):
        return found[0]
    return root


def read_html(data: bytes, name: str, builder: TextBuilder, declared: str | None = None) -> Any:
    """Return the tree of a page, decoded as it declares or as it looks; nothing it refers to is fetched."""
    charset = _XML_CHARSET.search(data[:300]) or _META_CHARSET.search(data[:4096])
    decoded = encodings.decode(data, declared or (charset[1].decode() if charset else None))
    if decoded.undecoded_bytes:
        builder.warn("undecoded_bytes", f"{decoded.undecoded_bytes} bytes could not be decoded; save the file as UTF-8")
    return html_tree(decoded.text, name, builder)


def html_tree(markup: str, name: str, builder: TextBuilder) -> Any:
    """Return the tree of `markup`; what lies deeper than libxml2's limit of 256 elements is cut off, with a warning."""
    parser = lxml_html.HTMLParser(
        encoding="utf-8", no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = lxml_html.document_fromstring(markup.replace("\x00", " ").encode("utf-8", "replace"), parser=parser)
    except (etree.LxmlError, ValueError) as error:
        raise CorruptDocument(f"{shown_name(name)}: the HTML cannot be read; save the page again") from error
    if any("depth" in entry.message.lower() or "huge" in entry.message.lower() for entry in parser.error_log):
        builder.warn("truncated", "the page is nested too deeply; a part of it was not indexed")
    return root


@dataclass(slots=True)
class _Table:
    layout: bool
    cells: list[str] = field(default_factory=list)
    rows: ExitStack = field(default_factory=ExitStack)


def walk(root: Any, builder: TextBuilder, level_of: Callable[[int], int] = lambda level: level) -> None:
    """Add everything a reader of `root` sees to `builder`; `level_of` maps the heading levels of the page."""
    _Walk(builder, level_of).run(root)


class _Walk:
    """One pass over a tree, without recursion: pages may be nested deeper than Python's stack."""

    def __init__(self, builder: TextBuilder, level_of: Callable[[int], int]) -> None:
        self._builder = builder
        self._level_of = level_of
        self._run_on: list[str] = []  # the paragraph that is being collected
        self._tables: list[_Table] = []
        self._lists: list[int | None] = []  # the next number of each open list, None for a bulleted one
        self._pre = 0
        self._marker = ""
        self._headings: list[int] = []

    def run(self, root: Any) -> None:
        events = etree.iterwalk(root, events=("start", "end"))
        for event, element in events:
            tag = element.tag if isinstance(element.tag, str) else ""
            if event == "start":
                hidden = tag not in _LEFT_OUT and _is_hidden(element)
                if hidden or tag in _LEFT_OUT or _is_aside(element):
                    if hidden:
                        self._builder.hide("".join(element.itertext()))
                    events.skip_subtree()
                    element.set("data-left-out", "")
                    continue
                self._start(element, tag)
                self._text(element.text)
            else:
                if element.attrib.pop("data-left-out", None) is None:
                    self._end(tag)
                if element is not root:
                    self._text(element.tail)
        self._flush()

    def _start(self, element: Any, tag: str) -> None:
        if tag in _HEADINGS:
            self._flush()
            self._headings.append(_HEADINGS[tag])
        elif tag == "br":
            self._run_on.append("\n")
        elif tag in {"td", "th"} and self._tables:
            self._flush()
        elif tag == "table":
            self._flush()
            self._tables.append(_Table(layout=_is_layout(element)))
            if not self._tables[-1].layout:
                self._tables[-1].rows.enter_context(self._builder.table())
        elif tag in {"ul", "ol", "menu"}:
            self._flush()
            self._lists.append(_number(element.get("start")) if tag == "ol" else None)
        elif tag == "li":
            self._flush()
            self._marker = self._next_marker(element)
        elif tag in _BLOCKS:
            self._flush()
        if tag == "pre":
            self._pre += 1

    def _end(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._end_heading()
        elif tag in {"td", "th"} and self._tables:
            self._end_cell()
        elif tag == "tr" and self._tables:
            self._end_row()
        elif tag == "table" and self._tables:
            self._flush()
            self._end_row()
            self._tables.pop().rows.close()
        elif tag in _BLOCKS:
            self._flush()
            if tag in {"ul", "ol", "menu"} and self._lists:
                self._lists.pop()
            if tag == "li":
                self._marker = ""
        if tag == "pre":
            self._pre = max(0, self._pre - 1)

    def _text(self, text: str | None) -> None:
        if text:
            self._run_on.append(text if self._pre else re.sub(r"[ \t\r\n\f]+", " ", text))

    def _collected(self) -> str:
        text = "".join(self._run_on)
        self._run_on.clear()
        return text.strip("\n") if self._pre else re.sub(r" *\n *", "\n", re.sub(" {2,}", " ", text)).strip()

    def _flush(self) -> None:
        if self._tables and not self._tables[-1].layout:
            self._run_on.append("\n")  # a paragraph inside a cell ends, the cell goes on
            return
        if text := self._collected():
            if self._lists:
                self._builder.row(self._marker + text)
            else:
                self._builder.block(text)
            self._marker = ""

    def _end_heading(self) -> None:
        level = self._headings.pop() if self._headings else 1
        if self._tables and not self._tables[-1].layout:
            return
        if text := self._collected():
            self._builder.heading(" ".join(text.split()), self._level_of(level))

    def _end_cell(self) -> None:
        if self._tables[-1].layout:
            self._flush()
            return
        self._tables[-1].cells.append(" ".join(self._collected().split()))

    def _end_row(self) -> None:
        cells = self._tables[-1].cells
        if any(cells):
            self._builder.row(CELL_GAP.join(cells))
        self._tables[-1].cells = []

    def _next_marker(self, element: Any) -> str:
        if not self._lists or self._lists[-1] is None:
            return "- "
        number = _number(element.get("value"), self._lists[-1])
        self._lists[-1] = number + 1
        return f"{number}. "


def _number(value: str | None, otherwise: int = 1) -> int:
    return int(value) if value and re.fullmatch(r"-?\d{1,9}", value.strip()) else otherwise


def _is_hidden(element: Any) -> bool:
    """Whether a reader does not see the element, as its own attributes say; style sheets are not looked at."""
    attributes = element.attrib
    if not attributes:
        return False
    style = attributes.get("style", "")
    return (
        "hidden" in attributes
        or bool(style and _HIDDEN_STYLE.search(style))
        or bool(style and _WHITE_TEXT.search(style) and not _has_ground(element))
    )


def _has_ground(element: Any) -> bool:
    """Whether the element or one around it may have a ground of its own."""
    while element is not None:
        attributes = element.attrib
        if "class" in attributes or "bgcolor" in attributes or "background" in attributes.get("style", ""):
            return True
        element = element.getparent()
    return False


def _is_aside(element: Any) -> bool:
    """Whether the element repeats what stands elsewhere, or leads there: drawings of formulas, navigation."""
    attributes = element.attrib
    return bool(attributes) and (
        attributes.get("aria-hidden", "").lower() == "true" or attributes.get("role") == "navigation"
    )


def _is_layout(table: Any) -> bool:
    """Whether the table arranges the page rather than holds data: a table or heading inside, or one cell a row."""
    if next(table.iterdescendants("table", "h1", "h2", "h3"), None) is not None:
        return True
    return all(sum(1 for cell in row if cell.tag in {"td", "th"}) <= 1 for row in table.iterdescendants("tr"))
