"""Small PDFs made for the tests: lines of text at given places, tables, and text from right to left."""

from collections.abc import Iterable, Sequence

import pymupdf

ENGLISH = (
    "The supplier shall keep the goods in a dry place until the buyer collects them from the yard. "
    "Each delivery is checked by both sides and a note of its weight is signed on the same day. "
    "Losses that come to light later are shared in equal parts unless one side caused them. "
)


def document(*pages: "Iterable[tuple[float, float, str]]", size: float = 11.0) -> pymupdf.Document:
    """A document with one page for each list of (x, baseline, text)."""
    made = pymupdf.open()
    for lines in pages:
        page = made.new_page(width=595, height=842)
        for x, y, text in lines:
            write(page, x, y, text, size)
    return made


def write(page: pymupdf.Page, x: float, y: float, text: str, size: float = 11.0, font: str | None = None) -> None:
    """Write one line; Chinese gets a font that has it."""
    page.insert_text((x, y), text, fontsize=size, fontname=font or ("helv" if text.isascii() else "china-s"))


def wrapped(text: str, width: float, size: float = 11.0) -> list[str]:
    """Break English text into lines of at most `width` points."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if pymupdf.get_text_length(longer, fontsize=size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def column(x: float, top: float, lines: Sequence[str], pitch: float = 14.0) -> list[tuple[float, float, str]]:
    """Place lines below one another."""
    return [(x, top + pitch * i, line) for i, line in enumerate(lines)]


def numbered_words(prefix: str, count: int) -> str:
    """A text whose words tell their order: "left1 left2 …"."""
    return " ".join(f"{prefix}{i}" for i in range(1, count + 1))


def hebrew_pdf(*lines: str) -> bytes:
    """A PDF that draws Hebrew the way programs do: glyphs from left to right in visual order, mapped to Unicode."""
    letters = sorted({c for line in lines for c in line if c != " "})
    code = {c: chr(ord("A") + i) for i, c in enumerate(letters)} | {" ": " "}
    mapping = "\n".join(f"<{ord(code[c]):02X}> <{ord(c):04X}>" for c in [*letters, " "])
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /T def /CMapType 2 def\n"
        "1 begincodespacerange <00> <FF> endcodespacerange\n"
        f"{len(letters) + 1} beginbfchar\n{mapping}\nendbfchar\nendcmap end end"
    )
    drawn = ["BT /F1 12 Tf"]
    for i, line in enumerate(lines):
        visual = "".join(code[c] for c in reversed(line))
        width = pymupdf.get_text_length(visual, fontsize=12)
        drawn.append(f"1 0 0 1 {540 - width:.2f} {700 - 18 * i} Tm ({visual}) Tj")
    content = "\n".join([*drawn, "ET"])
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(content)}>>stream\n{content}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>",
        f"<</Length {len(cmap)}>>stream\n{cmap}\nendstream",
    ]
    return _file(objects)


def _file(objects: Sequence[str]) -> bytes:
    parts = [b"%PDF-1.7\n"]
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(sum(map(len, parts)))
        parts.append(f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1"))
    start = sum(map(len, parts))
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    parts.append(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode())
    parts.append(f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF".encode())
    return b"".join(parts)
