"""Knowledge bases with an embedding model each: chosen, changed while searches go on, gone, and back again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from embedding_backend import BackendFailure, BackendUnreachable, PassageText, Vectors
from pincite.errors import BackendError, IndexMismatch, InvalidSettings, UnknownKnowledgeBase
from pincite.settings import KnowledgeBaseSettings, Settings, load_settings
from pincite.workspace import Workspace
from tests.crashes import leave_behind
from tests.fakes import FakeEmbedder, FakeHosted
from tests.owner import OWNER, finish

pytestmark = pytest.mark.anyio

LEAVE = "Every employee may take thirty days of parental leave after one year of service."
PUMP = "Change the oil of the pump every four hundred hours of operation."


class Server(FakeHosted):
    """A hosted model that can be held before it embeds passages, and that can be out of reach."""

    def __init__(self, dimensions: int = 128) -> None:
        super().__init__(dimensions=dimensions)
        self.go = asyncio.Event()
        self.go.set()
        self.arrived = asyncio.Event()
        self.reachable = True
        self.refused = 0

    async def connect(self) -> "Server":
        if not self.reachable:
            self.refused += 1
            raise BackendUnreachable("the embedding server at http://gpu:8000 does not answer; start it")
        return self

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        self.arrived.set()
        await self.go.wait()
        if not self.reachable:
            raise BackendUnreachable("the embedding server at http://gpu:8000 does not answer; start it")
        return await super().embed_passages(passages)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "data", parser_workers=1)


@pytest.fixture
def embedded() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def workspace(settings: Settings, embedded: FakeEmbedder, server: Server) -> AsyncIterator[Workspace]:
    async with Workspace(settings, embedder=embedded, connect=server.connect) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pump.txt"
    path.write_text(PUMP)
    return path


async def make(workspace: Workspace, kb: str, file: Path, **settings: Any) -> None:
    await workspace.create_knowledge_base(OWNER, kb, settings)
    await workspace.add(OWNER, kb, [str(file)])
    await settle(workspace, kb)


async def change(workspace: Workspace, kb: str, **changes: Any) -> None:
    await workspace.update_knowledge_base(OWNER, kb, changes)
    await settle(workspace, kb)


async def settle(workspace: Workspace, kb: str) -> None:
    """Wait for the jobs of a knowledge base."""
    for job in await workspace.unfinished_jobs(OWNER, kb):
        states = [snapshot async for snapshot in workspace.job_events(OWNER, job.id)]
        assert states[-1].state == "done", states[-1].error


async def found(workspace: Workspace, kb: str | None, question: str) -> list[str]:
    return [passage.text for passage in (await workspace.search(OWNER, kb, question)).passages]


async def model_of(workspace: Workspace, kb: str) -> tuple[str, int]:
    """Return the model and the dimensions of the table that serves a knowledge base."""
    record = await workspace.knowledge_base(OWNER, kb)
    async with workspace._opened.generations.use(record) as index:
        return index.model.id, index.model.dimensions


# Choosing


async def test_a_new_knowledge_base_takes_the_hosted_model_where_there_is_one(
    workspace: Workspace, settings: Settings, file: Path
) -> None:
    await make(workspace, "manuals", file)
    assert (await workspace.knowledge_base(OWNER, "manuals")).settings.embedding_model == "hosted"
    assert await model_of(workspace, "manuals") == ("hosted-fake", 128)
    assert await found(workspace, "manuals", PUMP) == [PUMP]


async def test_an_older_knowledge_base_keeps_its_model_when_a_server_is_configured(
    settings: Settings, server: Server, embedded: FakeEmbedder, file: Path
) -> None:
    async with Workspace(settings, embedder=embedded) as before:
        await make(before, "manuals", file)
    embedded.passages_embedded = 0
    async with Workspace(settings, embedder=embedded, connect=server.connect) as workspace:
        await workspace.add(OWNER, "manuals", [str(file)])
        await settle(workspace, "manuals")
        assert await model_of(workspace, "manuals") == ("fake", 64)
        assert await found(workspace, "manuals", PUMP) == [PUMP]
    assert embedded.passages_embedded == server.passages_embedded == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"embedding_model": "embedded", "dimensions": 64}, "embedding_model=hosted"),
        ({"dimensions": 129}, "more than the 128 of hosted-fake"),
        ({"dimensions": 31}, "dimensions"),
        ({"embedding_model": "openai"}, "embedding_model"),
        ({"query_instruction": "x" * 1001}, "query_instruction"),
    ],
)
async def test_what_a_model_cannot_do_is_refused_in_a_sentence(
    workspace: Workspace, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidSettings, match=said):
        await workspace.create_knowledge_base(OWNER, "manuals", wrong)
    assert await workspace.knowledge_bases(OWNER) == []
    await workspace.create_knowledge_base(OWNER, "manuals")
    with pytest.raises(InvalidSettings, match=said):
        await workspace.update_knowledge_base(OWNER, "manuals", wrong)


async def test_without_a_server_the_hosted_model_is_refused(settings: Settings) -> None:
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        await workspace.create_knowledge_base(OWNER, "manuals")
        with pytest.raises(InvalidSettings, match="PINCITE_EMBEDDING_URL"):
            await workspace.update_knowledge_base(OWNER, "manuals", {"embedding_model": "hosted"})


def test_settings_of_an_older_catalog_are_read() -> None:
    stored = {"embedding_model": "embedded", "chunk_tokens": 512, "top_k": 5}
    assert KnowledgeBaseSettings.model_validate(stored) == KnowledgeBaseSettings()


def test_a_command_line_takes_a_setting_back_with_nothing() -> None:
    chosen = KnowledgeBaseSettings(embedding_model="hosted", dimensions=64, query_instruction="Find the clause")
    assert chosen.changed({"dimensions": "", "query_instruction": ""}) == KnowledgeBaseSettings(
        embedding_model="hosted"
    )


# Changing


async def test_another_model_is_built_beside_the_old_one_which_answers_meanwhile(
    workspace: Workspace, embedded: FakeEmbedder, server: Server, file: Path
) -> None:
    await make(workspace, "manuals", file, embedding_model="embedded")
    embedded.asked.clear()
    server.go.clear()
    await workspace.update_knowledge_base(OWNER, "manuals", {"embedding_model": "hosted"})
    await server.arrived.wait()
    assert await found(workspace, "manuals", PUMP) == [PUMP]
    assert (embedded.asked, server.asked) == ([(PUMP, None)], [])
    server.go.set()
    await settle(workspace, "manuals")
    assert await found(workspace, "manuals", PUMP) == [PUMP]
    assert (embedded.asked, server.asked) == ([(PUMP, None)], [(PUMP, None)])
    assert await model_of(workspace, "manuals") == ("hosted-fake", 128)


async def test_searches_never_stop_while_models_are_changed(workspace: Workspace, file: Path) -> None:
    await make(workspace, "manuals", file, embedding_model="embedded")
    changing = True

    async def keep_asking() -> int:
        asked = 0
        while changing:
            assert await found(workspace, "manuals", PUMP) == [PUMP]
            asked += 1
        return asked

    asking = [asyncio.create_task(keep_asking()) for _ in range(4)]
    for _ in range(2):
        await change(workspace, "manuals", embedding_model="hosted")
        await change(workspace, "manuals", dimensions=64)
        await change(workspace, "manuals", embedding_model="embedded", dimensions=None)
    changing = False
    assert min(await asyncio.gather(*asking)) > 0


async def test_a_reader_makes_no_table_of_one_that_was_just_replaced(
    workspace: Workspace, settings: Settings, embedded: FakeEmbedder, server: Server, file: Path
) -> None:
    await make(workspace, "manuals", file)
    async with Workspace(settings, embedder=embedded, connect=server.connect, read_only=True) as beside:
        stale = await beside.knowledge_base(OWNER, "manuals")
        await change(workspace, "manuals", dimensions=64)
        with pytest.raises(UnknownKnowledgeBase, match="a moment ago"):
            async with beside._opened.generations.use(stale):
                pass
        assert await found(beside, "manuals", PUMP) == [PUMP]
    assert len(list((settings.data / "index").iterdir())) == 1


async def test_fewer_dimensions_are_built_and_taken_back(workspace: Workspace, server: Server, file: Path) -> None:
    await make(workspace, "manuals", file)
    await change(workspace, "manuals", dimensions=64)
    assert await model_of(workspace, "manuals") == ("hosted-fake", 64)
    assert await found(workspace, "manuals", PUMP) == [PUMP]
    await change(workspace, "manuals", dimensions=None)
    assert await model_of(workspace, "manuals") == ("hosted-fake", 128)
    assert await found(workspace, "manuals", PUMP) == [PUMP]


async def test_another_instruction_is_asked_with_and_rebuilds_nothing(
    workspace: Workspace, server: Server, file: Path
) -> None:
    await make(workspace, "manuals", file)
    embedded = server.passages_embedded
    await change(workspace, "manuals", query_instruction="Find the clause that answers")
    await found(workspace, "manuals", PUMP)
    assert server.asked == [(PUMP, "Find the clause that answers")]
    assert server.passages_embedded == embedded


async def test_a_failed_rebuild_leaves_the_old_index_and_can_be_tried_again(
    workspace: Workspace, server: Server, file: Path
) -> None:
    await make(workspace, "manuals", file, embedding_model="embedded")
    server.go.clear()
    await workspace.update_knowledge_base(OWNER, "manuals", {"embedding_model": "hosted"})
    [job] = await workspace.unfinished_jobs(OWNER, "manuals")
    await server.arrived.wait()
    server.reachable = False
    server.go.set()
    ended = await finish(workspace, job)
    assert (ended.state, ended.error and ended.error["code"]) == ("failed", "backend_error")
    assert await found(workspace, "manuals", PUMP) == [PUMP]
    server.reachable = True
    await change(workspace, "manuals", embedding_model="hosted")
    assert await model_of(workspace, "manuals") == ("hosted-fake", 128)
    assert await found(workspace, "manuals", PUMP) == [PUMP]


async def test_a_crash_in_the_middle_is_taken_up_at_the_next_start(
    workspace: Workspace, embedded: FakeEmbedder, server: Server, file: Path, tmp_path: Path
) -> None:
    await make(workspace, "manuals", file, embedding_model="embedded")
    server.go.clear()
    await workspace.update_knowledge_base(OWNER, "manuals", {"embedding_model": "hosted"})
    await server.arrived.wait()
    # As a killed process would leave it at this moment.
    await asyncio.to_thread(leave_behind, workspace.settings.data, tmp_path / "crashed")
    server.go.set()
    crashed = load_settings(data=tmp_path / "crashed", parser_workers=1)
    tables = crashed.data / "index"
    assert len(list(tables.iterdir())) == 2
    async with Workspace(crashed, embedder=embedded, connect=Server().connect) as restarted:
        assert await found(restarted, "manuals", PUMP) == [PUMP]
        await settle(restarted, "manuals")
        assert await model_of(restarted, "manuals") == ("hosted-fake", 128)
        assert await found(restarted, "manuals", PUMP) == [PUMP]
        assert len(list(tables.iterdir())) == 1


# Several at once


async def test_one_question_is_embedded_once_for_each_model_and_the_answers_are_merged(
    workspace: Workspace, embedded: FakeEmbedder, server: Server, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "leave.txt").write_text(LEAVE)
    await make(workspace, "people", tmp_path / "leave.txt", embedding_model="embedded")
    await make(workspace, "machines", file)
    await make(workspace, "more machines", file)
    await make(workspace, "told", file, query_instruction="Find the clause")
    for asked in (embedded.asked, server.asked):
        asked.clear()
    for question in (LEAVE, PUMP):
        result = await workspace.search(OWNER, None, question)
        assert result.passages[0].text == question
        scores = [passage.score for passage in result.passages]
        assert scores == sorted(scores, reverse=True)
    assert embedded.asked == [(LEAVE, None), (PUMP, None)]
    assert sorted(server.asked, key=str) == sorted(
        [(question, told) for question in (LEAVE, PUMP) for told in (None, "Find the clause")], key=str
    )


# Out of reach


async def test_a_server_out_of_reach_is_named_and_keeps_no_other_knowledge_base_from_answering(
    settings: Settings, embedded: FakeEmbedder, server: Server, file: Path
) -> None:
    async with Workspace(settings, embedder=embedded, connect=server.connect) as workspace:
        await make(workspace, "hosted", file)
        await make(workspace, "embedded", file, embedding_model="embedded")
    server.reachable = False
    async with Workspace(settings, embedder=embedded, connect=server.connect) as workspace:
        assert await found(workspace, "embedded", PUMP) == [PUMP]
        with pytest.raises(BackendError, match="does not answer"):
            await workspace.search(OWNER, "hosted", PUMP)
        with pytest.raises(BackendError, match="does not answer"):
            await workspace.create_knowledge_base(OWNER, "third")
        assert len(await workspace.knowledge_bases(OWNER)) == 2
        everywhere = await workspace.search(OWNER, None, PUMP)
        assert [passage.text for passage in everywhere.passages] == [PUMP]
        [note] = everywhere.notes
        assert "“hosted” was not searched: the embedding server at http://gpu:8000 does not answer" in note
        server.reachable = True  # and back again, without a restart
        assert await found(workspace, "hosted", PUMP) == [PUMP]


async def test_an_index_of_a_model_that_is_gone_says_so_and_is_built_anew(
    settings: Settings, embedded: FakeEmbedder, server: Server, file: Path
) -> None:
    async with Workspace(settings, embedder=embedded, connect=server.connect) as workspace:
        await make(workspace, "manuals", file)
    other = FakeHosted(name="larger-fake", dimensions=256)
    async with Workspace(settings, embedder=embedded, connect=other.connect) as workspace:
        with pytest.raises(IndexMismatch, match=r"hosted-fake \(128 dimensions\) and cannot .* larger-fake"):
            await workspace.search(OWNER, "manuals", PUMP)
        await workspace.add(OWNER, "manuals", [str(file)])
        await settle(workspace, "manuals")
        assert await model_of(workspace, "manuals") == ("larger-fake", 256)
        assert await found(workspace, "manuals", PUMP) == [PUMP]
    async with Workspace(settings, embedder=embedded) as workspace:  # the server is not configured any more
        with pytest.raises(IndexMismatch, match="larger-fake"):
            await workspace.search(OWNER, "manuals", PUMP)
        await change(workspace, "manuals", embedding_model="embedded")
        assert await found(workspace, "manuals", PUMP) == [PUMP]


async def test_the_health_names_each_model_in_use_and_what_keeps_it_from_answering(
    workspace: Workspace, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.service.BETWEEN_CHECKS_S", 0)
    await workspace.create_knowledge_base(OWNER, "embedded", {"embedding_model": "embedded"})
    await workspace.create_knowledge_base(OWNER, "small", {"dimensions": 32})
    workspace.begin_service()
    while not (health := await workspace.health())["ready"]:
        await asyncio.sleep(0)
    assert health["models"] == [
        {"backend": "hosted", "model": "hosted-fake", "dimensions": 128, "state": "ok"},
        {"backend": "embedded", "model": "fake", "dimensions": 64, "state": "ok"},
        {"backend": "hosted", "model": "hosted-fake", "dimensions": 32, "state": "ok"},
    ]
    server.taking = 0
    while (health := await workspace.health())["ready"]:
        await asyncio.sleep(0)
    assert "takes requests" in health["model"]
    server.taking = 1
    while not (await workspace.health())["ready"]:
        await asyncio.sleep(0)


async def test_the_start_waits_for_the_server_and_says_what_for(
    workspace: Workspace, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pincite.embedders.BETWEEN_ATTEMPTS_S", 0)
    server.reachable = False
    with caplog.at_level("INFO", "pincite"):
        waiting = asyncio.create_task(workspace.wait_for_embedding())
        while not server.refused > 2:
            await asyncio.sleep(0)
        assert not waiting.done()
        server.reachable = True
        await waiting
    [line] = [record.message for record in caplog.records]
    assert line.startswith("waiting up to 120 s for the embedding server: the embedding server at http://gpu:8000 does")


async def test_the_start_does_not_wait_for_a_key_to_become_right(settings: Settings) -> None:
    async def refuse() -> FakeHosted:
        raise BackendFailure("gpu:8000 refuses the key; set PINCITE_EMBEDDING_KEY")

    async with Workspace(settings, embedder=FakeEmbedder(), connect=refuse) as workspace:
        with pytest.raises(BackendError, match="refuses the key"):
            await workspace.wait_for_embedding()


async def test_the_start_gives_up_with_the_reason(settings: Settings, server: Server) -> None:
    server.reachable = False
    hurried = settings.model_copy(update={"embedding_wait_s": 0.1})
    async with Workspace(hurried, embedder=FakeEmbedder(), connect=server.connect) as workspace:
        with pytest.raises(BackendError, match=r"gpu:8000 does not answer.*waited 0\.1 s"):
            await workspace.wait_for_embedding()
