"""Office files, books and pages that others wrote: each is read, and its headings are sections of its own text."""

from pathlib import Path

import pytest

from pincite.parsing import parse

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "realdocs" / "office"
FILES = sorted(FOLDER.glob("*.*")) if FOLDER.is_dir() else []
WITH_HEADINGS = {".docx", ".html", ".epub", ".md"}

pytestmark = [pytest.mark.material, pytest.mark.skipif(not FILES, reason="../shared/data/realdocs is absent")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_is_read_with_its_headings(file: Path) -> None:
    document = parse(file.read_bytes(), file.name)
    assert document.text.strip()
    assert bool(document.sections) >= (file.suffix in WITH_HEADINGS)
    for section in document.sections:
        assert 0 <= section.start < len(document.text)
    for table in document.tables:
        assert document.text[table.start : table.header_end].strip()
        assert table.header_end < table.end <= len(document.text)
