"""A passage with all that its citation says, as it stands in one column of the index."""

import json
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from pincite.document import Box
from pincite.passage import DocumentReference


@dataclass(frozen=True, slots=True)
class CitedPassage:
    """A passage of a document: `text` is `document.text[start:end]`.

    `gap` is the white space between this passage and the next, so that neighbours can be joined verbatim. `pages`,
    `page_starts` (where each begins in the document's text) and `page_labels` go together; `boxes` are in float32.
    `table_header` is the header row of the table that the passage begins within.
    `embedded` identifies what was embedded, so that its vectors can be used again; it is empty in older tables.
    """

    document: DocumentReference
    ordinal: int
    start: int
    end: int
    text: str
    section: str
    gap: str
    pages: tuple[int, ...]
    page_starts: tuple[int, ...]
    page_labels: tuple[str | None, ...]
    boxes: tuple[Box, ...]
    embedded: str = ""
    table_header: str = ""

    def to_json(self) -> str:
        """Return it as JSON that `from_json` reads."""
        # Not `asdict`, which copies every number of every box.
        told = _values(self) | {"document": _values(self.document)}
        # The shortest decimals that are the same number in float32.
        numbers = np.fromiter(chain.from_iterable(self.boxes), np.float32)
        told["boxes"] = pa.array(numbers).cast(pa.string()).cast(pa.float64()).to_pylist()
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, written: str) -> "CitedPassage":
        """Return what `to_json` wrote."""
        told: dict[str, Any] = json.loads(written)
        boxes = np.array(told["boxes"], np.float32).reshape(-1, 5).tolist()
        told["boxes"] = tuple(Box(int(page), *sides) for page, *sides in boxes)
        told["document"] = DocumentReference(**told["document"])
        for name in ("pages", "page_starts", "page_labels"):
            told[name] = tuple(told[name])
        return cls(**told)


def _values(record: CitedPassage | DocumentReference) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}
