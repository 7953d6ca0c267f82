"""The use cases on a real catalog, store, parser pool and index; only the embedding model is a fake."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pymupdf
import pytest

from pincite.access import Principal
from pincite.errors import (
    DataFolderBusy,
    EmptyQuestion,
    IndexMismatch,
    InvalidRequest,
    InvalidSettings,
    NameTaken,
    NotAuthenticated,
    NotPermitted,
    Overloaded,
    UnknownDocument,
    UnknownJob,
    UnknownKnowledgeBase,
    UnknownPage,
)
from pincite.ingestion import UploadedFile
from pincite.records import Job
from pincite.settings import KnowledgeBaseSettings, Settings, load_settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder

pytestmark = pytest.mark.anyio

OWNER = Principal.system()
LEAVE = "Every employee may take thirty days of parental leave after one year of service."
PUMP = "Change the oil of the pump every four hundred hours of operation."
NOTICE = "任何一方可提前三十日书面通知对方终止本合同。"


def pdf(*pages: str) -> bytes:
    document = pymupdf.open()
    for text in pages:
        page = document.new_page()
        if text:
            page.insert_textbox(pymupdf.Rect(72, 72, 500, 700), text, fontsize=11)
        else:
            page.draw_rect(pymupdf.Rect(72, 72, 300, 300), fill=(0.5, 0.5, 0.5))
    data: bytes = document.tobytes()
    document.close()
    return data


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


async def finish(workspace: Workspace, job: Job) -> Job:
    return [snapshot async for snapshot in workspace.job_events(OWNER, job.id)][-1]


async def add(workspace: Workspace, kb: str, *sources: str | Path | UploadedFile) -> Job:
    named = [str(source) if isinstance(source, Path) else source for source in sources]
    return await finish(workspace, await workspace.add(OWNER, kb, named, create=True))


def statuses(job: Job) -> dict[str, str]:
    return {result["path"]: result["status"] for result in job.results}


def upload(workspace: Workspace, name: str, data: bytes) -> UploadedFile:
    path = workspace.incoming / f"upload-{name.replace('/', '-')}"
    path.write_bytes(data)
    return UploadedFile(name, path)


# Documents in


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


# Knowledge bases


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


# Searching


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


# Rights


def reader(*knowledge_bases: str, scopes: Sequence[str] = ("read",)) -> Principal:
    return Principal("key_x", "a reader", frozenset(scopes), frozenset(knowledge_bases))


async def test_what_may_not_be_read_does_not_exist(workspace: Workspace, folder: Path) -> None:
    job = await add(workspace, "manuals", folder)
    stranger = reader("kb_other")
    assert await workspace.knowledge_bases(stranger) == []
    document_id = job.results[0]["document_id"]
    refusals: list[tuple[type[Exception], Callable[[], Any]]] = [
        (UnknownKnowledgeBase, lambda: workspace.knowledge_base(stranger, "manuals")),
        (UnknownKnowledgeBase, lambda: workspace.search(stranger, "manuals", "oil")),
        (UnknownKnowledgeBase, lambda: workspace.documents(stranger, "manuals")),
        (UnknownDocument, lambda: workspace.document(stranger, document_id)),
        (UnknownDocument, lambda: workspace.stored(stranger, document_id)),
        (UnknownDocument, lambda: workspace.original(stranger, document_id)),
        (UnknownDocument, lambda: workspace.page_image(stranger, document_id, 1, 1.0)),
        (UnknownDocument, lambda: workspace.remove_document(stranger, document_id)),
        (UnknownJob, lambda: workspace.job(stranger, job.id)),
        (UnknownJob, lambda: anext(workspace.job_events(stranger, job.id))),
        (UnknownKnowledgeBase, lambda: workspace.remove_knowledge_base(stranger, "manuals")),
    ]
    for error, attempt in refusals:
        with pytest.raises(error):
            await attempt()
    assert not (await workspace.search(stranger, None, "oil")).passages


async def test_a_reader_may_not_write_and_a_writer_may_not_administer(workspace: Workspace, folder: Path) -> None:
    job = await add(workspace, "manuals", folder)
    kb = await workspace.knowledge_base(OWNER, "manuals")
    only_read = reader(kb.id)
    writer = reader(kb.id, scopes=("read", "write"))
    with pytest.raises(NotPermitted):
        await workspace.add(only_read, "manuals", [upload(workspace, "a.md", b"a")])
    with pytest.raises(NotPermitted):
        await workspace.remove_document(only_read, job.results[0]["document_id"])
    with pytest.raises(NotPermitted):
        await workspace.update_knowledge_base(writer, "manuals", {"top_k": 3})
    with pytest.raises(NotPermitted):
        await workspace.remove_knowledge_base(writer, "manuals")
    with pytest.raises(NotPermitted):
        await workspace.create_knowledge_base(writer, "more")


@pytest.mark.parametrize("source", ["/etc/passwd", "file:///etc", "git@host:project.git", "ssh://host/p.git", "~"])
async def test_nobody_reads_the_servers_files_from_afar(workspace: Workspace, source: str) -> None:
    administrator = Principal("admin", "administrator", frozenset({"admin"}))
    await workspace.create_knowledge_base(administrator, "manuals")
    with pytest.raises(NotPermitted, match="upload"):
        await workspace.add(administrator, "manuals", [source])


async def test_keys_are_known_by_their_hash_until_they_are_taken_back(workspace: Workspace) -> None:
    record, key = await workspace.keyring.issue("a reader", {"read"}, None)
    principal = await workspace.authenticate(key)
    assert (principal.id, principal.scopes, principal.local) == (record.id, frozenset({"read"}), False)
    for wrong in ("", key + "x", key[:-1], "x" * 10_000, "pc_ключ"):
        with pytest.raises(NotAuthenticated):
            await workspace.authenticate(wrong)
    database = (workspace.settings.data / "catalog.sqlite").read_bytes()
    assert key.encode() not in database


async def test_the_first_key_is_made_once(workspace: Workspace) -> None:
    key = await workspace.keyring.issue_first()
    assert key is not None
    assert "admin" in (await workspace.authenticate(key)).scopes
    assert await workspace.keyring.issue_first() is None


async def test_the_administrators_key_can_come_from_the_settings(settings: Settings) -> None:
    given = load_settings(data=settings.data, parser_workers=1, admin_key="a-key-from-the-environment")
    async with Workspace(given, embedder=FakeEmbedder()) as workspace:
        assert await workspace.keyring.issue_first() is None
        assert "admin" in (await workspace.authenticate("a-key-from-the-environment")).scopes


# The viewer


async def test_a_citations_link_opens_its_document_for_its_reader(
    workspace: Workspace, folder: Path, handbook: Path
) -> None:
    (folder / "leave.md").unlink()
    await add(workspace, "manuals", folder, handbook)
    record, key = await workspace.keyring.issue("a reader", {"read"}, None)
    who = await workspace.authenticate(key)
    best = (await workspace.search(who, "manuals", LEAVE)).passages[0]
    url = workspace.view_url(who, best)
    assert url.startswith(f"http://127.0.0.1:7861/view/{best.document.id}?page=2&start={best.start}&end={best.end}&m=")
    token = url.rpartition("t=")[2]
    assert (await workspace.open_view(token, best.document.id)).id == record.id
    other = next(r.id for r in await workspace.documents(OWNER, "manuals") if r.id != best.document.id)
    with pytest.raises(UnknownDocument):
        await workspace.open_view(token, other)


async def test_a_link_dies_with_the_right_to_read(workspace: Workspace, folder: Path) -> None:
    job = await add(workspace, "manuals", folder)
    kb = await workspace.knowledge_base(OWNER, "manuals")
    document_id = job.results[0]["document_id"]
    stranger = reader("kb_other")
    _, key = await workspace.keyring.issue("elsewhere", {"read"}, frozenset({"kb_other"}))
    elsewhere = await workspace.authenticate(key)
    with pytest.raises(NotAuthenticated):
        await workspace.open_view(workspace.sign_view(stranger, document_id), document_id)
    with pytest.raises(UnknownDocument):
        await workspace.open_view(workspace.sign_view(elsewhere, document_id), document_id)
    _, good = await workspace.keyring.issue("here", {"read"}, frozenset({kb.id}))
    token = workspace.sign_view(await workspace.authenticate(good), document_id)
    await workspace.open_view(token, document_id)
    await workspace.remove_document(OWNER, document_id)
    with pytest.raises(UnknownDocument):
        await workspace.open_view(token, document_id)


async def test_the_local_owners_link_only_reads(workspace: Workspace, folder: Path) -> None:
    job = await add(workspace, "manuals", folder)
    document_id = job.results[0]["document_id"]
    principal = await workspace.open_view(workspace.sign_view(OWNER, document_id), document_id)
    assert not principal.local
    with pytest.raises(NotPermitted):
        await workspace.remove_document(principal, document_id)


async def test_a_page_is_drawn_and_one_that_is_not_there_is_unknown(
    workspace: Workspace, folder: Path, handbook: Path
) -> None:
    job = await add(workspace, "manuals", folder, handbook)
    ids = {result["path"]: result["document_id"] for result in job.results}
    drawn = await asyncio.gather(*(workspace.page_image(OWNER, ids["handbook.pdf"], 2, 1.0) for _ in range(3)))
    assert drawn[0].startswith(b"\x89PNG")
    assert drawn[0] == drawn[1] == drawn[2]
    for document, number in (("handbook.pdf", 0), ("handbook.pdf", 3), ("pump.md", 1)):
        with pytest.raises(UnknownPage):
            await workspace.page_image(OWNER, ids[document], number, 1.0)


# Processes


async def test_a_reader_beside_the_writer_finds_what_it_writes(
    workspace: Workspace, settings: Settings, folder: Path
) -> None:
    async with Workspace(settings, embedder=FakeEmbedder(), read_only=True) as beside:
        await add(workspace, "manuals", folder)
        found = await beside.search(OWNER, "manuals", LEAVE)
        assert found.passages[0].document.path == "leave.md"
        with pytest.raises(DataFolderBusy):
            await beside.add(OWNER, "manuals", [str(folder)])


async def test_a_reader_of_no_folder_finds_nothing_and_makes_nothing(settings: Settings) -> None:
    async with Workspace(settings, embedder=FakeEmbedder(), read_only=True) as workspace:
        assert await workspace.knowledge_bases(OWNER) == []
    assert not settings.data.exists()


async def test_two_writers_do_not_share_a_folder(workspace: Workspace, settings: Settings) -> None:
    with pytest.raises(DataFolderBusy):
        await Workspace(settings, embedder=FakeEmbedder()).__aenter__()


async def test_everything_is_there_after_a_restart(settings: Settings, folder: Path) -> None:
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        job = await add(workspace, "manuals", folder)
        token = workspace.sign_view(OWNER, job.results[0]["document_id"])
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        assert (await workspace.job(OWNER, job.id)).results == job.results
        assert statuses(await add(workspace, "manuals", folder)).keys() == statuses(job).keys()
        assert (await workspace.search(OWNER, "manuals", PUMP)).passages[0].document.path == "pump.md"
        await workspace.open_view(token, job.results[0]["document_id"])


async def test_another_embedding_model_is_named_and_adding_again_indexes_everything_anew(
    settings: Settings, folder: Path
) -> None:
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        await add(workspace, "manuals", folder)
    async with Workspace(settings, embedder=FakeEmbedder(scheme="other")) as workspace:
        with pytest.raises(IndexMismatch, match="fake"):
            await workspace.search(OWNER, "manuals", PUMP)
        again = await add(workspace, "manuals", folder / "pump.md")
        assert statuses(again) == {"pump.md": "unchanged"}  # the rebuilding before it has seen to it
        best = (await workspace.search(OWNER, "manuals", LEAVE)).passages[0]
        assert best.document.path == "leave.md"
        assert await workspace.indexed_passages(OWNER, "manuals") == 3


async def test_a_server_that_starts_with_another_model_rebuilds_by_itself(settings: Settings, folder: Path) -> None:
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        await add(workspace, "manuals", folder)
    async with Workspace(settings, embedder=FakeEmbedder(scheme="other")) as workspace:
        workspace.begin_service()
        while not (await workspace.health())["ready"]:
            await asyncio.sleep(0)
        for job in await workspace.unfinished_jobs(OWNER, "manuals"):
            assert (await finish(workspace, job)).state == "done"
        assert (await workspace.search(OWNER, "manuals", PUMP)).passages[0].document.path == "pump.md"
        assert (await workspace.health())["index"] == "ok"


async def test_a_full_queue_refuses_more(settings: Settings, folder: Path) -> None:
    small = settings.model_copy(update={"running_jobs": 1, "queued_jobs": 1})
    async with Workspace(small, embedder=FakeEmbedder()) as workspace:
        jobs = [await workspace.add(OWNER, "manuals", [str(folder)], create=True) for _ in range(2)]
        with pytest.raises(Overloaded):
            await workspace.add(OWNER, "manuals", [str(folder)])
        for job in jobs:
            assert (await finish(workspace, job)).state == "done"
