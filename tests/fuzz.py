"""Broken variations of every format through the parsers, and broken requests to the upload route, for some minutes.

python -m tests.fuzz [MINUTES] [SEED]

A document may be refused; it may not crash a parser, nor make one fail in a way that nobody thought of, and what is
read has to keep its promises (words, blocks and pages are ranges of the text, every character is in one passage). A
request may be refused; it may not be answered with a 5xx. What breaks a promise is kept in a folder that is named.
"""

# ruff: noqa: T201 - a program of its own, which says what it finds

import asyncio
import io
import logging
import random
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import docx
import httpx
import openpyxl
import pymupdf
from pptx import Presentation

from http_server.app import create_app
from pincite.chunking import chunk
from pincite.document import Document
from pincite.errors import DocumentError
from pincite.parsing.worker import ParseLimits, ParserPool
from pincite.settings import load_settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder

KEY = "admin-key-for-fuzzing-only"
# How the pool words an end that no parser foresaw.
UNFORESEEN = ("the parser crashed on it", "the parser failed on it")
TOKENS = (
    b"\x00", b"\xff\xfe", b"<", b">", b"&#0;", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"-1", b"99999999999", b"%n", b"../",
    b"endobj", b"stream", b"/Kids[1 0 R]", b"<<", b"obj", b"\n" * 50, b"\"", b"'", b"=?utf-8?q?=ff?=", b"\r\n\r\n",
    "表\u202e\U0001f600".encode(), b"charset=utf-7", b"|", b"```", b"{", b"[" * 50, b"--x", b"\xed\xa0\x80",
)  # fmt: skip


def seeds() -> list[tuple[str, bytes]]:
    """A small valid document of every format."""
    text = "# Title\n\n1. One\n2. Two 第二条 付款\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quote\n\n```\ncode\n```\n"
    page = "<html><head><meta charset=utf-8></head><body><h1>T</h1><ol><li>x</ol>"
    page += "<table><tr><th>a<td>1</table></body></html>"
    mail = "From: a@b\nTo: c@d\nSubject: =?utf-8?b?5ZCI5ZCM?=\nMIME-Version: 1.0\n"
    mail += "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\nBody\n"
    mail += "--x\nContent-Type: text/html\n\n<p>Body\n--x--\n"
    rows = 'Item,Price\n"a ""b""",1\n"two\nlines",2\n'
    return [
        ("a.md", text.encode()), ("a.txt", text.encode()), ("b.txt", text.encode("gbk")), ("a.html", page.encode()),
        ("a.eml", mail.encode()), ("a.csv", rows.encode()), ("a.json", b'{"a": [1, {"b": null}], "c": "d"}'),
        ("a.py", b"def f():\n    return 1\n\nclass A:\n    pass\n"), ("a.pdf", _pdf()), ("a.docx", _docx()),
        ("a.xlsx", _xlsx()), ("a.pptx", _pptx()), ("a.epub", _epub(page)),
    ]  # fmt: skip


def _pdf() -> bytes:
    file = pymupdf.open()
    for number in range(3):
        page = file.new_page()
        page.insert_text((72, 72), f"Heading {number}", fontsize=18)
        page.insert_text((72, 120), "Some words in a line. 第二条", fontname="china-s")
        page.draw_rect(pymupdf.Rect(72, 200, 300, 260))
    file.set_toc([[1, "Heading 0", 1], [2, "Heading 1", 2]])
    return bytes(file.tobytes())


def _docx() -> bytes:
    file = docx.Document()
    file.add_heading("Title", 1)
    file.add_paragraph("Text", "List Number")
    file.add_table(2, 2).cell(0, 0).text = "cell"
    return _saved(file)


def _xlsx() -> bytes:
    book = openpyxl.Workbook()
    for row in (["a", "b"], [1, 2.5], ["=A2", None]):
        book["Sheet"].append(row)
    return _saved(book)


def _pptx() -> bytes:
    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Title"
    slide.placeholders[1].text = "Body"
    return _saved(show)


def _epub(page: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", "<container><rootfile full-path='c.opf'/></container>")
        items = "<item id='a' href='a.xhtml' media-type='application/xhtml+xml'/>"
        archive.writestr("c.opf", f"<package><manifest>{items}</manifest><spine><itemref idref='a'/></spine></package>")
        archive.writestr("a.xhtml", page)
    return out.getvalue()


def _saved(file: object) -> bytes:
    out = io.BytesIO()
    file.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


def broken(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Return a variation: of the bytes, or, half the time for an archive, of one of its parts."""
    if data.startswith(b"PK") and chance.random() < 0.7:
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(out, "w") as made:
            names = archive.namelist()
            chosen = set(chance.sample(names, chance.randint(1, min(3, len(names)))))
            for name in names:
                part = archive.read(name)
                made.writestr(name, _mutated(part, chance, others) if name in chosen else part)
        return out.getvalue()
    return _mutated(data, chance, others)


def _mutated(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(made) + 1)
        size = chance.choice((1, 2, 8, 64, 512))
        kind = chance.randrange(7)
        if kind == 0 and made:
            made[at % len(made)] = chance.randrange(256)
        elif kind == 1:
            del made[at : at + size]
        elif kind == 2:
            made[at:at] = made[at : at + size] * chance.choice((1, 2, 40))
        elif kind == 3:
            made[at:at] = chance.choice(TOKENS)
        elif kind == 4:
            made[at : at + size] = chance.choice(TOKENS)
        elif kind == 5:
            other = chance.choice(others)
            begin = chance.randrange(len(other) + 1)
            made[at:at] = other[begin : begin + size]
        else:
            del made[at:]
    return bytes(made)


def promises_broken(document: Document) -> str:
    """Say which promise a parsed document breaks, "" where it keeps all."""
    text = document.text
    position = 0
    for start, end in document.blocks:
        if not position <= start <= end <= len(text):
            return "blocks are no ascending ranges of the text"
        position = end
    for page in document.pages:
        for start, end in zip(page.words.starts.tolist(), page.words.ends.tolist(), strict=True):
            if not page.start <= start < end <= page.end or text[start:end].strip() != text[start:end]:
                return "a word is no range of its page's text"
    position = 0
    for one in chunk(document, max_tokens=128, count_tokens=FakeEmbedder().count_tokens):
        if text[position : one.start].strip() or not position <= one.start < one.end:
            return "a character is in no passage"
        position = one.end
    return "a character is in no passage" if text[position:].strip() else ""


async def fuzz_parsers(until: float, chance: random.Random, kept: Path) -> Counter[str]:
    """Parse variations until the time is over; returns how they ended."""
    pool = ParserPool(2, ParseLimits(timeout_s=60, cpu_s=60))
    given = seeds()
    ends: Counter[str] = Counter()

    async def one() -> None:
        while time.monotonic() < until:
            name, seed = chance.choice(given)
            data = broken(seed, chance, [content for _, content in given])
            try:
                problem = promises_broken(await pool.parse(data, name))
                ends["read"] += 1
            except DocumentError as error:
                ends[error.code] += 1
                problem = error.message if any(words in error.message for words in UNFORESEEN) else ""
            if problem:
                ends["BROKEN"] += 1
                (kept / f"{ends['BROKEN']}-{name}").write_bytes(data)
                print(f"{name}: {problem}", flush=True)

    try:
        await asyncio.gather(one(), one())
    finally:
        await pool.close()
    return ends


async def fuzz_uploads(until: float, chance: random.Random, kept: Path) -> Counter[str]:
    """Send broken multipart requests until the time is over; returns how they were answered."""
    ends: Counter[str] = Counter()
    given = seeds()
    with tempfile.TemporaryDirectory() as data:
        settings = load_settings(data=Path(data), admin_key=KEY, parser_workers=1)
        async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
            transport = httpx.ASGITransport(create_app(workspace), raise_app_exceptions=False)
            headers = {"Authorization": f"Bearer {KEY}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
                await client.post("/api/knowledge-bases", json={"name": "fuzz"})
                while time.monotonic() < until:
                    body, kind = _request(chance, given)
                    answer = await client.post(
                        "/api/knowledge-bases/fuzz/documents", content=body, headers={"Content-Type": kind}
                    )
                    ends[str(answer.status_code)] += 1
                    if answer.status_code >= 500 and answer.status_code != 503:
                        ends["BROKEN"] += 1
                        (kept / f"request-{ends['BROKEN']}").write_bytes(kind.encode() + b"\n\n" + body)
                        print(f"a request was answered with {answer.status_code}", flush=True)
                    if answer.status_code in {429, 503}:
                        await asyncio.sleep(0.2)  # it asks for patience
    return ends


def _request(chance: random.Random, given: Sequence[tuple[str, bytes]]) -> tuple[bytes, str]:
    name, content = chance.choice(given)
    name = chance.choice((name, "../" * 9 + name, "\u202e" + name, name * 90, "", "a\x00b.txt", "%2e%2e/" + name))
    head = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\nContent-Type: text/plain\r\n\r\n'
    body = head.encode() + content[:2000] + b"\r\n--b--\r\n"
    kind = chance.choice(("multipart/form-data; boundary=b",) * 6 + ("multipart/form-data", "application/json", "x"))
    return (_mutated(body, chance, [content]) if chance.random() < 0.8 else body), kind


def main() -> int:
    """Fuzz for the minutes that the command line names, the last third the uploads; return 0 where nothing broke."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**9)
    print(f"seed {seed}", flush=True)
    logging.disable(logging.WARNING)  # of every request that the multipart parser refuses
    kept = Path(tempfile.mkdtemp(prefix="pincite-fuzz-"))
    chance = random.Random(seed)
    began = time.monotonic()
    parsed = asyncio.run(fuzz_parsers(began + 40 * minutes, chance, kept))
    sent = asyncio.run(fuzz_uploads(began + 60 * minutes, chance, kept))
    print(f"{sum(parsed.values())} documents: {dict(parsed.most_common())}")
    print(f"{sum(sent.values())} requests: {dict(sent.most_common())}")
    if parsed["BROKEN"] + sent["BROKEN"]:
        print(f"what broke is in {kept}")
        return 1
    kept.rmdir()
    print("nothing broke")
    return 0


if __name__ == "__main__":
    sys.exit(main())
