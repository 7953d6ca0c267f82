"""What is attached to a chat is searched besides the knowledge base that is asked, and only for its owner."""

import asyncio
import sys
from collections.abc import AsyncIterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.http_server.sample_workspace import ADMIN_KEY, NOTICE, Served
from tests.plugin.chat import ALICE, Models, ask, conversation, load

pytestmark = pytest.mark.anyio

BOB = {"id": "u-bob", "email": "bob@example.com", "name": "Bob", "role": "user"}
BERTH = "From which berth does the ferry to Tarn Island leave?"
NOTES = b"# Berths\n\nThe ferry to Tarn Island leaves from berth seventeen.\n"
OTHER = b"# Lights\n\nThe lighthouse of Skerry Point shows two white flashes.\n"
ATTACHED = [{"type": "file", "id": "f1", "name": "notes.md"}]


@pytest.fixture(scope="module")
async def harbour(library: tuple[Served, str]) -> AsyncIterator[Served]:
    """The library, in which Alice has attached two files, and a collection is mirrored for her."""
    served = library[0]
    made = await served.add("Attachments · u-alice", {"f1/notes.md": NOTES, "f2/lights.md": OTHER})
    assert made.state == "done"
    await served.add("Harbour · Open WebUI", {"tides.md": b"# Tides\n\nHigh water at Gull Rock is at nine.\n"})
    for name in ("Attachments · u-alice", "Harbour · Open WebUI"):
        await served.http.patch(f"/api/knowledge-bases/{name}", json={"settings": {"readers": "user:u-alice"}})
    yield served
    for name in ("Attachments · u-alice", "Harbour · Open WebUI"):
        await served.http.delete(f"/api/knowledge-bases/{name}")


async def of(pipe: Any, name: str) -> str:
    return next(f"pincite.{kb['id']}" for kb in await pipe.pipes() if kb["name"] == name)


def names(shown: Any) -> list[str]:
    return [source["source"]["name"] for source in shown.sources]


async def test_an_attached_file_is_cited_beside_the_knowledge_base_that_is_asked(pipe: Any, harbour: Served) -> None:
    model = await of(pipe, "library")
    assert (await ask(pipe, BERTH, model=model)).sources == []
    assert names(await ask(pipe, BERTH, model=model, files=ATTACHED)) == ["notes.md, Berths"]
    notice = await ask(pipe, NOTICE, model=model, files=ATTACHED)
    assert names(notice)[0] == "contract.pdf, p. 2"
    assert notice.statuses[0]["description"] == "Searching library and what is attached…"


async def test_a_question_waits_for_a_file_that_is_being_indexed_and_says_how_far_it_is(
    pipe: Any, library: tuple[Served, str], harbour: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, mirroring = type(pipe).pipe.__globals__, ModuleType("open_webui.models.functions")
    module["LOOK_FOR_PROGRESS_S"], module["PATIENCE_S"] = 0, 600

    async def function(identifier: str) -> Any:
        return SimpleNamespace(is_active=identifier == "pincite_files")

    mirroring.__dict__["Functions"] = SimpleNamespace(get_function_by_id=function)
    monkeypatch.setitem(sys.modules, "open_webui.models.functions", mirroring)
    indexing: list[asyncio.Task[Any]] = []
    told: list[str] = []

    async def emit(event: dict[str, Any]) -> None:
        told.append(event["data"]["description"])
        if told[-1].startswith("Reading") and not indexing:
            tide = {"f3/tides.md": b"# Tides\n\nHigh water at Tarn Island is at a quarter past ten.\n"}
            indexing.append(asyncio.create_task(library[0].add("Attachments · u-alice", tide)))

    body = {"model": await of(pipe, "library"), "stream": False}
    body |= {"messages": conversation("When is high water at Tarn Island?")}
    attached = [{"type": "file", "id": "f3", "name": "tides.md"}]
    answer = await pipe.pipe(body, dict(ALICE), None, emit, __files__=attached)
    assert [source["source"]["name"] for source in answer["sources"]] == ["tides.md, Tides"]
    assert told[0] == "Reading tides.md: 0 passages so far…"
    await asyncio.gather(*indexing)


async def test_of_what_someone_attached_elsewhere_only_everything_finds_it(pipe: Any, harbour: Served) -> None:
    light = "Which flashes does the lighthouse of Skerry Point show?"
    everywhere = await ask(pipe, light)
    assert names(everywhere) == ["lights.md, Lights"]
    assert everywhere.statuses[0]["description"] == "Searching 2 knowledge bases and what is attached…"
    assert (await ask(pipe, light, model=await of(pipe, "library"), files=ATTACHED)).sources == []


async def test_nobody_else_finds_it(pipe: Any, harbour: Served) -> None:
    assert (await ask(pipe, BERTH, user=BOB)).sources == []
    shown = await ask(pipe, BERTH, user=BOB, files=ATTACHED)
    assert shown.sources == []
    assert shown.text.startswith("notes.md is not in Pincite's index yet")


async def test_it_is_no_model(pipe: Any, harbour: Served) -> None:
    assert [kb["name"] for kb in await pipe.pipes() if "Attachments" in kb["name"]] == []


async def test_an_attached_collection_is_its_mirror(pipe: Any, harbour: Served) -> None:
    collection = [{"type": "collection", "id": "c1", "name": "Harbour"}]
    model = await of(pipe, "library")
    assert names(await ask(pipe, "When is high water at Gull Rock?", model=model, files=collection)) == [
        "tides.md, Tides"
    ]
    gone = await ask(pipe, NOTICE, model=model, files=[{"type": "collection", "id": "c2", "name": "Elsewhere"}])
    assert gone.text.startswith("Elsewhere is not in Pincite's index yet")
    assert names(gone)[0] == "contract.pdf, p. 2"


async def test_one_file_of_a_collection_is_searched_without_the_others(
    pipe: Any, library: tuple[Served, str], harbour: Served
) -> None:
    seals = {"a1b2c3d4 seals.md": b"# Seals\n\nThe seals of Gull Rock have forty pups a year.\n"}
    await library[0].add("Harbour · Open WebUI", seals)
    model = await of(pipe, "library")
    water, pups = "When is high water at Gull Rock?", "How many pups do the seals of Gull Rock have?"
    tides, of_two = collected("0f0f0f0f-1", "tides.md"), collected("a1b2c3d4-2", "seals.md")
    assert names(await ask(pipe, water, model=model, files=tides)) == ["tides.md, Tides"]
    assert "a1b2c3d4 seals.md, Seals" not in names(await ask(pipe, pups, model=model, files=tides))
    assert names(await ask(pipe, pups, model=model, files=of_two)) == ["a1b2c3d4 seals.md, Seals"]
    stranger = await ask(pipe, water, model=model, files=tides, user=BOB)
    assert stranger.text.startswith("tides.md is not in Pincite's index yet")
    assert stranger.sources == []


def collected(identifier: str, name: str) -> list[dict[str, Any]]:
    """Return a file of the collection "Harbour" as it is picked in a chat."""
    collection = {"id": "c1", "name": "Harbour"}
    return [{"type": "file", "id": identifier, "name": name, "meta": {"name": name}, "collection": collection}]


async def test_the_server_that_writes_gets_what_is_attached_too(pipe: Any, harbour: Served) -> None:
    model, pipe.valves.answering_model = await of(pipe, "library"), "pincite"
    assert "berth seventeen" in (await ask(pipe, BERTH, model=model, files=ATTACHED)).text


async def test_the_evidence_for_any_model_has_what_is_attached(
    library: tuple[Served, str], models: Models, harbour: Served
) -> None:
    evidence = load("pincite_filter.py").Filter()
    evidence.valves.pincite_url, evidence.valves.pincite_key = library[1], ADMIN_KEY
    own = evidence.UserValves(knowledge_base="library")
    body = {"model": "any", "messages": conversation(BERTH)}
    asked = await evidence.inlet(body | {"files": ATTACHED}, ALICE | {"valves": own}, {}, None)
    await evidence.connections.close()
    assert "berth seventeen" in str(asked["messages"])


async def test_what_open_webui_puts_in_front_of_a_question_is_not_searched_for() -> None:
    tags = '<attached_files>\n<file type="file" id="f1" url="/f1" name="notes.md"/>\n</attached_files>\n\n'
    module = load("pincite_pipe.py")
    assert module.questions([{"role": "user", "content": tags + BERTH}]) == [BERTH]
    parts = [{"type": "text", "text": tags}, {"type": "text", "text": BERTH}]
    assert module.questions([{"role": "user", "content": parts}]) == [BERTH]
