"""A workspace on a real catalog, store, parser pool and index; only the embedding model is a fake."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pincite.settings import Settings, load_settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder
from tests.workspace.documents import LEAVE, NOTICE, PUMP, pdf


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "data", parser_workers=1)


@pytest.fixture
async def workspace(settings: Settings) -> AsyncIterator[Workspace]:
    async with Workspace(settings, embedder=FakeEmbedder()) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    (made / "leave.md").write_text(f"# Leave\n\n{LEAVE}\n")
    (made / "pump.md").write_text(f"# Pump\n\n{PUMP}\n")
    (made / "合同.txt").write_text(NOTICE)
    return made


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    path = tmp_path / "handbook.pdf"
    path.write_bytes(pdf("Employee handbook", LEAVE))
    return path
