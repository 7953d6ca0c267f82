"""Knowledge bases are made, set up, searched and removed."""

from pathlib import Path

import pytest

from pincite.errors import (
    EmptyQuestion,
    InvalidRequest,
    InvalidSettings,
    NameTaken,
    UnknownJob,
    UnknownKnowledgeBase,
)
from pincite.settings import KnowledgeBaseSettings
from pincite.workspace import Workspace
from tests.owner import OWNER, add, finish
from tests.workspace.documents import LEAVE, PUMP, upload

pytestmark = pytest.mark.anyio


async def test_a_knowledge_base_is_made_listed_and_removed_with_its_files(workspace: Workspace, folder: Path) -> None:
    created = await workspace.create_knowledge_base(OWNER, " manuals ")
    assert created.name == "manuals"
    await add(workspace, created.id, folder)
    listed = await workspace.knowledge_bases(OWNER)
    assert [(kb.name, kb.documents, kb.passages) for kb in listed] == [("manuals", 3, 3)]
    await workspace.remove_knowledge_base(OWNER, "manuals")
    assert await workspace.knowledge_bases(OWNER) == []
    assert not list((workspace.settings.data / "originals").glob("*/*"))
    with pytest.raises(UnknownKnowledgeBase):
        await workspace.search(OWNER, "manuals", "oil")


async def test_a_name_is_taken_once(workspace: Workspace) -> None:
    await workspace.create_knowledge_base(OWNER, "manuals")
    with pytest.raises(NameTaken):
        await workspace.create_knowledge_base(OWNER, "manuals")


@pytest.mark.parametrize("name", ["", "  ", "a" * 101, "a/b", "kb_" + "0" * 20, "a\nb", ".", ".."])
async def test_a_name_that_cannot_be_one_is_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await workspace.create_knowledge_base(OWNER, name)


async def test_another_chunk_size_rebuilds_while_the_old_index_serves(workspace: Workspace, tmp_path: Path) -> None:
    sentences = " ".join(f"Sentence {number} speaks of machine number {number}." for number in range(120))
    (tmp_path / "long.txt").write_text(sentences)
    await add(workspace, "manuals", tmp_path / "long.txt")
    before = await workspace.knowledge_base(OWNER, "manuals")
    changed = await workspace.update_knowledge_base(OWNER, "manuals", {"chunk_tokens": 256, "top_k": 3})
    assert changed.settings == KnowledgeBaseSettings(chunk_tokens=256, top_k=3)
    assert (await workspace.search(OWNER, "manuals", "machine number 7")).passages
    for job in await workspace.unfinished_jobs(OWNER, "manuals"):
        assert (await finish(workspace, job)).state == "done"
    after = await workspace.knowledge_base(OWNER, "manuals")
    assert after.table != before.table
    assert after.passages > before.passages
    assert await workspace.indexed_passages(OWNER, "manuals") == after.passages
    assert len((await workspace.search(OWNER, "manuals", "machine number 7")).passages) <= 3


async def test_a_wrong_setting_is_refused(workspace: Workspace) -> None:
    await workspace.create_knowledge_base(OWNER, "manuals")
    with pytest.raises(InvalidSettings, match="chunk_tokens"):
        await workspace.update_knowledge_base(OWNER, "manuals", {"chunk_tokens": 1})


async def test_removing_a_knowledge_base_cancels_its_jobs(workspace: Workspace, folder: Path) -> None:
    job = await workspace.add(OWNER, "manuals", [str(folder)], create=True)
    await workspace.remove_knowledge_base(OWNER, "manuals")
    assert await workspace.knowledge_bases(OWNER) == []
    with pytest.raises(UnknownJob):
        await workspace.job(OWNER, job.id)


async def test_a_search_without_a_knowledge_base_asks_every_one(workspace: Workspace) -> None:
    await add(workspace, "people", upload(workspace, "leave.md", LEAVE.encode()))
    await add(workspace, "machines", upload(workspace, "pump.md", PUMP.encode()))
    for question, path in ((LEAVE, "leave.md"), (PUMP, "pump.md")):
        found = await workspace.search(OWNER, None, question)
        assert found.passages[0].document.path == path
        scores = [passage.score for passage in found.passages]
        assert scores == sorted(scores, reverse=True)


async def test_an_empty_workspace_says_why_nothing_is_found(workspace: Workspace) -> None:
    found = await workspace.search(OWNER, None, "oil")
    assert found.why is not None
    assert found.why.reason == "empty_knowledge_base"
    with pytest.raises(EmptyQuestion):
        await workspace.search(OWNER, None, "  ")
