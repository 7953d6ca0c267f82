"""Whether a table and its indexes can be read from the disk, whatever of them is in this process's caches."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import lancedb

from pincite.index.conditions import quoted
from pincite.index.schema import COLUMNS_OF_IDS, COLUMNS_OF_WORDS
from pincite.index.view import matching

# What LanceDB raises of files that are missing or cut off; it has no errors of its own.
DAMAGE = (RuntimeError, ValueError, OSError)
_PROBE_CHARACTERS = 50


@dataclass(frozen=True, slots=True)
class Examination:
    """Passages by document as the rows have them, the documents' paths, and the columns whose index does not answer.

    A table whose rows cannot be read is `unreadable`; one that is not there has no rows.
    """

    exists: bool = True
    unreadable: bool = False
    passages: dict[str, int] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    broken: tuple[str, ...] = ()


async def examine(uri: str, name: str) -> Examination:
    """Read the ids of a table's rows, and ask each of its indexes for something."""
    session = lancedb.Session(index_cache_size_bytes=1024 * 1024, metadata_cache_size_bytes=1024 * 1024)
    with await lancedb.connect_async(uri, session=session) as connection:
        if name not in (await connection.list_tables()).tables:
            return Examination(exists=False)
        try:
            with await connection.open_table(name) as table:
                heads = await table.query().where("window = 0").select(["document_id", "path"]).to_arrow()
                documents = heads["document_id"].to_pylist()
                return Examination(
                    passages=dict(Counter(documents)),
                    paths=dict(zip(documents, heads["path"].to_pylist(), strict=True)),
                    broken=tuple(await _broken(table)),
                )
        except DAMAGE:
            return Examination(unreadable=True)


async def _broken(table: Any) -> list[str]:
    columns = {column for index in await table.list_indices() for column in index.columns}
    first = await table.query().where("window = 0").select(["lexical"]).limit(1).to_arrow()
    words = "".join(first["lexical"].to_pylist())[:_PROBE_CHARACTERS] or "pincite"
    schema = await table.schema()
    questions = {column: table.query().where(f"{column} = {quoted(words)}") for column in COLUMNS_OF_IDS}
    questions |= {column: table.query().nearest_to_text(matching(words, column)) for column in COLUMNS_OF_WORDS}
    if "vector" in columns:
        nothing = [0.0] * schema.field("vector").type.list_size
        questions["vector"] = table.query().nearest_to(nothing).distance_type("dot")
    broken = [column for column in questions if column not in columns]
    for column in columns & questions.keys():
        try:
            await questions[column].limit(1).select(["document_id"]).to_arrow()
        except DAMAGE:
            broken.append(column)
    return sorted(broken)
