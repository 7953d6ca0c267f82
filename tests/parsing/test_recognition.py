"""Scanned pages where nothing reads them, and the settings that ask for it; the real reading is in tests/real."""

from pathlib import Path

import pymupdf
import pytest

from pincite.errors import InvalidSettings
from pincite.parsing import parse
from pincite.settings import load_settings
from pincite.tesseract import Recognition


def scan() -> bytes:
    made = pymupdf.open()
    page = made.new_page(width=200, height=100)
    picture = pymupdf.Pixmap(pymupdf.csGRAY, pymupdf.IRect(0, 0, 20, 10))
    picture.clear_with(200)
    page.insert_image(page.rect, pixmap=picture)
    made.new_page(width=200, height=100)
    return bytes(made.tobytes())


@pytest.mark.parametrize(
    ("seconds", "hint"),
    [
        (None, "; set PINCITE_OCR_LANGUAGES to have it read"),
        (0.0, "; the time for one document was used up before it was read: split it, or raise PINCITE_PARSE_TIMEOUT_S"),
        (60.0, "; nothing could be read off it"),
    ],
)
def test_a_page_that_was_not_read_says_why(seconds: float | None, hint: str, tmp_path: Path) -> None:
    # A folder without data stands for a page on which tesseract finds nothing.
    how = None if seconds is None else Recognition(("eng",), tmp_path)
    document = parse(scan(), "scan.pdf", how, seconds or 0.0)
    assert [(w.page, w.message) for w in document.warnings] == [
        (1, f"page 1 has no text; it looks scanned{hint}"),
        (2, "page 2 has no text; it is blank"),
    ]


def test_languages_are_looked_for_at_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"names deu, of which there is no data.*apt install tesseract-ocr-deu"):
        load_settings(ocr_languages="eng,deu", tessdata=_data(tmp_path, "eng"))
    settings = load_settings(ocr_languages="eng,chi_sim", tessdata=_data(tmp_path, "chi_sim"))
    assert settings.recognition == Recognition(("eng", "chi_sim"), tmp_path)
    assert load_settings(tessdata=tmp_path).recognition is None


def _data(folder: Path, language: str) -> Path:
    (folder / f"{language}.traineddata").touch()
    return folder
