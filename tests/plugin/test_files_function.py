"""The Event function's file, loaded as Open WebUI loads it: what happens there to files happens in the index."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.http_server.sample_workspace import ADMIN_KEY, Served, listen, serve
from tests.plugin.chat import load

pytestmark = pytest.mark.anyio

NOTES = b"# Berths\n\nThe ferry to Tarn Island leaves from berth seventeen.\n"


class Record(SimpleNamespace):
    """A row of Open WebUI's database."""

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return dict(self.__dict__)


@dataclass
class Inside:
    """Stands in for what a function imports inside Open WebUI: files, one collection and the people there."""

    folder: Path
    files: dict[str, Record] = field(default_factory=dict)
    collected: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=lambda: ["alice", "bob"])

    def put(self, identifier: str, owner: str, name: str = "notes.md", **data: Any) -> Record:
        path = self.folder / identifier
        path.write_bytes(NOTES)
        digest = hashlib.sha256(NOTES).hexdigest()
        meta = {"name": name, "content_type": "text/markdown", "file_hash": digest, "data": data}
        stored = Record(id=identifier, user_id=owner, filename=name, path=str(path), meta=meta, data={"status": None})
        self.files[identifier] = stored
        return stored

    async def by_id(self, identifier: str) -> Record | None:
        return self.files.get(identifier)

    async def listed(self, user_id: str | None, skip: int, limit: int) -> Any:
        found = [file for file in self.files.values() if user_id in {None, file.user_id}]
        return SimpleNamespace(items=found[skip : skip + limit], total=len(found))

    async def collections(self) -> list[Record]:
        return [Record(id="c1", name="Contracts", user_id="alice", access_grants=[])]

    async def in_collection(self, _: str) -> list[Record]:
        return [Record(id=each, meta=self.files[each].meta) for each in self.collected if each in self.files]

    async def people(self) -> dict[str, Any]:
        return {"users": [SimpleNamespace(id=user, email=f"{user}@example.com") for user in self.users]}

    async def nothing(self) -> list[Any]:
        return []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        parts: dict[str, dict[str, Any]] = {
            "files": {"Files": SimpleNamespace(get_file_by_id=self.by_id, get_file_list=self.listed)},
            "knowledge": {
                "Knowledges": SimpleNamespace(
                    get_knowledge_bases=self.collections, get_file_metadatas_by_id=self.in_collection
                )
            },
            "users": {"Users": SimpleNamespace(get_users=self.people)},
            "groups": {"Groups": SimpleNamespace(get_all_groups=self.nothing)},
        }
        modules = {f"open_webui.models.{name}": attributes for name, attributes in parts.items()}
        modules |= {"open_webui.storage.provider": {"Storage": SimpleNamespace(get_file=lambda path: path)}}
        modules |= {"open_webui": {}, "open_webui.models": {}, "open_webui.storage": {}}
        for name, attributes in modules.items():
            module = ModuleType(name)
            module.__dict__.update(attributes)
            monkeypatch.setitem(sys.modules, name, module)


@dataclass
class Mirrored:
    served: Served
    inside: Inside
    module: Any
    function: Any

    async def happens(self, event: str, subject: str = "", **data: Any) -> None:
        """Tell the function of an event, as Open WebUI does."""
        await self.function.event({"event": event, "subject": {"id": subject}, "data": data}, "pincite_files")

    async def documents(self) -> dict[str, list[str]]:
        """Return the documents of each knowledge base."""
        listed = (await self.served.http.get("/api/knowledge-bases")).json()
        return {kb["name"]: sorted(await self.served.document_ids(kb["name"])) for kb in listed}


@pytest.fixture
async def mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mirrored]:
    (tmp_path / "uploads").mkdir()
    inside = Inside(tmp_path / "uploads")
    inside.install(monkeypatch)
    async with serve(tmp_path / "data") as served, listen(served.app) as address:
        module = load("pincite_files.py")
        function = module.Event()
        function.valves.pincite_url, function.valves.pincite_key = address, ADMIN_KEY
        yield Mirrored(served, inside, module, function)


async def test_an_upload_to_a_chat_is_indexed_for_its_owner_and_goes_when_it_is_deleted(mirrored: Mirrored) -> None:
    mirrored.inside.put("f1", "alice")
    mirrored.inside.put("f2", "bob")
    await mirrored.happens("file.uploaded", "f1")
    assert await mirrored.documents() == {"Attachments · alice": ["f1/notes.md"]}  # Bob's was not what happened
    await mirrored.happens("file.uploaded", "f2")
    del mirrored.inside.files["f1"]
    await mirrored.happens("file.deleted", "f1")
    documents = await mirrored.documents()
    assert documents["Attachments · bob"] == ["f2/notes.md"]
    assert "Attachments · alice" not in documents


async def test_an_upload_to_a_collection_is_mirrored_once_open_webui_has_put_it_there(mirrored: Mirrored) -> None:
    mirrored.module.LOOK_AGAIN_S = 0
    file = mirrored.inside.put("f1", "alice", knowledge_id="c1")
    following = asyncio.create_task(mirrored.happens("file.uploaded", "f1"))
    await asyncio.sleep(0)
    assert await mirrored.documents() == {}
    mirrored.inside.collected.append("f1")
    file.data["status"] = "completed"
    await following
    assert await mirrored.documents() == {"Contracts · Open WebUI": ["notes.md"]}
    mirrored.inside.collected.clear()
    await mirrored.happens("knowledge.file.removed", "f1", knowledge_id="c1")
    assert (await mirrored.documents())["Contracts · Open WebUI"] == []


async def test_pictures_are_left_alone(mirrored: Mirrored) -> None:
    mirrored.inside.put("f1", "alice", "cat.png").meta["content_type"] = "image/png"
    await mirrored.happens("file.uploaded", "f1")
    assert await mirrored.documents() == {}


async def test_what_was_missed_while_open_webui_was_away_is_made_up_for_when_it_is_set_up(mirrored: Mirrored) -> None:
    mirrored.inside.put("f1", "alice")
    mirrored.inside.put("f2", "alice")
    mirrored.inside.collected.append("f2")
    await mirrored.happens("function.valves_updated", "another")
    assert await mirrored.documents() == {}
    await mirrored.happens("function.valves_updated", "pincite_files")
    assert await mirrored.documents() == {
        "Attachments · alice": ["f1/notes.md"],
        "Contracts · Open WebUI": ["notes.md"],
    }


async def test_the_valves_say_what_is_mirrored(mirrored: Mirrored) -> None:
    mirrored.inside.put("f1", "alice")
    mirrored.inside.put("f2", "alice")
    mirrored.inside.collected.append("f2")
    valves = mirrored.function.valves
    valves.attachments, valves.collections = False, "Manuals, Letters"
    await mirrored.happens("file.uploaded", "f1")
    await mirrored.happens("knowledge.file.added", "f2", knowledge_id="c1")
    assert await mirrored.documents() == {}
    valves.collections = "Manuals, Contracts"
    await mirrored.happens("knowledge.file.added", "f2", knowledge_id="c1")
    assert await mirrored.documents() == {"Contracts · Open WebUI": ["notes.md"]}


async def test_without_a_key_nothing_is_mirrored(mirrored: Mirrored) -> None:
    mirrored.inside.put("f1", "alice")
    mirrored.function.valves.pincite_key = ""
    await mirrored.happens("file.uploaded", "f1")
    assert await mirrored.documents() == {}


async def test_while_pincite_is_away_it_is_tried_again(mirrored: Mirrored, caplog: pytest.LogCaptureFixture) -> None:
    mirrored.inside.put("f1", "alice")
    mirrored.module.PAUSES_S = (0, 0)
    there, mirrored.function.valves.pincite_url = mirrored.function.valves.pincite_url, "http://127.0.0.1:9"
    await mirrored.happens("file.uploaded", "f1")
    assert (
        caplog.messages
        == ["Pincite could not follow Open WebUI's files: The Pincite server does not answer; is it running?"] * 3
    )
    mirrored.function.valves.pincite_url = there
    mirrored.inside.put("f2", "alice")
    await mirrored.happens("file.uploaded", "f2")
    assert await mirrored.documents() == {"Attachments · alice": ["f1/notes.md", "f2/notes.md"]}


async def test_many_uploads_at_once_are_followed_by_few_looks(mirrored: Mirrored) -> None:
    looks = 0
    attachments = mirrored.module.Mirror.attachments

    def counted(*of: Any) -> Any:
        nonlocal looks
        looks += 1
        return attachments(*of)

    mirrored.module.Mirror.attachments = counted
    for number in range(12):
        mirrored.inside.put(f"f{number}", "alice")
    await asyncio.gather(*(mirrored.happens("file.uploaded", f"f{number}") for number in range(12)))
    assert len((await mirrored.documents())["Attachments · alice"]) == 12
    assert looks == 2  # the one that was first, and one after all the others


def test_the_file_asks_for_nothing_that_open_webui_lacks() -> None:
    text = (Path(__file__).parents[2] / "plugin" / "pincite_files.py").read_text("utf-8")
    imported = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imported - sys.stdlib_module_names == {"httpx", "pydantic"}
