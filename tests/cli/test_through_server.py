"""The commands on a data folder whose server runs: they go through it, and say the same."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import LEAVE, PUMP, Pincite
from tests.cli.server_process import Server, serve


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def data(server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The server's folder in place of a new one."""
    monkeypatch.setenv("PINCITE_DATA", str(server.data))
    return server.data


def test_commands_go_through_the_server_that_runs(server: Server, pincite_command: Pincite, folder: Path) -> None:
    added = pincite_command("add", "manuals", folder, folder / "missing.md", "--json")
    assert added.code == 1
    assert [(Path(line["path"]).name, line["status"]) for line in added.lines][-1] == ("missing.md", "failed")
    assert sorted(line["path"] for line in added.lines[:2]) == ["leave.md", "pump.md"]
    again = pincite_command("add", "manuals", folder, "--json")
    assert {line["status"] for line in again.lines} == {"unchanged"}
    [passage] = pincite_command("search", "manuals", LEAVE, "-k", "1", "--json").lines[0]["passages"]
    assert passage["url"].startswith(server.found.url)
    assert httpx.get(passage["url"], trust_env=False).status_code == 200
    assert server.found.url in pincite_command("search", "manuals", LEAVE).out
    [answer] = pincite_command("ask", "manuals", LEAVE, "--json").lines
    assert LEAVE in answer["text"]
    assert answer["context"][0]["url"].startswith(server.found.url)
    assert server.found.url in pincite_command("ask", "manuals", LEAVE).out
    assert pincite_command("list", "--json").lines[0]["documents"] == 2
    assert pincite_command("set", "manuals", "top_k=1").code == 0
    assert len(pincite_command("search", "manuals", PUMP, "--json").lines[0]["passages"]) <= 1
    assert pincite_command("doctor", "manuals").code == 0
    assert pincite_command("remove", "manuals", "pump.md").code == 0
    assert [line["path"] for line in pincite_command("list", "manuals", "--json").lines] == ["leave.md"]
    assert pincite_command("remove", "manuals", "--all").code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["search", "none", "question"], 1),
        (["search", "manuals", ""], 2),
        (["search", "manuals", "question", "-k", "500"], 2),
        (["set", "manuals", "top_k=0"], 2),
        (["remove", "manuals", "none.md"], 1),
    ],
)
def test_errors_are_the_same_through_the_server(
    server: Server, pincite_command: Pincite, folder: Path, arguments: list[str], code: int
) -> None:
    pincite_command("add", "manuals", folder)
    ran = pincite_command(*arguments)
    assert ran.code == code
    assert ran.err.startswith("pincite: ")
    assert ran.err.count("\n") == 1


def test_a_key_taken_back_opens_nothing_from_then_on(server: Server, pincite_command: Pincite) -> None:
    made = {"Authorization": f"Bearer {pincite_command('keys', 'add', 'bob').out.strip()}"}
    with server.client() as http:
        assert http.get("/api/knowledge-bases", headers=made).status_code == 200
        bob = next(line for line in pincite_command("keys", "list").out.splitlines() if " bob " in line)
        pincite_command("keys", "remove", bob.split()[0])
        assert http.get("/api/knowledge-bases", headers=made).status_code == 401


def test_a_second_server_on_the_same_folder_is_refused(server: Server, pincite_command: Pincite) -> None:
    refused = pincite_command("serve", "--port", "0")
    assert (refused.code, refused.err.strip().splitlines()[-1][:8]) == (1, "pincite:")
