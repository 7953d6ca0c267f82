"""Write the sample documents; `--check` proves instead that the committed ones are what this script writes.

The manual is Markdown and kept as it is. Compared is what the files contain: how well a stream is packed depends
on the zlib of the machine.
"""

import hashlib
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pymupdf

import contract
import handbook_pdf

FOLDER = Path(__file__).parent
SAMPLES: dict[str, Callable[[str], None]] = {
    "handbook.pdf": handbook_pdf.write,
    "contract.zh.pdf": contract.write_pdf,
    "contract.zh.docx": contract.write_docx,
}


def main() -> int:
    """Return 1 if `--check` found a sample that differs."""
    if "--check" not in sys.argv[1:]:
        for name, write in SAMPLES.items():
            write(str(FOLDER / name))
            print(f"samples/{name}: {(FOLDER / name).stat().st_size:,} bytes")
        return 0
    stale = [name for name, write in SAMPLES.items() if not _is_fresh(name, write)]
    for name in stale:
        print(f"samples/{name} is not what samples/generate.py writes; run `scripts/generate` and commit the result")
    return 1 if stale else 0


def _is_fresh(name: str, write: Callable[[str], None]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / name
        write(str(again))
        committed = FOLDER / name
        return committed.exists() and _content(committed) == _content(again)


def _content(path: Path) -> dict[str, str]:
    """Return a digest of every part of the file, unpacked."""
    parts: dict[str, bytes]
    if path.suffix == ".docx":
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
    else:
        with pymupdf.open(path) as pdf:
            parts = {str(n): _object(pdf, n) for n in range(1, pdf.xref_length())}
    return {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}


def _object(pdf: pymupdf.Document, number: int) -> bytes:
    if pdf.xref_is_stream(number):
        return bytes(pdf.xref_stream(number))
    return str(pdf.xref_object(number)).encode()


if __name__ == "__main__":
    sys.exit(main())
