"""The rows of an index: one per window, of which the first of each passage carries the passage.

Every row has what a search filters by and one vector; the rows of a passage's other windows leave the passage and its
words empty, so that nothing is stored twice and one atomic write replaces a whole document. What only a citation needs
is one column: each column costs a read a row, and twelve of them were a seventh of a search's price.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from embedding_backend import EmbeddingModel, Vectors
from pincite.chunking import Chunk
from pincite.document import Document
from pincite.index.cited_passage import CitedPassage
from pincite.lexical import lexical_form, naming_form
from pincite.passage import DocumentReference

# The columns that have an index of their own besides the vectors.
COLUMNS_OF_WORDS = ("lexical", "naming")
COLUMNS_OF_IDS = ("id", "document_id", "path")
_METADATA_KEY = b"pincite"
_VERSION = 2
# LanceDB's vector index takes vectors whose length is a multiple of this.
_VECTOR_STEP = 8


def schema(model: EmbeddingModel) -> pa.Schema:
    """Return the columns; the schema's metadata remembers the model."""
    remembered = {"version": _VERSION, "model": asdict(model)}
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("passage_id", pa.string(), nullable=False),
            pa.field("document_id", pa.string(), nullable=False),
            pa.field("path", pa.string(), nullable=False),
            pa.field("media_type", pa.string(), nullable=False),
            pa.field("window", pa.int32(), nullable=False),
            pa.field("window_start", pa.int32(), nullable=False),
            pa.field("window_end", pa.int32(), nullable=False),
            pa.field("vector", pa.list_(pa.float16(), padded_length(model.dimensions)), nullable=False),
            pa.field("lexical", pa.string()),
            # what the document is called, on the first passage of those that have several
            pa.field("naming", pa.string()),
            # a CitedPassage, as JSON
            pa.field("passage", pa.string()),
        ],
        metadata={_METADATA_KEY: json.dumps(remembered).encode()},
    )


def remembered_model(stored: pa.Schema) -> EmbeddingModel | None:
    """Return the model an index was built with, or None where its layout is of another version of Pincite."""
    remembered = json.loads((stored.metadata or {}).get(_METADATA_KEY, b"{}"))
    if remembered.get("version") != _VERSION:
        return None
    return EmbeddingModel(**remembered["model"])


def padded(vectors: Vectors) -> Vectors:
    """Return vectors (…, dimensions) with zeros behind them, as long as the index keeps them."""
    missing = padded_length(vectors.shape[-1]) - vectors.shape[-1]
    return np.pad(vectors, [(0, 0)] * (vectors.ndim - 1) + [(0, missing)]) if missing else vectors


def padded_length(dimensions: int) -> int:
    """Return how many numbers the index keeps of a vector."""
    return -(-dimensions // _VECTOR_STEP) * _VECTOR_STEP


def rows(
    columns: pa.Schema,
    reference: DocumentReference,
    document: Document,
    chunks: Sequence[Chunk],
    vectors: list[Vectors],
    names: Sequence[str],
) -> pa.Table:
    """Return a document's rows; `vectors` holds (windows, dimensions) per chunk, `names` what was embedded."""
    pages = {page.number: page for page in document.pages}
    naming = naming_form(reference.path, reference.title, document.text) if len(chunks) > 1 else None
    nexts = [*(chunk.start for chunk in chunks[1:]), len(document.text)]
    records: list[dict[str, Any]] = []
    for ordinal, chunk in enumerate(chunks):
        passage_id = f"{reference.id}:{ordinal}"
        for window, (start, end) in enumerate(chunk.windows):
            record: dict[str, Any] = {
                "id": f"{passage_id}:{window}",
                "passage_id": passage_id,
                "document_id": reference.id,
                "path": reference.path,
                "media_type": document.media_type,
                "window": window,
                "window_start": start,
                "window_end": end,
            }
            if window == 0:
                text = document.text[chunk.start : chunk.end]
                cited = CitedPassage(
                    document=reference,
                    ordinal=ordinal,
                    start=chunk.start,
                    end=chunk.end,
                    text=text,
                    section=chunk.section,
                    gap=document.text[chunk.end : nexts[ordinal]],
                    pages=chunk.pages,
                    page_starts=tuple(pages[number].start for number in chunk.pages),
                    page_labels=tuple(pages[number].label for number in chunk.pages),
                    boxes=chunk.boxes,
                    table_header=chunk.table_header,
                    embedded=names[ordinal],
                )
                record |= {
                    "lexical": lexical_form(chunk.context + text),
                    "naming": naming if ordinal == 0 else None,
                    "passage": cited.to_json(),
                }
            records.append(record)
    table = pa.Table.from_pylist(records, schema=pa.schema([f for f in columns if f.name != "vector"]))
    return table.add_column(columns.get_field_index("vector"), columns.field("vector"), _column(vectors, columns)).cast(
        columns
    )


def vectors_by_name(found: pa.Table, dimensions: int) -> dict[str, Vectors]:
    """Return the vectors (windows, dimensions) of passages by what was embedded, without those that do not tell it."""
    if not len(found):
        return {}
    flat = found["vector"].combine_chunks().flatten().to_numpy().reshape(len(found), -1)[:, :dimensions]
    passages = found["passage_id"].to_pylist()
    windows = found["window"].to_numpy()
    rows: dict[str, list[int]] = {}
    for row in np.argsort(windows, kind="stable").tolist():
        rows.setdefault(passages[row], []).append(row)
    named = {}
    for passage_id, written in zip(passages, found["passage"].to_pylist(), strict=True):
        name = CitedPassage.from_json(written).embedded if written else ""
        # All its windows, in their order.
        if name and windows[rows[passage_id]].tolist() == list(range(len(rows[passage_id]))):
            named[name] = flat[rows[passage_id]].astype(np.float32)
    return named


def _column(vectors: list[Vectors], columns: pa.Schema) -> pa.FixedSizeListArray:
    kind = columns.field("vector").type
    flat = np.concatenate([*map(padded, vectors), np.empty((0, kind.list_size), np.float32)]).astype(np.float16)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), kind.list_size)
