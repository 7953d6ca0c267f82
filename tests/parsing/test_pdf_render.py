"""A page is drawn the way a reader sees it, within bounds."""

import pymupdf
import pytest

from pincite.errors import CorruptDocument, UnknownPage
from pincite.parsing.pdf_render import MAX_PIXELS, render_page
from tests.parsing.generated_pdf import document


def size(png: bytes) -> tuple[int, int]:
    image = pymupdf.Pixmap(png)
    return image.width, image.height


def test_a_page_is_drawn_at_the_scale_asked_for() -> None:
    assert size(render_page(document([(72, 100, "text")]).tobytes(), 1, 2.0)) == (1190, 1684)


def test_a_rotated_page_is_drawn_as_displayed() -> None:
    pdf = document([(72, 100, "text")])
    pdf[0].set_rotation(90)
    assert size(render_page(pdf.tobytes(), 1, 1.0)) == (842, 595)


def test_what_is_written_on_the_page_is_seen() -> None:
    blank = pymupdf.Pixmap(render_page(document([]).tobytes(), 1, 1.0))
    written = pymupdf.Pixmap(render_page(document([(72, 100, "text")]).tobytes(), 1, 1.0))
    assert blank.is_unicolor
    assert not written.is_unicolor


def test_an_enormous_scale_or_page_is_bounded() -> None:
    width, height = size(render_page(document([(72, 100, "text")]).tobytes(), 1, 1000.0))
    assert 0.95 * MAX_PIXELS < width * height < 1.05 * MAX_PIXELS


@pytest.mark.parametrize("number", [0, -1, 3])
def test_a_page_that_is_not_there_is_named(number: int) -> None:
    with pytest.raises(UnknownPage, match=rf"no page {number}\b.*1 to 2"):
        render_page(document([], []).tobytes(), number, 1.0)


def test_a_damaged_file_cannot_be_drawn() -> None:
    with pytest.raises(CorruptDocument):
        render_page(b"%PDF-1.7 nothing", 1, 1.0)
