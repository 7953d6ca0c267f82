"""What is kept in memory of an index's rows, as they are added and moved."""

from collections.abc import AsyncIterator

import pyarrow as pa
import pytest

from pincite.index.rows import Rows

pytestmark = pytest.mark.anyio


async def batches(*rows: tuple[int, str, int, str | None]) -> AsyncIterator[pa.RecordBatch]:
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
        }
    )


@pytest.mark.parametrize("most_words", [0, 1_000])
async def test_a_passage_that_was_moved_in_part_keeps_all_its_windows(
    monkeypatch: pytest.MonkeyPatch, most_words: int
) -> None:
    monkeypatch.setattr("pincite.index.rows._MOST_WORDS_BYTES", most_words)
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
