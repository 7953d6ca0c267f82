"""A server that is killed while it takes documents in goes on where it was: every document once and whole."""

from pathlib import Path

import pytest

from benchmarks import killed_server

pytestmark = pytest.mark.anyio


async def test_a_server_that_is_killed_and_killed_again_loses_nothing(tmp_path: Path) -> None:
    outcome = await killed_server.measure(tmp_path, documents=24, kills=3, seed=7, pause_s=0.2)
    assert outcome.wrong == []
    assert outcome.in_catalog == outcome.results == 24
    assert outcome.passages_in_index == outcome.passages_in_catalog == 72
    assert outcome.duplicates == 0
    assert len(outcome.killed_at) == 3
