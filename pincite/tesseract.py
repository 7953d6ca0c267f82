"""Where tesseract's language data is, and what of it scanned pages are read with."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SUFFIX = ".traineddata"
# Debian and Ubuntu, Fedora and Alpine, Homebrew on either kind of Mac.
_FOLDERS = (
    "/usr/share/tesseract-ocr/5/tessdata",
    "/usr/share/tesseract-ocr/4.00/tessdata",
    "/usr/share/tesseract/tessdata",
    "/usr/share/tessdata",
    "/opt/homebrew/share/tessdata",
    "/usr/local/share/tessdata",
)


@dataclass(frozen=True, slots=True)
class Recognition:
    """How scanned pages are read: tesseract's names of the languages, and the folder of their data."""

    languages: tuple[str, ...]
    folder: Path


def data_folder(stated: Path | None) -> Path | None:
    """Return the folder of the language data: the one stated, or the first that is where systems put it."""
    if stated is not None:
        return stated
    usual = (os.environ.get("TESSDATA_PREFIX", ""), *_FOLDERS)
    return next((Path(folder) for folder in usual if folder and any(Path(folder).glob(f"*{_SUFFIX}"))), None)


def missing_languages(languages: Sequence[str], folder: Path) -> list[str]:
    """Return those of `languages` whose data the folder lacks."""
    return [language for language in languages if not (folder / f"{language}{_SUFFIX}").is_file()]
