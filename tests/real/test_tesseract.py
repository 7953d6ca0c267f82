"""Scanned pages with tesseract's real language data: English and Chinese read, with the place of every word."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymupdf
import pytest

from pincite.access import Principal
from pincite.document import Document
from pincite.parsing.worker import ParseLimits, ParserPool
from pincite.settings import load_settings
from pincite.tesseract import Recognition, data_folder, missing_languages
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder

LANGUAGES = ("eng", "chi_sim")
ENGLISH = "The notice period is ninety days."
CHINESE = "乙方应当在三十日内付款"


def recognition() -> Recognition:
    folder = data_folder(None)
    if folder is None or missing_languages(LANGUAGES, folder):
        pytest.fail("tesseract's data is missing; install it: apt install tesseract-ocr-eng tesseract-ocr-chi-sim")
    return Recognition(LANGUAGES, folder)


def scan(lines: Sequence[tuple[float, str]], rotation: int = 0) -> bytes:
    """Return a PDF whose only page is a picture of lines, each at its height in points."""
    drawn = pymupdf.open()
    page = drawn.new_page(width=420, height=300)
    for y, text in lines:
        page.insert_text((40, y), text, fontsize=16, fontname="helv" if text.isascii() else "china-s")
    made = pymupdf.open()
    picture = made.new_page(width=420, height=300)
    picture.insert_image(picture.rect, pixmap=page.get_pixmap(dpi=200))
    picture.set_rotation(rotation)
    return bytes(made.tobytes())


def parsed(data: bytes, how: Recognition | None) -> Document:
    async def parse() -> Document:
        pool = ParserPool(1, ParseLimits(timeout_s=600, cpu_s=600), recognition=how)
        try:
            return await pool.parse(data, "scan.pdf")
        finally:
            await pool.close()

    return asyncio.run(parse())


def test_a_scan_is_read_inside_the_confined_worker_with_the_place_of_every_word() -> None:
    document = parsed(scan([(100, ENGLISH), (200, CHINESE)]), recognition())
    assert ENGLISH in document.text
    assert CHINESE in document.text.replace(" ", "")
    assert [w.code for w in document.warnings] == ["text_recognised"]
    page = document.pages[0]
    words = {
        document.text[s:e]: box for s, e, box in zip(page.words.starts, page.words.ends, page.words.boxes, strict=True)
    }
    x0, y0, x1, y1 = words["notice"]
    drawn = pymupdf.get_text_length("The ", fontsize=16), pymupdf.get_text_length("The notice", fontsize=16)
    assert x0 == pytest.approx(40 + drawn[0], abs=3)
    assert x1 == pytest.approx(40 + drawn[1], abs=3)
    assert y0 < 95 < y1 < 110


def test_a_turned_scan_is_read_as_the_reader_sees_it() -> None:
    # The picture stands upright when the page is shown: its own rotation undone by the page's.
    upright = pymupdf.open(stream=scan([(100, ENGLISH)]), filetype="pdf")
    picture = upright[0].get_pixmap(dpi=200)
    made = pymupdf.open()
    page = made.new_page(width=300, height=420)
    page.insert_image(page.rect, pixmap=picture, rotate=90)
    page.set_rotation(90)
    document = parsed(bytes(made.tobytes()), recognition())
    assert ENGLISH in document.text
    boxes = document.pages[0].words.boxes
    assert boxes[:, 0].min() == pytest.approx(40, abs=4)
    assert boxes[:, 3].max() == pytest.approx(104, abs=6)


def test_without_recognition_the_page_is_reported() -> None:
    document = parsed(scan([(100, ENGLISH)]), None)
    [warning] = document.warnings
    assert (document.text, warning.page) == ("", 1)
    assert "page 1 has no text; it looks scanned; set PINCITE_OCR_LANGUAGES" in warning.message


def test_a_scan_added_before_is_read_when_it_is_added_again(tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    path.write_bytes(scan([(100, ENGLISH)]))
    languages = ",".join(recognition().languages)

    async def add(**settings: Any) -> tuple[str, list[str]]:
        who = Principal.system()
        opened = load_settings(data=tmp_path / "data", parser_workers=1, **settings)
        async with Workspace(opened, embedder=FakeEmbedder()) as workspace:
            added = await workspace.add(who, "scans", [str(path)], create=True)
            [result] = [r async for job in workspace.job_events(who, added.id, since=0) for r in job.results]
            found = await workspace.search(who, "scans", "notice period")
            return result["status"], [passage.text.strip() for passage in found.passages]

    assert asyncio.run(add()) == ("partial", [])
    assert asyncio.run(add()) == ("unchanged", [])
    assert asyncio.run(add(ocr_languages=languages)) == ("indexed", [ENGLISH])
    assert asyncio.run(add(ocr_languages=languages)) == ("unchanged", [ENGLISH])
