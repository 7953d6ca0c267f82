"""Documents made of words, for measuring how many of them go in: each section of them is a passage."""

import random
from pathlib import Path

_WORDS = (Path(__file__).parent / "generated_documents.py").read_text("utf-8").split()
SECTIONS = 10
WORDS_A_SECTION = 150


def write(folder: Path, count: int, *, sections: int = SECTIONS) -> None:
    """Write `count` Markdown files, a hundred a folder."""
    for number in range(count):
        path = place(folder, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(number, sections=sections), "utf-8")


def place(folder: Path, number: int) -> Path:
    """Return where a document lies."""
    return folder / f"{number // 100:03}" / f"document-{number:05}.md"


def text(number: int, *, sections: int = SECTIONS, edition: int = 0) -> str:
    """Return a document's text; another edition differs in its last section."""
    parts = [f"# Document {marker(number)}\n"]
    for section in range(sections):
        words = random.Random((number, section, edition if section == sections - 1 else 0).__repr__())
        body = " ".join(words.choice(_WORDS).strip('"()[]{}.,:') or "word" for _ in range(WORDS_A_SECTION))
        parts.append(f"## Section {section}\n\nOf {marker(number)} {section}: {body}.\n")
    return "\n".join(parts)


def marker(number: int) -> str:
    """Return a word that no other document has."""
    return f"zq{number:05}x"
