"""The small part of Markdown in which the samples' sources are written: headings, paragraphs, tables."""

from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent / "source"


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` are lists of cells; the first row is the head."""

    rows: list[list[str]]


Block = Heading | Paragraph | Table


def read(name: str) -> list[Block]:
    """Return the blocks of the source file `name`; each line is a heading, a paragraph or a table row."""
    blocks: list[Block] = []
    for line in (SOURCE / name).read_text("utf-8").splitlines():
        if line.startswith("#"):
            marks, _, text = line.partition(" ")
            blocks.append(Heading(len(marks), text))
        elif line.startswith("|"):
            _table_of(blocks).rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif line:
            blocks.append(Paragraph(line))
    for block in blocks:
        if isinstance(block, Table):
            del block.rows[1]  # the line of dashes below the head
    return blocks


def _table_of(blocks: list[Block]) -> Table:
    if not blocks or not isinstance(blocks[-1], Table):
        blocks.append(Table([]))
    table = blocks[-1]
    assert isinstance(table, Table)
    return table
