"""The copy of an index's vectors that a process reads instead of the table."""

import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_backend import Vectors
from pincite.index.vector_file import VectorFile, inner_products

pytestmark = pytest.mark.anyio

LENGTH = 16
ROWS = 300
QUESTION: Vectors = np.random.default_rng(1).normal(size=LENGTH).astype(np.float32)


def table_of(rows: int) -> pa.Table:
    numbers = np.random.default_rng(rows).normal(size=(rows, LENGTH)).astype(np.float16)
    return pa.table({"vector": pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), LENGTH)})


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[Any]:
    connection = await lancedb.connect_async(str(tmp_path))
    with connection, await connection.create_table("kb", table_of(ROWS)) as opened:
        yield opened


async def stored(table: Any) -> tuple[np.ndarray, Vectors]:
    """Return the addresses of a table's rows, in order, and the inner products of their vectors with QUESTION."""
    found = await table.query().with_row_id().select(["vector"]).to_arrow()
    addresses = found["_rowid"].to_numpy().astype(np.int64)
    order = np.argsort(addresses)
    vectors = np.array(found["vector"].to_pylist(), np.float32)
    return addresses[order], (vectors @ QUESTION)[order]


@pytest.fixture
async def filled(tmp_path: Path, table: Any, monkeypatch: pytest.MonkeyPatch) -> VectorFile:
    monkeypatch.setattr("pincite.index.vector_file._ROWS_AT_ONCE", 70)
    monkeypatch.setattr("pincite.index.vector_file._TAKEN_ROW_BY_ROW", 50)
    file = VectorFile(str(tmp_path), LENGTH)
    file.read_on(table, (await stored(table))[0])
    await file.settled()
    return file


async def test_rows_are_compared_in_any_order_and_number(
    filled: VectorFile, table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.index.vector_file._COMPARED_AT_ONCE", 10 * LENGTH)
    addresses, products = await stored(table)
    random = np.random.default_rng(0)
    for count in (0, 1, 2, 77, ROWS):
        places = random.permutation(ROWS)[:count]
        found = await filled.similarities(addresses[places], QUESTION)
        assert found == pytest.approx(products[places], rel=1e-5, abs=1e-5)
    assert await filled.similarities(addresses, QUESTION) == pytest.approx(products, rel=1e-5, abs=1e-5)


async def test_rows_that_come_later_are_read_on(filled: VectorFile, table: Any) -> None:
    await table.add(table_of(40))
    addresses, products = await stored(table)
    assert filled.holds(addresses).tolist() == [True] * ROWS + [False] * 40
    filled.read_on(table, addresses)
    await filled.settled()
    assert filled.holds(addresses).all()
    assert await filled.similarities(addresses, QUESTION) == pytest.approx(products, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("row_by_row", [0, 100])
async def test_rows_that_are_gone_before_they_are_read_are_not_there(
    tmp_path: Path, table: Any, monkeypatch: pytest.MonkeyPatch, row_by_row: int
) -> None:
    monkeypatch.setattr("pincite.index.vector_file._ROWS_AT_ONCE", 70)
    monkeypatch.setattr("pincite.index.vector_file._TAKEN_ROW_BY_ROW", row_by_row)
    addresses, _ = await stored(table)
    await table.delete("_rowid < 100")
    file = VectorFile(str(tmp_path), LENGTH)
    file.read_on(table, addresses)
    await file.settled()
    assert file.holds(addresses).tolist() == [False] * 100 + [True] * (ROWS - 100)
    _, products = await stored(table)
    assert await file.similarities(addresses[100:], QUESTION) == pytest.approx(products, rel=1e-5, abs=1e-5)


async def test_what_cannot_be_read_at_once_is_waited_for_in_a_thread(
    filled: VectorFile, table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.index.vector_file._NOW", 1 << 20)  # which no system knows
    addresses, products = await stored(table)
    assert await filled.similarities(addresses, QUESTION) == pytest.approx(products, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(("bound", "value"), [("_MOST_BYTES", 1_000), ("_MOST_OF_DISK", 0.0)])
async def test_nothing_is_copied_where_there_is_no_room(
    tmp_path: Path, table: Any, monkeypatch: pytest.MonkeyPatch, bound: str, value: float
) -> None:
    monkeypatch.setattr(f"pincite.index.vector_file.{bound}", value)
    file = VectorFile(str(tmp_path), LENGTH)
    addresses, _ = await stored(table)
    file.read_on(table, addresses)
    await file.settled()
    assert not file.holds(addresses).any()


@pytest.mark.parametrize(("allowed", "is_copied"), [(0, False), (1_000_000, True), (resource.RLIM_INFINITY, True)])
async def test_copies_are_a_part_of_the_files_that_may_be_open(
    tmp_path: Path, table: Any, monkeypatch: pytest.MonkeyPatch, allowed: int, is_copied: bool
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (allowed, allowed))
    file = VectorFile(str(tmp_path), LENGTH)
    addresses, _ = await stored(table)
    file.read_on(table, addresses)
    await file.settled()
    assert file.holds(addresses).all() == is_copied


async def test_nothing_is_copied_where_no_file_can_be_made(tmp_path: Path, table: Any) -> None:
    file = VectorFile(str(tmp_path / "missing"), LENGTH)
    addresses, _ = await stored(table)
    file.read_on(table, addresses)
    await file.settled()
    assert not file.holds(addresses).any()


async def test_nothing_is_read_of_a_table_after_the_stop(tmp_path: Path, table: Any) -> None:
    file = VectorFile(str(tmp_path), LENGTH)
    addresses, _ = await stored(table)
    file.read_on(table, addresses)
    await file.stop()
    file.read_on(table, addresses)
    await file.settled()
    assert not file.holds(addresses).any()


async def test_the_file_has_no_name(tmp_path: Path, table: Any) -> None:
    file = VectorFile(str(tmp_path), LENGTH)
    before = sorted(path.name for path in tmp_path.iterdir())
    file.read_on(table, (await stored(table))[0])
    await file.settled()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


async def test_a_file_mostly_of_rows_that_are_gone_is_told(
    filled: VectorFile, table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.index.vector_file._FEW_GONE", 10)
    addresses, _ = await stored(table)
    assert not filled.is_mostly_gone(addresses)
    assert not filled.is_mostly_gone(addresses + (1 << 32))
    assert filled.is_mostly_gone(addresses[: ROWS // 2 - 1])
    assert filled.is_mostly_gone(addresses[10:] + (1 << 32))


@given(st.lists(st.floats(width=16, allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
def test_inner_products_are_those_of_the_numbers(numbers: list[float]) -> None:
    vectors = np.array([numbers, numbers[::-1]], np.float16)
    question = np.linspace(-1, 1, len(numbers), dtype=np.float32)
    expected = vectors.astype(np.float64) @ question.astype(np.float64)
    assert inner_products(vectors, question) == pytest.approx(
        expected, rel=1e-4, abs=1e-4 * float(np.abs(vectors).max())
    )


def test_a_row_s_product_does_not_depend_on_the_rows_beside_it() -> None:
    random = np.random.default_rng(1)
    vectors = random.standard_normal((301, 384)).astype(np.float16)
    question = random.standard_normal(384).astype(np.float32)
    together = inner_products(vectors, question)
    for first in range(0, 301, 7):
        part = vectors[first : first + 7]
        assert inner_products(part, question).tolist() == together[first : first + 7].tolist()
