"""The Chinese contract, once as PDF and once as DOCX, from one source."""

import io
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import docx
import pymupdf
from docx.oxml.ns import qn
from docx.shared import Pt
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer
from reportlab.platypus import Table as PdfTable

import markup

TITLE = "水质在线监测设备采购与运行维护服务合同"
NUMBER = "合同编号：QY-2026-0317"
PARTIES = (
    ("甲方（买方）", "江州市清源水务有限公司，住所：江州市临江区滨河路 90 号，法定代表人：周启明"),
    ("乙方（卖方）", "塔恩威尔仪器（苏州）有限公司，住所：苏州工业园区星澄路 16 号，法定代表人：刘文静"),
    ("签订地点与日期", "江州市，2026 年 3 月 17 日"),
)
PREAMBLE = (
    "根据《中华人民共和国民法典》及有关法律法规，甲乙双方在平等、自愿的基础上，经公开招标，"
    "就甲方清江流域水质自动监测项目的设备采购与运行维护服务达成一致，订立本合同。"
)
SIGNATURES = ("甲方（盖章）：", "授权代表签字：", "乙方（盖章）：", "授权代表签字：")
FONT = "DroidSansFallback"
MARGIN = 28 * mm


def write_pdf(path: str) -> None:
    """Write the contract as PDF, with the font's used characters embedded; the same bytes every time.

    The font is Droid Sans Fallback (Apache-2.0), which comes with PyMuPDF.
    """
    pdfmetrics.registerFont(TTFont(FONT, io.BytesIO(pymupdf.Font("cjk").buffer)))
    text = ParagraphStyle("text", fontName=FONT, fontSize=11.5, leading=20, spaceAfter=5, wordWrap="CJK")
    article = ParagraphStyle("article", text, fontSize=13, leading=20, spaceBefore=10, spaceAfter=6, keepWithNext=1)
    title = ParagraphStyle("title", text, fontSize=19, leading=28, alignment=1, spaceAfter=12)
    flow: list[Flowable] = [Paragraph(TITLE, title), Paragraph(NUMBER, ParagraphStyle("no", text, alignment=2))]
    flow += [Paragraph(f"{role}：{who}", text) for role, who in PARTIES] + [Spacer(1, 8), Paragraph(PREAMBLE, text)]
    for block in markup.read("contract.zh.md"):
        if isinstance(block, markup.Table):
            flow += [_pdf_table(block, ParagraphStyle("cell", text, fontSize=9.5, leading=13, spaceAfter=0))]
            flow += [Spacer(1, 8)]
        else:
            flow.append(Paragraph(block.text, article if isinstance(block, markup.Heading) else text))
    flow += [Spacer(1, 24), *(Paragraph(line, text) for line in SIGNATURES)]
    options: dict[str, Any] = {"title": TITLE, "author": "江州市清源水务有限公司", "lang": "zh-CN", "invariant": 1}
    margins = {f"{side}Margin": MARGIN for side in ("left", "right", "top", "bottom")}
    contract = SimpleDocTemplate(path, pagesize=A4, **margins, **options)
    contract.build(flow, onFirstPage=_number, onLaterPages=_number)


def write_docx(path: str) -> None:
    """Write the contract as DOCX with headings and tables; the same bytes every time."""
    document = docx.Document()
    document.core_properties.title, document.core_properties.author = TITLE, "江州市清源水务有限公司"
    document.core_properties.created = document.core_properties.modified = datetime(2026, 3, 17)
    normal = document.styles["Normal"]
    normal.font.name, normal.font.size = "SimSun", Pt(11)
    normal.element.rPr.rFonts.set(qn("w:eastAsia"), "SimSun")
    document.add_heading(TITLE, 0)
    for line in (NUMBER, *(f"{role}：{who}" for role, who in PARTIES), PREAMBLE):
        document.add_paragraph(line)
    for block in markup.read("contract.zh.md"):
        if isinstance(block, markup.Heading):
            document.add_heading(block.text, 1)
        elif isinstance(block, markup.Paragraph):
            document.add_paragraph(block.text)
        else:
            table = document.add_table(0, len(block.rows[0]), "Table Grid")
            for row in block.rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
    for line in SIGNATURES:
        document.add_paragraph(line)
    packed = io.BytesIO()
    document.save(packed)
    _without_times(packed, Path(path))


def _pdf_table(table: markup.Table, cell: ParagraphStyle) -> PdfTable:
    rows = [[Paragraph(text, cell) for text in row] for row in table.rows]
    # Columns as wide as what stands in them asks for, between the shortest and the longest.
    longest = [min(max(len(row[i]) for row in table.rows), 26) + 3 for i in range(len(table.rows[0]))]
    width = A4[0] - 2 * MARGIN
    drawn = PdfTable(rows, [width * n / sum(longest) for n in longest], repeatRows=1)
    drawn.setStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.5, colors.HexColor("#8a939c")),
            ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#eef1f4")),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ]
    )
    return drawn


def _number(canvas: Canvas, _: Any) -> None:
    canvas.setFont(FONT, 9)
    canvas.drawCentredString(A4[0] / 2, 15 * mm, f"第 {canvas.getPageNumber()} 页")


def _without_times(packed: io.BytesIO, path: Path) -> None:
    """Pack the same members again without the time of day, which python-docx writes into the archive."""
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            clean = zipfile.ZipInfo(member.filename, (1980, 1, 1, 0, 0, 0))
            clean.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(clean, source.read(member))
