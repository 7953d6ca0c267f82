"""A source that is added again costs what has changed in it, and what is gone from it goes, but never most of it."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from embedding_backend import BackendFailure, PassageText, Vectors
from pincite.errors import InvalidRequest, UnknownSource
from pincite.git_source import Repository, web_link
from pincite.ingestion import UploadedFile
from pincite.records import Job
from pincite.settings import Settings, load_settings
from pincite.sources import Sink
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder
from tests.owner import OWNER, add, finish, statuses

pytestmark = pytest.mark.anyio

LONG_AGO_NS = 1_600_000_000_000_000_000


class FailingEmbedder(FakeEmbedder):
    """Fails on passages with a word, while told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fails_on = ""

    async def embed_passages(self, passages: Any) -> list[Vectors]:
        if self.fails_on and any(self.fails_on in passage.text for passage in passages):
            raise BackendFailure("the model is gone")
        return await super().embed_passages(passages)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "data", parser_workers=1)


@pytest.fixture
def embedder() -> FailingEmbedder:
    return FailingEmbedder()


@pytest.fixture
async def workspace(settings: Settings, embedder: FailingEmbedder) -> AsyncIterator[Workspace]:
    async with Workspace(settings, embedder=embedder) as opened:
        yield opened


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files that were written a moment ago count as written long ago."""
    monkeypatch.setattr("pincite.sources.SETTLED_NS", -1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    (made / "drafts").mkdir(parents=True)
    for number in range(4):
        (made / f"{number}.txt").write_text(f"Pump number {number} is made of bronze.")
    (made / "drafts" / "idea.txt").write_text("Perhaps a pump of steel.")
    return made


async def paths(workspace: Workspace) -> set[str]:
    return {record.path for record in await workspace.documents(OWNER, "manuals")}


# Unchanged and changed


async def test_what_has_not_changed_is_not_even_read(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(workspace, "manuals", folder)
    monkeypatch.setattr("pincite.sources._pieces", lambda *_: pytest.fail("a file was read"))
    again = await add(workspace, "manuals", folder)
    assert set(statuses(again).values()) == {"unchanged"}
    assert (again.done, again.total, again.counts) == (5, 5, {"unchanged": 5})


async def test_a_file_that_was_only_touched_is_read_and_not_indexed(
    workspace: Workspace, embedder: FailingEmbedder, folder: Path
) -> None:
    await add(workspace, "manuals", folder)
    embedder.passages_embedded = 0
    os.utime(folder / "0.txt", ns=(LONG_AGO_NS, LONG_AGO_NS))
    assert statuses(await add(workspace, "manuals", folder))["0.txt"] == "unchanged"
    assert embedder.passages_embedded == 0


async def test_of_a_changed_document_only_the_passages_that_changed_are_embedded(
    workspace: Workspace, embedder: FailingEmbedder, folder: Path
) -> None:
    parts = [f"# Part {number}\n\n{'The pump turns and turns. ' * 40}\n\n" for number in range(8)]
    (folder / "long.md").write_text("".join(parts))
    await workspace.create_knowledge_base(OWNER, "manuals", {"chunk_tokens": 256})
    await add(workspace, "manuals", folder / "long.md")
    [record] = await workspace.documents(OWNER, "manuals")
    assert embedder.passages_embedded == record.passages == 8
    embedder.passages_embedded = 0
    parts[3] = parts[3].replace("turns and", "rests and", 1)
    (folder / "long.md").write_text("".join(parts))
    assert statuses(await add(workspace, "manuals", folder / "long.md")) == {"long.md": "indexed"}
    assert embedder.passages_embedded == 1
    assert await workspace.indexed_passages(OWNER, "manuals") == 8
    found = (await workspace.search(OWNER, "manuals", "rests and turns")).passages[0]
    with await workspace.stored(OWNER, record.id) as stored:
        assert stored.text[found.start : found.end] == found.text
    assert "rests" in found.text


# Gone


async def test_what_is_gone_from_a_folder_is_removed(workspace: Workspace, folder: Path) -> None:
    await add(workspace, "manuals", folder)
    (folder / "0.txt").unlink()
    (folder / "new.txt").write_text("A valve.")
    again = await add(workspace, "manuals", folder)
    assert statuses(again)["0.txt"] == "removed"
    assert again.counts == {"unchanged": 4, "indexed": 1, "removed": 1}
    assert (again.done, again.total) == (6, 6)
    assert await paths(workspace) == {"1.txt", "2.txt", "3.txt", "drafts/idea.txt", "new.txt"}
    assert await workspace.indexed_passages(OWNER, "manuals") == 5


async def test_where_more_than_half_would_go_nothing_does_unless_it_is_meant(
    workspace: Workspace, folder: Path
) -> None:
    await add(workspace, "manuals", folder)
    before = await paths(workspace)
    for number in range(3):
        (folder / f"{number}.txt").unlink()
    stopped = await add(workspace, "manuals", folder)
    assert (stopped.state, stopped.error and stopped.error["code"]) == ("failed", "source_vanished")
    assert stopped.error is not None
    assert "3 of 5" in stopped.error["message"]
    assert await paths(workspace) == before
    [source] = await workspace.sources(OWNER, "manuals")
    assert source.error == stopped.error
    meant = await add(workspace, "manuals", folder, remove_vanished=True)
    assert (meant.state, meant.counts) == ("done", {"unchanged": 2, "removed": 3})
    assert await paths(workspace) == {"3.txt", "drafts/idea.txt"}
    [source] = await workspace.sources(OWNER, "manuals")
    assert source.error is None


async def test_a_folder_that_is_not_there_loses_nothing(workspace: Workspace, folder: Path) -> None:
    await add(workspace, "manuals", folder)
    before = await paths(workspace)
    folder.rename(folder.with_name("elsewhere"))
    job = await add(workspace, "manuals", folder, remove_vanished=True)
    assert [result["error"]["code"] for result in job.results] == ["invalid_source"]
    assert await paths(workspace) == before


async def test_a_part_of_a_folder_that_cannot_be_read_loses_nothing(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(workspace, "manuals", folder)
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "drafts":
            raise PermissionError
        return scan(path)

    monkeypatch.setattr("pincite.sources.os.scandir", refuse)
    job = await add(workspace, "manuals", folder)
    assert statuses(job)["drafts/"] == "failed"
    assert "drafts/idea.txt" in await paths(workspace)


async def test_what_came_by_itself_is_not_removed_with_a_folder(workspace: Workspace, folder: Path) -> None:
    received = workspace.incoming / "upload-1"
    received.write_text("A gasket.")
    await add(workspace, "manuals", folder)
    await finish(workspace, await workspace.add(OWNER, "manuals", [UploadedFile("gasket.txt", received)]))
    (folder / "0.txt").unlink()
    await add(workspace, "manuals", folder)
    assert "gasket.txt" in await paths(workspace)


# Patterns


async def test_patterns_choose_and_are_kept_for_the_next_time(workspace: Workspace, folder: Path) -> None:
    (folder / "table.csv").write_text("pump,bronze")
    first = await add(workspace, "manuals", folder, include=("*.txt",), exclude=("drafts/*", "3.txt"))
    assert set(statuses(first)) == {"0.txt", "1.txt", "2.txt"}
    assert set(statuses(await add(workspace, "manuals", folder))) == {"0.txt", "1.txt", "2.txt"}
    wider = await add(workspace, "manuals", folder, exclude=("3.txt",))
    assert statuses(wider)["drafts/idea.txt"] == "indexed"
    narrower = await add(workspace, "manuals", folder, exclude=("3.txt", "drafts/*"))
    assert statuses(narrower)["drafts/idea.txt"] == "removed"


async def test_a_source_that_is_forgotten_keeps_its_documents(workspace: Workspace, folder: Path) -> None:
    await add(workspace, "manuals", folder)
    [source] = await workspace.sources(OWNER, "manuals")
    assert source.location == str(folder)
    await workspace.remove_source(OWNER, "manuals", source.id)
    assert await workspace.sources(OWNER, "manuals") == []
    assert len(await paths(workspace)) == 5
    with pytest.raises(UnknownSource):
        await workspace.synchronise(OWNER, "manuals", source.id)


async def test_a_source_is_synchronised_by_its_id(workspace: Workspace, folder: Path) -> None:
    await add(workspace, "manuals", folder, exclude=("drafts/*",))
    (folder / "0.txt").unlink()
    [source] = await workspace.sources(OWNER, "manuals")
    job = await finish(workspace, await workspace.synchronise(OWNER, "manuals", source.id))
    assert job.counts == {"unchanged": 3, "removed": 1}


# Trying again


async def test_only_what_failed_is_tried_again(workspace: Workspace, embedder: FailingEmbedder, folder: Path) -> None:
    embedder.fails_on = "number 2"
    job = await add(workspace, "manuals", folder)
    assert (job.state, job.counts) == ("done", {"indexed": 4, "failed": 1})
    embedder.fails_on = ""
    again = await finish(workspace, await workspace.retry_job(OWNER, job.id))
    assert statuses(again) == {"2.txt": "indexed"}
    with pytest.raises(InvalidRequest, match="nothing to try again"):
        await workspace.retry_job(OWNER, again.id)


async def test_an_upload_that_failed_need_not_be_sent_again(workspace: Workspace, embedder: FailingEmbedder) -> None:
    await workspace.create_knowledge_base(OWNER, "manuals")
    files = []
    for name in ("a.txt", "b.txt"):
        received = workspace.incoming / f"upload-{name}"
        received.write_text(f"Of {name}.")
        files.append(UploadedFile(name, received))
    embedder.fails_on = "b.txt"
    job = await finish(workspace, await workspace.add(OWNER, "manuals", files))
    assert statuses(job) == {"a.txt": "indexed", "b.txt": "failed"}
    assert not list(workspace.incoming.iterdir())
    again = await finish(workspace, await workspace.retry_job(OWNER, job.id))
    assert statuses(again) == {"b.txt": "failed"}
    embedder.fails_on = ""
    last = await finish(workspace, await workspace.retry_job(OWNER, again.id))
    assert statuses(last) == {"b.txt": "indexed"}


# Repositories


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host that is reached by ssh and has one repository: git's own protocol, without a network. Returns its tree."""
    tree = tmp_path / "tree"
    tree.mkdir()
    git(tree, "init", "--quiet", "--initial-branch=main")
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = programs / "ssh"
    fake.write_text(f'#!/bin/sh\nexec git upload-pack "{tree}/.git"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("pincite.git_source._check_host", lambda *_: "192.0.2.1")
    return tree


def git(tree: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=tree, check=True, capture_output=True, env=environment, text=True
    )
    return done.stdout.strip()


def commit(tree: Path, **files: str) -> str:
    for name, text in files.items():
        (tree / f"{name}.md").write_text(text)
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "-m", "a change")
    return git(tree, "rev-parse", "HEAD")


async def test_a_repository_is_followed_from_commit_to_commit(
    workspace: Workspace, ssh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "ssh://git@github.com/example/handbook.git"
    first = commit(ssh, leave="Thirty days of leave.", pump="Oil the pump.", fire="Ring the bell.")
    assert set(statuses(await add(workspace, "manuals", url)).values()) == {"indexed"}
    [source] = await workspace.sources(OWNER, "manuals")
    assert (source.location, source.revision) == (url, first)

    second = commit(ssh, pump="Oil the pump weekly.")
    (ssh / "fire.md").unlink()
    second = commit(ssh)
    read: list[str] = []
    copy = Repository._copy

    def copied(self: Repository, object_id: str, path: str, target: Sink) -> None:
        read.append(path)
        copy(self, object_id, path, target)

    monkeypatch.setattr(Repository, "_copy", copied)
    again = await add(workspace, "manuals", url)
    assert statuses(again) == {"leave.md": "unchanged", "pump.md": "indexed", "fire.md": "removed"}
    assert read == ["pump.md"]
    links = {record.path: record.link for record in await workspace.documents(OWNER, "manuals")}
    assert links == {
        "leave.md": f"https://github.com/example/handbook/blob/{first}/leave.md",
        "pump.md": f"https://github.com/example/handbook/blob/{second}/pump.md",
    }
    [source] = await workspace.sources(OWNER, "manuals")
    assert source.revision == second
    best = (await workspace.search(OWNER, "manuals", "Oil the pump weekly.")).passages[0]
    assert best.document.link == links["pump.md"]
    clone = workspace.settings.data / "repositories" / source.id
    assert not (clone / "leave.md").exists()
    assert (clone / "shallow").is_file()


async def test_a_fetch_that_was_killed_does_not_keep_the_next_from_its_work(workspace: Workspace, ssh: Path) -> None:
    url = "git@example.org:handbook.git"
    commit(ssh, leave="Thirty days of leave.")
    await add(workspace, "manuals", url)
    [source] = await workspace.sources(OWNER, "manuals")
    commit(ssh, pump="Oil the pump.")
    (workspace.settings.data / "repositories" / source.id / "shallow.lock").touch()
    assert statuses(await add(workspace, "manuals", url)) == {"leave.md": "unchanged", "pump.md": "indexed"}


@pytest.mark.parametrize(
    ("source", "link"),
    [
        ("https://github.com/a/b.git", "https://github.com/a/b/blob/c0ffee/d/e%20f.md"),
        ("git@gitlab.example.org:a/b.git", "https://gitlab.example.org/a/b/-/blob/c0ffee/d/e%20f.md"),
        ("ssh://git@codeberg.org/a/b", "https://codeberg.org/a/b/src/commit/c0ffee/d/e%20f.md"),
        ("https://git.example.org/a/b.git", "https://git.example.org/a/b.git@c0ffee:d/e f.md"),
        ("/srv/b.git", "c0ffee:d/e f.md"),
    ],
)
def test_a_link_names_the_commit(source: str, link: str) -> None:
    assert web_link(source, "c0ffee", "d/e f.md") == link


# Precedence


async def test_an_upload_goes_before_the_rest_of_a_folder(
    workspace: Workspace, embedder: FailingEmbedder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await workspace.create_knowledge_base(OWNER, "manuals")
    for number in range(20):
        (folder / f"more-{number}.txt").write_text(f"Valve number {number}.")
    go, arrived = asyncio.Event(), asyncio.Event()
    embed = embedder.embed_passages
    order: list[str] = []

    async def held(passages: list[PassageText]) -> list[Vectors]:
        arrived.set()
        await go.wait()
        order.extend(passage.text for passage in passages)
        return await embed(passages)

    monkeypatch.setattr(embedder, "embed_passages", held)
    bulk = await workspace.add(OWNER, "manuals", [str(folder)])
    await arrived.wait()
    received = workspace.incoming / "upload-1"
    received.write_text("The attachment.")
    attached = await workspace.add(OWNER, "manuals", [UploadedFile("chat.txt", received)])
    go.set()
    assert (await finish(workspace, attached)).state == "done"
    assert (await finish(workspace, bulk)).state == "done"
    place = next(place for place, text in enumerate(order) if "attachment" in text)
    assert place <= 3 + 1  # those at hand: one for the parser, two ahead
    assert len(order) == 26


# Watched


async def looked(workspace: Workspace) -> list[Job]:
    """Look at the watched sources once, and return the jobs that came of it, with their results."""
    assert workspace._service is not None
    before = {job.id for job in await workspace.jobs(OWNER, "manuals")}
    await workspace._service.watcher.look()
    new = [job for job in await workspace.jobs(OWNER, "manuals") if job.id not in before]
    return [await finish(workspace, job) for job in new]


async def test_a_watched_folder_is_followed_and_only_its_changes_are_told(workspace: Workspace, folder: Path) -> None:
    (folder / "empty.txt").write_text("")
    await add(workspace, "manuals", folder, watched=True)
    [at_start] = await looked(workspace)
    assert (at_start.state, at_start.done, at_start.total, at_start.results) == ("done", 0, 0, [])
    assert await looked(workspace) == []
    (folder / "0.txt").write_text("The pump is painted.")
    (folder / "1.txt").unlink()
    (folder / "new.txt").write_text("A valve.")
    [job] = await looked(workspace)
    assert statuses(job) == {"0.txt": "indexed", "new.txt": "indexed", "1.txt": "removed"}
    assert (job.done, job.total) == (3, 3)
    await add(workspace, "manuals", folder, watched=False)
    (folder / "2.txt").unlink()
    assert await looked(workspace) == []


async def test_a_watched_folder_that_goes_away_and_comes_back_loses_nothing(workspace: Workspace, folder: Path) -> None:
    await add(workspace, "manuals", folder, watched=True)
    before = await paths(workspace)
    await looked(workspace)
    folder.rename(folder.with_name("elsewhere"))
    assert await looked(workspace) == []
    folder.mkdir()
    [job] = await looked(workspace)
    assert (job.state, job.error and job.error["code"]) == ("failed", "source_vanished")
    assert await paths(workspace) == before
