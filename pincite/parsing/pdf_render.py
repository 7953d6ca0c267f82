"""A page of a PDF as an image, the way a reader sees it."""

from collections.abc import Sequence

import pymupdf

from pincite.errors import CorruptDocument, UnknownPage
from pincite.parsing.pdf import MUPDF_ERRORS, open_pdf

# A page at 2 pixels a point is about 2 megapixels; this bounds the memory a hostile page size can ask for.
MAX_PIXELS = 16_000_000
HIGHLIGHT = (1.0, 0.85, 0.0)
HIGHLIGHT_OPACITY = 0.35


def render_page(data: bytes, number: int, scale: float, marks: Sequence[Sequence[float]] = ()) -> bytes:
    """Return the page `number` (1-based) as a PNG of `scale` pixels a point, fewer where that exceeds MAX_PIXELS.

    `marks` are the corners x0 y0 x1 y1 of what to highlight, in points of the page as a reader sees it.

    Raises UnknownPage for a number the document does not have, and what `open_pdf` raises.
    """
    with open_pdf(data, "The document") as pdf:
        if not 1 <= number <= pdf.page_count:
            raise UnknownPage(f"The document has no page {number}; its pages are 1 to {pdf.page_count}.")
        try:
            page = pdf.load_page(number - 1)
            for corners in marks:
                place = pymupdf.Rect(*corners) * page.derotation_matrix
                page.draw_rect(place, color=None, fill=HIGHLIGHT, fill_opacity=HIGHLIGHT_OPACITY, overlay=True)
            area = max(page.rect.width * page.rect.height, 1.0)
            fitting = min(max(scale, 0.01), (MAX_PIXELS / area) ** 0.5)
            image = page.get_pixmap(matrix=pymupdf.Matrix(fitting, fitting), alpha=False, annots=True)
            return bytes(image.tobytes("png"))
        except MUPDF_ERRORS as error:
            raise CorruptDocument(f"Page {number} of the document cannot be drawn; it is damaged.") from error
