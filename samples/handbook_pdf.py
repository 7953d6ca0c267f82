"""The English handbook: roman front matter, outline, tables, a page in two columns, a page turned by 90 degrees."""

from typing import Any

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    KeepTogether,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    TableStyle,
)
from reportlab.platypus import Table as PdfTable
from reportlab.platypus.tableofcontents import TableOfContents

import markup

TITLE = "Employee and Operations Handbook"
COMPANY = "Tarnwell Instruments"
INK, ACCENT, PALE = colors.HexColor("#1d2733"), colors.HexColor("#14607a"), colors.HexColor("#eaf2f5")
WIDTH, HEIGHT = A4
MARGIN = 25 * mm
FRONT_PAGES = 4  # cover, about, two pages of contents: i to iv

BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=11, leading=15.6, spaceAfter=7, textColor=INK)
CHAPTER = ParagraphStyle("chapter", fontName="Helvetica-Bold", fontSize=21, leading=26, spaceAfter=14, textColor=ACCENT)
SECTION = ParagraphStyle(
    "section",
    fontName="Helvetica-Bold",
    fontSize=13,
    leading=17,
    spaceBefore=9,
    spaceAfter=5,
    textColor=INK,
    keepWithNext=1,
)
PLAIN_CHAPTER = ParagraphStyle("plain chapter", CHAPTER)
CELL = ParagraphStyle("cell", fontName="Helvetica", fontSize=9, leading=11.5, textColor=INK)
HEAD = ParagraphStyle("head", CELL, fontName="Helvetica-Bold", textColor=colors.white)
TERM = ParagraphStyle("term", BODY, fontSize=9.5, leading=12.5, spaceAfter=5)


class _Handbook(BaseDocTemplate):  # type: ignore[misc]  # ReportLab has no types
    """Collects the headings for the contents and the outline while it lays out the pages."""

    chapter = ""

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802
        style = getattr(getattr(flowable, "style", None), "name", "")
        if style not in {"chapter", "section"}:
            return
        level, text = int(style == "section"), flowable.getPlainText()
        key = f"heading-{self.seq}"
        self.seq += 1
        if level == 0:
            self.chapter = text
        self.canv.bookmarkPage(key)
        self.canv.addOutlineEntry(text, key, level, closed=True)
        self.notify("TOCEntry", (level, text, self.page - FRONT_PAGES, key))

    def beforeDocument(self) -> None:  # noqa: N802
        self.seq, self.chapter = 0, ""


def write(path: str) -> None:
    """Write the handbook; the same bytes every time."""
    handbook = _Handbook(path, pagesize=A4, title=f"{COMPANY}: {TITLE}", author=COMPANY, lang="en", invariant=1)
    handbook.addPageTemplates(_templates())
    handbook.multiBuild(_front() + _chapters() + _appendices())


def _templates() -> list[PageTemplate]:
    inner = WIDTH - 2 * MARGIN
    page = Frame(MARGIN, MARGIN, inner, HEIGHT - 2 * MARGIN, 0, 0, 0, 0)
    gap = 8 * mm
    column = (inner - gap) / 2
    heading = Frame(MARGIN, HEIGHT - MARGIN - 45, inner, 45, 0, 0, 0, 0)
    columns = [
        Frame(MARGIN + i * (column + gap), MARGIN, column, HEIGHT - 2 * MARGIN - 50, 0, 0, 0, 0) for i in range(2)
    ]
    turned = Frame(MARGIN, MARGIN, HEIGHT - 2 * MARGIN, WIDTH - 2 * MARGIN, 0, 0, 0, 0)
    turned_page = PageTemplate("turned", [turned], onPage=_turn, pagesize=(HEIGHT, WIDTH))
    turned_page.rotation = 90
    return [
        PageTemplate("cover", [page], onPage=_cover),
        PageTemplate("front", [page], onPage=_footer),
        PageTemplate("page", [page], onPage=_header_and_footer),
        PageTemplate("columns", [heading, *columns], onPage=_header_and_footer),
        turned_page,
    ]


def _cover(canvas: Canvas, _: Any) -> None:
    canvas.addPageLabel(0, style="ROMAN_LOWER", start=1)
    canvas.addPageLabel(FRONT_PAGES, style="ARABIC", start=1)
    canvas.setFillColor(ACCENT)
    canvas.rect(0, HEIGHT * 0.62, WIDTH, HEIGHT * 0.38, stroke=0, fill=1)
    canvas.setFillColor(colors.white)
    canvas.setFont("Helvetica-Bold", 34)
    canvas.drawString(MARGIN, HEIGHT * 0.74, "Employee and Operations")
    canvas.drawString(MARGIN, HEIGHT * 0.69, "Handbook")
    canvas.setFillColor(INK)
    canvas.setFont("Helvetica", 15)
    canvas.drawString(MARGIN, HEIGHT * 0.56, COMPANY)
    canvas.drawString(MARGIN, HEIGHT * 0.53, "Seventh edition, 1 January 2026")
    canvas.setFont("Helvetica", 10)
    canvas.drawString(MARGIN, MARGIN, "A fictional company. This handbook is a sample that comes with Pincite.")


def _footer(canvas: Canvas, _: Any) -> None:
    number = canvas.getPageNumber()
    label = str(number - FRONT_PAGES) if number > FRONT_PAGES else ("i", "ii", "iii", "iv")[number - 1]
    canvas.setFont("Helvetica", 8.5)
    canvas.setFillColor(colors.HexColor("#5b6875"))
    canvas.drawString(MARGIN, 14 * mm, f"{COMPANY} · Handbook, seventh edition")
    canvas.drawRightString(WIDTH - MARGIN, 14 * mm, label)


def _header_and_footer(canvas: Canvas, document: Any) -> None:
    _footer(canvas, document)
    canvas.setStrokeColor(ACCENT)
    canvas.setLineWidth(0.6)
    canvas.line(MARGIN, HEIGHT - 18 * mm, WIDTH - MARGIN, HEIGHT - 18 * mm)


def _turn(canvas: Canvas, _: Any) -> None:
    """Draw upright on a page that viewers turn by 90 degrees: (x, y) goes to (width - y, x)."""
    canvas.translate(WIDTH, 0)
    canvas.rotate(90)
    canvas.setFont("Helvetica", 8.5)
    canvas.setFillColor(colors.HexColor("#5b6875"))
    canvas.drawRightString(HEIGHT - MARGIN, 14 * mm, str(canvas.getPageNumber() - FRONT_PAGES))


def _front() -> list[Flowable]:
    tight = TableStyle([("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 1)])
    contents = TableOfContents(dotsMinLevel=0, tableStyle=tight)
    contents.levelStyles = [
        ParagraphStyle("toc 1", fontName="Helvetica-Bold", fontSize=10, leading=13, spaceBefore=4, textColor=INK),
        ParagraphStyle("toc 2", fontName="Times-Roman", fontSize=10, leading=12.2, leftIndent=14, textColor=INK),
    ]
    about = [
        Paragraph(block.text, PLAIN_CHAPTER) if isinstance(block, markup.Heading) and block.level == 1 else flowable
        for block in markup.read("handbook.front.en.md")
        for flowable in _flow(block, numbered=False)
    ]
    start: list[Flowable] = [NextPageTemplate("front"), PageBreak()]
    return [*start, *about, PageBreak(), Paragraph("Contents", PLAIN_CHAPTER), contents, NextPageTemplate("page")]


def _chapters() -> list[Flowable]:
    return [flowable for block in markup.read("handbook.en.md") for flowable in _flow(block)]


def _appendices() -> list[Flowable]:
    calendar, contacts = (markup.read(f"handbook.{name}.en.md")[0] for name in ("calendar", "contacts"))
    assert isinstance(calendar, markup.Table)
    assert isinstance(contacts, markup.Table)
    terms = [block.text for block in markup.read("handbook.glossary.en.md") if isinstance(block, markup.Paragraph)]
    glossary = [Paragraph(f"<b>{term}</b>: {text}", TERM) for term, _, text in (line.partition(": ") for line in terms)]
    return [
        *(NextPageTemplate("columns"), PageBreak(), Paragraph("Appendix A: Glossary", CHAPTER), FrameBreak()),
        *glossary,
        *(NextPageTemplate("turned"), PageBreak(), Paragraph("Appendix B: Calendar of recurring duties", CHAPTER)),
        _table(calendar, HEIGHT - 2 * MARGIN, narrow_first=True),
        *(NextPageTemplate("page"), PageBreak(), Paragraph("Appendix C: Whom to ask", CHAPTER)),
        _table(contacts, WIDTH - 2 * MARGIN),
    ]


def _flow(block: markup.Block, numbered: bool = True) -> list[Flowable]:
    if isinstance(block, markup.Table):
        return [KeepTogether([_table(block, WIDTH - 2 * MARGIN), Spacer(1, 9)])]
    if isinstance(block, markup.Paragraph):
        return [Paragraph(block.text, BODY)]
    if block.level == 1:
        return [PageBreak(), Paragraph(block.text, CHAPTER)] if numbered else [Paragraph(block.text, PLAIN_CHAPTER)]
    return [Paragraph(block.text, SECTION if numbered else ParagraphStyle("plain section", SECTION))]


def _table(table: markup.Table, width: float, narrow_first: bool = False) -> PdfTable:
    head, *rows = table.rows
    cells = [[Paragraph(text, HEAD) for text in head], *([Paragraph(text, CELL) for text in row] for row in rows)]
    shares = [0.11] + [0.89 / (len(head) - 1)] * (len(head) - 1) if narrow_first else [1 / len(head)] * len(head)
    drawn = PdfTable(cells, [share * width for share in shares], repeatRows=1)
    drawn.setStyle(
        [
            ("BACKGROUND", (0, 0), (-1, 0), ACCENT),
            ("ROWBACKGROUNDS", (0, 1), (-1, -1), [colors.white, PALE]),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.HexColor("#b9c7cf")),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 4),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
        ]
    )
    return drawn
