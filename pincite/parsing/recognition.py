"""Reading the text off a scanned page, with the place of every word: tesseract, as MuPDF has it built in."""

import time
from collections.abc import Sequence

import pymupdf

# Characters of ordinary print are read best at about this resolution; the pixels bound what a hostile page size costs.
_DPI = 300
_MAX_PIXELS = 16_000_000
_POINTS_PER_INCH = 72


class Recogniser:
    """Reads pages until its time is used up; what a long scan has left over is reported, and the rest kept."""

    def __init__(self, languages: Sequence[str], folder: str, seconds: float) -> None:
        self._language = "+".join(languages)
        self._folder = folder
        self._until = time.monotonic() + seconds
        self.read = 0

    @property
    def has_time(self) -> bool:
        """Whether another page may be begun."""
        return time.monotonic() < self._until

    def text_page(self, page: pymupdf.Page, flags: int) -> pymupdf.TextPage:
        """Return the recognised text in the coordinates of the page, as MuPDF gives drawn text.

        Raises one of MUPDF_ERRORS where nothing can be recognised.
        """
        area = max(page.rect.width * page.rect.height, 1.0)
        scale = min(_DPI / _POINTS_PER_INCH, (_MAX_PIXELS / area) ** 0.5)
        picture = page.get_pixmap(matrix=pymupdf.Matrix(scale, scale), alpha=False)
        data = picture.pdfocr_tobytes(compress=False, language=self._language, tessdata=self._folder)
        with pymupdf.open(stream=data, filetype="pdf") as recognised:
            read = recognised.load_page(0)
            unscaled = page.rect.width / max(read.rect.width, 1.0)
            matrix = pymupdf.Matrix(unscaled, unscaled) * page.derotation_matrix
            self.read += 1
            text: pymupdf.TextPage = read.get_textpage(flags=flags, matrix=matrix)
            return text
