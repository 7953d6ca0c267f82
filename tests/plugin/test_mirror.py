"""Files of Open WebUI become knowledge bases: its Knowledge, attachments, deletions, and who may read them."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from plugin.function.files import offered
from plugin.function.mirroring import Mirror
from plugin.function.openwebui import Audience
from plugin.function.storing import Store, StoreFailure
from plugin.openwebui_api import OpenWebUIApi
from tests.http_server.sample_workspace import ADMIN_KEY, CHINESE, MANUAL, Served, listen, serve

pytestmark = pytest.mark.anyio

USERS = [{"id": "u1", "email": "Alice@example.com"}, {"id": "u2", "email": "bob@example.com"}]
GROUPS = [{"id": "g1", "name": "legal"}]
LEGAL = {"principal_type": "group", "principal_id": "g1", "permission": "read"}
BOB = {"principal_type": "user", "principal_id": "u2", "permission": "read"}


@dataclass
class Collections:
    """Answers as Open WebUI's interface does; `files` are those of its one collection, by name."""

    name: str = "Contracts"
    grants: list[dict[str, str]] = field(default_factory=lambda: [LEGAL])
    files: dict[str, bytes] = field(default_factory=dict)
    is_there: bool = True
    attached: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    users: list[dict[str, str]] = field(default_factory=lambda: list(USERS))
    downloads: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/content"):
            name = path.split("/")[4]
            self.downloads.append(name)
            return httpx.Response(200, content=self.attached[name][1] if name in self.attached else self.files[name])
        told: Any = {
            "/api/v1/users/all": {"users": self.users},
            "/api/v1/groups/": GROUPS,
            "/api/v1/knowledge/": self._page(
                [{"id": "c1", "name": self.name, "user_id": "u1", "access_grants": self.grants}] * self.is_there
            ),
            "/api/v1/knowledge/c1/files": self._page([self._file(name) for name in self.files]),
            "/api/v1/files/": self._page(
                [self._file(name) | {"user_id": "u1"} for name in self.files]
                + [self._attachment(identifier, of) for identifier, of in self.attached.items()]
            ),
        }[path]
        return httpx.Response(200, content=json.dumps(told))

    def _file(self, name: str) -> dict[str, Any]:
        digest = hashlib.sha256(self.files[name]).hexdigest()
        return {"id": name, "filename": name, "meta": {"file_hash": digest}}

    @staticmethod
    def _attachment(identifier: str, of: tuple[str, bytes]) -> dict[str, Any]:
        owner, content = of
        meta = {"name": "notes.md", "file_hash": hashlib.sha256(content).hexdigest(), "content_type": "text/markdown"}
        return {"id": identifier, "filename": "notes.md", "user_id": owner, "meta": meta}

    @staticmethod
    def _page(items: list[Any]) -> dict[str, Any]:
        return {"items": items, "total": len(items)}


@dataclass
class Synced:
    served: Served
    collections: Collections
    address: str

    async def sync(self, *names: str, key: str = ADMIN_KEY, force: bool = False) -> list[str]:
        async with self._parts(key) as mirror:
            return [line async for line in mirror.collections(names, force=force)]

    async def sync_attachments(self, user_id: str | None = None) -> list[str]:
        async with self._parts(ADMIN_KEY) as mirror:
            return [line async for line in mirror.attachments(user_id)]

    @asynccontextmanager
    async def _parts(self, key: str) -> AsyncIterator[Mirror]:
        transport = httpx.MockTransport(self.collections)
        async with OpenWebUIApi("http://chat", "token", transport) as openwebui, Store(self.address, key) as store:
            yield Mirror(openwebui, store)

    async def mirror(self) -> dict[str, Any]:
        told: dict[str, Any] = (await self.served.http.get("/api/knowledge-bases/Contracts · Open WebUI")).json()
        return told

    async def paths(self) -> set[str]:
        return set(await self.served.document_ids("Contracts · Open WebUI"))


@pytest.fixture
async def synced(tmp_path: Path) -> AsyncIterator[Synced]:
    async with serve(tmp_path) as served, listen(served.app) as address:
        files = {"manual.md": MANUAL.encode(), "手册.md": CHINESE.encode()}
        yield Synced(served, Collections(files=files), address)


async def test_a_collection_becomes_a_knowledge_base_for_those_it_is_shared_with(synced: Synced) -> None:
    assert await synced.sync() == [
        "Contracts: made its knowledge base, for group:legal, user:alice@example.com",
        "Contracts: manual.md: indexed",
        "Contracts: 手册.md: indexed",
    ]
    assert (await synced.mirror())["settings"]["readers"] == ["group:legal", "user:alice@example.com"]
    synced.collections.downloads.clear()
    assert await synced.sync("Contracts") == []
    assert synced.collections.downloads == []  # what has the same hash is not even fetched


async def test_changes_deletions_and_rights_follow(synced: Synced) -> None:
    await synced.sync()
    del synced.collections.files["手册.md"]
    synced.collections.files["manual.md"] += b"\nAlways wear gloves.\n"
    synced.collections.grants = [BOB]
    assert await synced.sync() == [
        "Contracts: is now for user:alice@example.com, user:bob@example.com",
        "Contracts: removed 手册.md",
        "Contracts: manual.md: indexed",
    ]
    assert await synced.paths() == {"manual.md"}


async def test_most_documents_do_not_vanish_by_accident(synced: Synced) -> None:
    await synced.sync()
    synced.collections.files.clear()
    assert await synced.sync() == ["Contracts: 2 of 2 documents would vanish; if that is meant, use --force"]
    assert len(await synced.paths()) == 2
    await synced.sync(force=True)
    assert await synced.paths() == set()


async def test_when_the_collection_is_gone_nobody_may_read_its_mirror_any_more(synced: Synced) -> None:
    await synced.sync()
    synced.collections.is_there = False
    (line,) = await synced.sync()
    assert "nobody may read it any more" in line
    assert (await synced.mirror())["settings"]["readers"] == []
    assert await synced.sync() == []


async def test_a_collection_that_is_not_there_is_named(synced: Synced) -> None:
    assert await synced.sync("Manuals") == ["Manuals: there is no such collection"]


async def test_a_key_that_may_not_administer_is_refused_in_the_words_of_the_server(synced: Synced) -> None:
    reading = (await synced.served.key({"read"}))["Authorization"].removeprefix("Bearer ")
    with pytest.raises(StoreFailure, match="admin scope"):
        await synced.sync(key=reading)


BERTH = b"# Berths\n\nThe ferry to Tarn Island leaves from berth seventeen.\n"
TIDE = b"# Tides\n\nHigh water at Tarn Island is at a quarter past nine.\n"


async def readers_of(synced: Synced) -> dict[str, list[str]]:
    listed = (await synced.served.http.get("/api/knowledge-bases")).json()
    return {kb["name"]: kb["settings"]["readers"] for kb in listed if kb["name"].startswith("Attachments")}


async def test_what_someone_attaches_is_for_nobody_else_and_goes_when_it_is_deleted(synced: Synced) -> None:
    synced.collections.attached = {"f1": ("u1", BERTH), "f2": ("u2", TIDE)}
    assert await synced.sync_attachments() == [
        "attachments of alice@example.com: f1/notes.md: indexed",
        "attachments of bob@example.com: f2/notes.md: indexed",
    ]
    assert await readers_of(synced) == {"Attachments · u1": ["user:u1"], "Attachments · u2": ["user:u2"]}
    assert await synced.sync_attachments() == []
    del synced.collections.attached["f1"]
    (line,) = await synced.sync_attachments()
    assert line == "attachments of alice@example.com: removed, as there are none any more"
    assert set(await readers_of(synced)) == {"Attachments · u2"}


async def test_one_persons_attachments_can_be_brought_up_to_date_alone(synced: Synced) -> None:
    synced.collections.attached = {"f1": ("u1", BERTH), "f2": ("u2", TIDE)}
    assert await synced.sync_attachments("u2") == ["attachments of bob@example.com: f2/notes.md: indexed"]
    synced.collections.attached["f3"] = ("u2", BERTH)
    del synced.collections.attached["f2"]
    assert await synced.sync_attachments("u2") == [
        "attachments of bob@example.com: removed f2/notes.md",
        "attachments of bob@example.com: f3/notes.md: indexed",
    ]


async def test_the_attachments_of_someone_who_is_gone_are_removed(synced: Synced) -> None:
    synced.collections.attached = {"f1": ("u1", BERTH)}
    await synced.sync_attachments()
    synced.collections.users = [USERS[1]]
    assert await synced.sync_attachments() == ["attachments of u1: removed, as there are none any more"]
    assert await readers_of(synced) == {}


async def test_a_collection_is_never_taken_for_attachments_whatever_it_is_called(synced: Synced) -> None:
    synced.collections.name = "Attachments · u1"
    await synced.sync()
    assert await synced.sync_attachments() == []
    listed = (await synced.served.http.get("/api/knowledge-bases")).json()
    assert [kb["name"] for kb in offered(listed)] == ["Attachments · u1 · Open WebUI"]


async def test_rights_that_someone_widened_are_narrowed_again(synced: Synced) -> None:
    synced.collections.attached = {"f1": ("u1", BERTH)}
    await synced.sync_attachments()
    kb = "/api/knowledge-bases/Attachments · u1"
    await synced.served.http.patch(kb, json={"settings": {"readers": "everyone"}})
    assert await synced.sync_attachments() == ["attachments of alice@example.com: are for nobody else any more"]


async def test_a_file_that_gets_into_a_collection_is_no_attachment(synced: Synced) -> None:
    synced.collections.attached = {"manual.md": ("u1", MANUAL.encode())}
    assert await synced.sync_attachments() == []


def test_who_is_everyone_there_is_everyone_here() -> None:
    everyone = {"principal_type": "user", "principal_id": "*", "permission": "read"}
    assert Audience(USERS, GROUPS).readers("u1", [everyone, LEGAL]) == ["everyone"]
    assert Audience(USERS, GROUPS).readers("u1", []) == ["user:alice@example.com"]
    assert Audience(USERS, GROUPS).readers("gone", []) == []
