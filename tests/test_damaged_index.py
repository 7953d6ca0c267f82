"""An index whose files vanish under a running server is named as what it is, and the sound ones go on answering."""

import shutil
from pathlib import Path

import pytest

from pincite.errors import IndexDamaged
from pincite.settings import load_settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder
from tests.owner import OWNER, add

pytestmark = pytest.mark.anyio

PUMP = "The pump is made of bronze and weighs forty kilograms."
LEAVE = "Every employee has thirty days of leave a year."


async def workspace_of_two(workspace: Workspace, folder: Path) -> Path:
    """Make the knowledge bases "pumps" and "leave", search both, and return the table of the first."""
    for name, text in (("pumps", PUMP), ("leave", LEAVE)):
        (folder / f"{name}.txt").write_text(text)
        await add(workspace, name, folder / f"{name}.txt")
    assert (await workspace.search(OWNER, None, "How heavy is the pump?")).passages[0].text == PUMP
    [pumps] = [kb for kb in await workspace.knowledge_bases(OWNER) if kb.name == "pumps"]
    return workspace.settings.data / "index" / f"{pumps.table}.lance"


@pytest.mark.parametrize("lost", ["data", "."])
async def test_a_search_names_the_damage_and_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr("pincite.generations.QUIET_S", 3600)  # nothing is written while files are deleted
    async with Workspace(load_settings(data=tmp_path / "data", parser_workers=1), embedder=FakeEmbedder()) as workspace:
        table = await workspace_of_two(workspace, tmp_path)
        shutil.rmtree(table / lost)
        with pytest.raises(IndexDamaged, match="doctor --repair"):
            await workspace.search(OWNER, "pumps", "What is it made of?")
        found = await workspace.search(OWNER, None, "How many days of leave?")
        assert [passage.text for passage in found.passages] == [LEAVE]
        assert [("“pumps” was not searched" in note, "doctor --repair" in note) for note in found.notes] == [
            (True, True)
        ]
