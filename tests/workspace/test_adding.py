"""Documents are added, and each is told what became of it."""

import os
from pathlib import Path

import pytest

from pincite.settings import Settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder
from tests.owner import OWNER, add, statuses
from tests.workspace.documents import LEAVE, PUMP, pdf, upload

pytestmark = pytest.mark.anyio


async def test_a_folder_is_indexed_and_its_text_found_with_its_page(
    workspace: Workspace, folder: Path, handbook: Path
) -> None:
    (folder / "leave.md").unlink()
    job = await add(workspace, "manuals", folder, handbook)
    assert job.state == "done"
    assert statuses(job) == {"handbook.pdf": "indexed", "pump.md": "indexed", "合同.txt": "indexed"}
    found = await workspace.search(OWNER, "manuals", "parental leave thirty days")
    best = found.passages[0]
    assert (best.document.path, best.page) == ("handbook.pdf", 2)
    with await workspace.stored(OWNER, best.document.id) as stored:
        assert stored.text[best.start : best.end] == best.text


async def test_the_same_files_again_cost_nothing(settings: Settings, folder: Path) -> None:
    embedder = FakeEmbedder()
    async with Workspace(settings, embedder=embedder) as workspace:
        await add(workspace, "manuals", folder)
        embedded = embedder.passages_embedded
        again = await add(workspace, "manuals", folder)
        assert set(statuses(again).values()) == {"unchanged"}
        assert [result["passages"] for result in again.results] == [1, 1, 1]
        assert embedder.passages_embedded == embedded


async def test_a_file_is_one_document_alone_or_with_its_folder(workspace: Workspace, folder: Path) -> None:
    await add(workspace, "manuals", folder)
    assert statuses(await add(workspace, "manuals", folder / "pump.md")) == {"pump.md": "unchanged"}


async def test_a_changed_file_replaces_its_older_version(workspace: Workspace, folder: Path) -> None:
    first = await add(workspace, "manuals", folder)
    (folder / "pump.md").write_text("# Pump\n\nThe impeller is made of bronze.\n")
    second = await add(workspace, "manuals", folder)
    assert statuses(second) == {"leave.md": "unchanged", "pump.md": "indexed", "合同.txt": "unchanged"}
    ids = {result["path"]: result["document_id"] for result in first.results}
    assert ids == {result["path"]: result["document_id"] for result in second.results}
    with await workspace.stored(OWNER, ids["pump.md"]) as stored:
        assert "bronze" in stored.text
    texts = [passage.text for passage in (await workspace.search(OWNER, "manuals", PUMP)).passages]
    assert not any("four hundred" in text for text in texts)
    originals = list((workspace.settings.data / "originals").glob("*/*"))
    assert len(originals) == 3


async def test_a_broken_file_fails_alone_and_is_told(workspace: Workspace, folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing that follows")
    (folder / "empty.md").write_bytes(b"")
    job = await add(workspace, "manuals", folder)
    assert job.state == "done"
    results = {result["path"]: result for result in job.results}
    assert results["broken.pdf"]["status"] == results["empty.md"]["status"] == "failed"
    assert results["broken.pdf"]["error"]["code"] == "corrupt_document"
    assert results["empty.md"]["error"]["code"] == "empty_document"
    assert results["leave.md"]["status"] == "indexed"
    records = {record.path: record for record in await workspace.documents(OWNER, "manuals")}
    assert records["broken.pdf"].status == "failed"
    assert records["broken.pdf"].error == results["broken.pdf"]["error"]
    assert len(list((workspace.settings.data / "originals").glob("*/*"))) == 3


async def test_a_failed_replacement_keeps_the_old_version(workspace: Workspace, folder: Path) -> None:
    await add(workspace, "manuals", folder)
    good = (folder / "leave.md").read_bytes()
    (folder / "leave.md").write_bytes(b"")
    assert statuses(await add(workspace, "manuals", folder))["leave.md"] == "failed"
    best = (await workspace.search(OWNER, "manuals", LEAVE)).passages[0]
    assert best.document.path == "leave.md"
    record = await workspace.document(OWNER, best.document.id)
    assert (record.status, record.error and record.error["code"]) == ("indexed", "empty_document")
    assert (await workspace.original(OWNER, record.id)).read_bytes() == good
    (folder / "leave.md").write_bytes(good)
    assert statuses(await add(workspace, "manuals", folder))["leave.md"] == "unchanged"
    assert (await workspace.document(OWNER, record.id)).error is None


async def test_a_page_without_text_makes_a_document_partial(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "scan.pdf").write_bytes(pdf(LEAVE, "", PUMP))
    job = await add(workspace, "manuals", tmp_path / "scan.pdf")
    result = job.results[0]
    assert result["status"] == "partial"
    assert [warning["page"] for warning in result["warnings"]] == [2]
    record = await workspace.document(OWNER, result["document_id"])
    assert (record.pages, record.pages_without_text) == (3, 1)


async def test_a_document_without_any_text_is_partial_and_has_no_passage(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "scan.pdf").write_bytes(pdf(""))
    result = (await add(workspace, "manuals", tmp_path / "scan.pdf")).results[0]
    assert (result["status"], result["passages"]) == ("partial", 0)


async def test_names_that_are_no_utf8_are_indexed_and_told_apart(workspace: Workspace, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd \xe9")
    odd.mkdir()
    for name in (b"a \xff.txt", b"a \xfe.txt"):
        (odd / os.fsdecode(name)).write_text(PUMP)
    job = await add(workspace, "manuals", odd, odd / os.fsdecode(b"missing \xfd.txt"))
    assert sorted(result["status"] for result in job.results) == ["failed", "indexed", "indexed"]
    assert len({result["document_id"] for result in job.results}) == 3
    assert "\udcff" not in str(job.results)
    again = await add(workspace, "manuals", odd)
    assert [result["status"] for result in again.results] == ["unchanged", "unchanged"]


async def test_half_a_surrogate_pair_in_a_question_is_no_failure(workspace: Workspace, folder: Path) -> None:
    await add(workspace, "manuals", folder)
    assert (await workspace.search(OWNER, "manuals", f"{PUMP} \ud83d")).passages


async def test_a_source_that_is_not_there_fails_and_the_rest_goes_on(workspace: Workspace, folder: Path) -> None:
    job = await add(workspace, "manuals", folder / "missing.pdf", folder / "pump.md")
    assert [result["status"] for result in job.results] == ["failed", "indexed"]
    assert job.results[0]["error"]["code"] == "invalid_source"
    assert (job.done, job.total) == (2, 2)


async def test_an_upload_is_moved_in_and_named_by_its_sender(workspace: Workspace) -> None:
    file = upload(workspace, "../../policies/leave.md", LEAVE.encode())
    job = await add(workspace, "manuals", file)
    assert statuses(job) == {"policies/leave.md": "indexed"}
    assert not file.path.exists()
    again = await add(workspace, "manuals", upload(workspace, "policies/leave.md", LEAVE.encode()))
    assert statuses(again) == {"policies/leave.md": "unchanged"}
    assert not list(workspace.incoming.iterdir())


async def test_the_same_bytes_are_stored_once_and_go_with_their_last_document(workspace: Workspace) -> None:
    job = await add(workspace, "manuals", *(upload(workspace, name, LEAVE.encode()) for name in ("a.md", "b.md")))
    originals = workspace.settings.data / "originals"
    ids = [result["document_id"] for result in job.results]
    assert len(set(ids)) == 2
    assert len(list(originals.glob("*/*"))) == 1
    await workspace.remove_document(OWNER, ids[0])
    assert len(list(originals.glob("*/*"))) == 1
    await workspace.remove_document(OWNER, ids[1])
    assert not list(originals.glob("*/*"))
    assert not list((workspace.settings.data / "parsed").glob("*/*"))


async def test_a_file_over_the_limit_is_refused_by_itself(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "large.txt").write_bytes(b"a" * (1024 * 1024 + 1))
    (tmp_path / "small.txt").write_text(PUMP)
    limited = settings.model_copy(update={"max_file_mb": 1})
    async with Workspace(limited, embedder=FakeEmbedder()) as workspace:
        large = upload(workspace, "large.txt", (tmp_path / "large.txt").read_bytes())
        job = await add(workspace, "manuals", tmp_path / "large.txt", tmp_path / "small.txt", large)
    codes = sorted((result["path"], (result["error"] or {}).get("code")) for result in job.results)
    refused = ("large.txt", "document_too_large")
    assert codes == [refused, refused, ("small.txt", None)]
