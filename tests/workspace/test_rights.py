"""Nobody reads or writes what is not theirs, and keys and links end with the right."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pincite.access import Principal
from pincite.errors import (
    NotAuthenticated,
    NotPermitted,
    UnknownDocument,
    UnknownJob,
    UnknownKnowledgeBase,
    UnknownPage,
)
from pincite.settings import Settings, load_settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder
from tests.owner import OWNER, add
from tests.workspace.documents import LEAVE, upload

pytestmark = pytest.mark.anyio


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
