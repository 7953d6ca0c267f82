"""The indexes over a table's columns: of the words, of the ids, and, once a table is large, of the vectors."""

from collections.abc import Collection
from typing import Any

from lancedb.index import FTS, BTree, IvfRq

from pincite.index.schema import COLUMNS_OF_IDS, COLUMNS_OF_WORDS

# Below this many rows a search reads every vector (about 4 ms of CPU a thousand); above, one bit of each number.
_BRUTE_FORCE_ROWS = 4_000
# The parameters were measured: docs/decisions/0007-index.md.
_ROWS_A_PARTITION = 4_000
_FEWEST_PARTITIONS = 16
_TRAINING_ROUNDS = 10
# Each maintenance adds a part to the vector index, which costs a search 0.4 ms of CPU; so many may be there, and one
# more for so many rows, before it is built anew (30 µs a row).
_MOST_PARTS = 16
_ROWS_A_PART = 20_000


def vector_index(count: int) -> IvfRq:
    """Return what is to be built over the vectors of so many rows."""
    partitions = max(_FEWEST_PARTITIONS, count // _ROWS_A_PARTITION)
    return IvfRq(distance_type="dot", num_partitions=partitions, max_iterations=_TRAINING_ROUNDS)


async def complete(table: Any) -> None:
    """Build the indexes of words and ids that a table lacks."""
    indexed = {tuple(index.columns) for index in await table.list_indices()}
    for column in (*COLUMNS_OF_WORDS, *COLUMNS_OF_IDS):
        if (column,) not in indexed:
            await table.create_index(column, config=_index_of(column))


async def renew_vectors(table: Any) -> None:
    """Build the index of the vectors once a table is large, and anew when it has become many parts."""
    count = await table.count_rows()
    if count <= _BRUTE_FORCE_ROWS:
        return
    parts = [(await table.index_stats(name)).num_indices for name in await _of_vectors(table)]
    if not parts or max(parts) > _MOST_PARTS + count // _ROWS_A_PART:
        await table.create_index("vector", config=vector_index(count))


async def rebuild(table: Any, columns: Collection[str]) -> None:
    """Build the indexes of these columns anew, whatever is left of the old ones."""
    for column in set(columns) - {"vector"}:
        await table.create_index(column, config=_index_of(column))
    if "vector" in columns:
        for name in await _of_vectors(table):
            await table.drop_index(name)  # a table that has shrunk does without
        await renew_vectors(table)


async def _of_vectors(table: Any) -> list[str]:
    return [index.name for index in await table.list_indices() if index.columns == ["vector"]]


def _index_of(column: str) -> FTS | BTree:
    if column in COLUMNS_OF_WORDS:
        return FTS(base_tokenizer="icu/split", with_position=False, stem=False, remove_stop_words=False)
    return BTree()
