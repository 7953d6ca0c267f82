"""Collections of Open WebUI's Knowledge become knowledge bases: files, changes, deletions, and who may read them."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from plugin.mirror import Mirror, MirrorFailure
from plugin.openwebui_api import Audience, OpenWebUIApi
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
    downloads: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.startswith("/api/v1/files/"):
            name = path.split("/")[4]
            self.downloads.append(name)
            return httpx.Response(200, content=self.files[name])
        told: Any = {
            "/api/v1/users/all": {"users": USERS},
            "/api/v1/groups/": GROUPS,
            "/api/v1/knowledge/": self._page(
                [{"id": "c1", "name": self.name, "user_id": "u1", "access_grants": self.grants}] * self.is_there
            ),
            "/api/v1/knowledge/c1/files": self._page([self._file(name) for name in self.files]),
        }[path]
        return httpx.Response(200, content=json.dumps(told))

    def _file(self, name: str) -> dict[str, Any]:
        digest = hashlib.sha256(self.files[name]).hexdigest()
        return {"id": name, "filename": name, "meta": {"file_hash": digest}}

    @staticmethod
    def _page(items: list[Any]) -> dict[str, Any]:
        return {"items": items, "total": len(items)}


@dataclass
class Synced:
    served: Served
    collections: Collections
    address: str

    async def sync(self, *names: str, key: str = ADMIN_KEY, force: bool = False) -> list[str]:
        def run() -> list[str]:
            with (
                OpenWebUIApi("http://chat", "token", httpx.MockTransport(self.collections)) as openwebui,
                Mirror(openwebui, self.address, key) as mirror,
            ):
                return list(mirror.sync(names, force=force))

        return await asyncio.to_thread(run)

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
    with pytest.raises(MirrorFailure, match="admin scope"):
        await synced.sync(key=reading)


def test_who_is_everyone_there_is_everyone_here() -> None:
    everyone = {"principal_type": "user", "principal_id": "*", "permission": "read"}
    assert Audience(USERS, GROUPS).readers("u1", [everyone, LEGAL]) == ["everyone"]
    assert Audience(USERS, GROUPS).readers("u1", []) == ["user:alice@example.com"]
    assert Audience(USERS, GROUPS).readers("gone", []) == []
