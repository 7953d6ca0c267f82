"""What is kept in memory of an index's rows, as they are added and moved."""

from collections.abc import AsyncIterator, Sequence

import numpy as np
import pyarrow as pa
import pytest

from pincite.index.rows import Rows

pytestmark = pytest.mark.anyio


async def batches(
    *rows: tuple[int, str, int, str | None], names: Sequence[str | None] = ()
) -> AsyncIterator[pa.RecordBatch]:
    """Yield rows of (address, passage, window, words), each window ten characters long."""
    addresses, passages, windows, words = zip(*rows, strict=True)
    yield pa.record_batch(
        {
            "_rowid": pa.array(addresses, pa.uint64()),
            "passage_id": passages,
            "window": pa.array(windows, pa.int32()),
            "window_start": pa.array([window * 10 for window in windows], pa.int32()),
            "window_end": pa.array([window * 10 + 10 for window in windows], pa.int32()),
            "lexical": pa.array(words, pa.string()),
            "naming": pa.array(names or [None] * len(words), pa.string()),
        }
    )


@pytest.mark.parametrize("most_words", [0, 1_000])
async def test_a_passage_that_was_moved_in_part_keeps_all_its_windows(
    monkeypatch: pytest.MonkeyPatch, most_words: int
) -> None:
    monkeypatch.setattr("pincite.index.rows._MOST_KEPT_BYTES", most_words)
    rows = await Rows().extended(batches((1, "a:0", 0, " rent "), (2, "a:0", 1, None)))
    moved = await rows.extended(batches((5, "a:0", 0, " rent ")))
    assert [(window.start, window.address) for window in moved.windows_of("a:0")] == [(0, 1), (10, 2), (0, 5)]
    assert moved.head("a:0") == 5
    assert [window.address for window in rows.windows_of("a:0")] == [1, 2]


async def test_a_passage_whose_words_changed_has_its_new_windows_only() -> None:
    rows = await Rows().extended(batches((1, "a:0", 0, " rent "), (2, "a:0", 1, None)))
    written = await rows.extended(batches((5, "a:0", 0, " lease "), (6, "a:0", 1, None)))
    assert [window.address for window in written.windows_of("a:0")] == [5, 6]
    assert written.words("a:0") == " lease "


async def test_rows_that_are_gone_are_of_no_passage() -> None:
    rows = await Rows().extended(batches((1, "a:0", 0, " rent "), (2, "a:0", 1, None), (3, "b:0", 0, " lease ")))
    left = rows.only(np.array([2, 3]))
    assert left.addresses.tolist() == [2, 3]
    assert [window.address for window in left.windows_of("a:0")] == [2]
    assert left.windows(np.array([1])) is None
    assert len(rows) == 3
    assert [window.address for window in rows.only(np.array([], np.int64)).windows_of("b:0")] == []


async def test_the_rows_of_documents_are_found_up_to_a_bound() -> None:
    written = [
        (10 + place, f"{name}:{ordinal}", 0, f" {name} ")
        for place, (name, ordinal) in enumerate([("b", 0), ("a", 0), ("a", 1), ("b", 1), ("ab", 0)])
    ]
    rows = await Rows().extended(batches(*written, (20, "a:1", 1, None)))
    assert rows.of_documents(["a"], most=3) == pytest.approx([11, 12, 20])
    assert rows.of_documents(["b", "ab", "unknown"], most=3) == pytest.approx([10, 13, 14])
    assert rows.of_documents(["a"], most=2) is None
    assert rows.of_documents(["unknown"], most=0) == pytest.approx([])


async def test_a_document_that_is_called_something_else_keeps_its_words() -> None:
    rows = await Rows().extended(batches((1, "a:0", 0, " rent "), names=[" contract "]))
    renamed = await rows.extended(batches((5, "a:0", 0, " rent "), names=[" lease "]))
    unnamed = await renamed.extended(batches((9, "a:0", 0, " rent ")))
    assert [(known.name("a:0"), known.words("a:0")) for known in (rows, renamed, unnamed)] == [
        (" contract ", " rent "),
        (" lease ", " rent "),
        (None, " rent "),
    ]


async def test_passages_that_are_gone_are_told_when_they_are_the_greater_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pincite.index.rows._FEW_GONE", 1)
    rows = await Rows().extended(batches(*((place, f"a:{place}", 0, " rent ") for place in range(5))))
    left = [rows.only(np.arange(count)).is_mostly_gone for count in range(6)]
    assert left == [True, True, True, False, False, False]
