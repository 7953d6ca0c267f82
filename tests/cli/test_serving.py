"""`pincite serve` as a process of its own, and the commands that go through it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pincite.data_lock import RunningServer, running_server
from tests.cli.conftest import LEAVE, PUMP, Pincite

ROOT = Path(__file__).parents[2]


class Server:
    """A running `pincite serve`: what it said when it had started, and how to end it."""

    def __init__(self, process: "subprocess.Popen[str]", data: Path) -> None:
        self.process = process
        self.greeting = ""
        assert process.stdout is not None
        while (server := running_server(data)) is None:
            line = process.stdout.readline()
            assert line or process.poll() is None, "the server ended before it served"
            self.greeting += line
            if "API key" in line:  # an empty line, the key, an empty line: after them it announces itself
                self.greeting += "".join(process.stdout.readline() for _ in range(3))
                break
        while (server := running_server(data)) is None:
            assert process.poll() is None
        self.found: RunningServer = server

    @property
    def key(self) -> str:
        return next(line.strip() for line in self.greeting.splitlines() if line.strip().startswith("pc_"))

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.found.url, trust_env=False, timeout=60)


@pytest.fixture
def server(data: Path) -> Iterator[Server]:
    environment = os.environ | {"PINCITE_PORT": "0", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.cli.fake_model", "serve"],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Server(process, data)
        finally:
            process.terminate()
            process.communicate(timeout=60)


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


def test_the_first_key_is_shown_once_and_opens_the_server(server: Server) -> None:
    with server.client() as http:
        assert http.get("/api/knowledge-bases").status_code == 401
        mine = {"Authorization": f"Bearer {server.key}"}
        assert http.get("/api/knowledge-bases", headers=mine).json() == []
        upload = {"url": "/etc/passwd"}
        assert http.post("/api/knowledge-bases", headers=mine, json={"name": "a"}).status_code == 201
        assert http.post("/api/knowledge-bases/a/documents", headers=mine, json=upload).status_code == 403


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(server: Server, data: Path, number: signal.Signals) -> None:
    with server.client() as http:
        assert http.get("/healthz").status_code == 200
    server.process.send_signal(number)
    assert server.process.wait(timeout=60) == 0
    assert running_server(data) is None


def test_a_port_in_use_is_told_in_a_line(pincite_command: Pincite) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = pincite_command("serve", "--port", str(port))
    assert refused.code == 2
    assert str(port) in refused.err
    assert "PINCITE_PORT" in refused.err


def test_after_a_killed_server_commands_open_the_folder_themselves(
    server: Server, pincite_command: Pincite, folder: Path
) -> None:
    pincite_command("add", "manuals", folder)
    server.process.kill()
    server.process.wait()
    found = pincite_command("search", "manuals", LEAVE, "-k", "1", "--json")
    assert found.lines[0]["passages"][0]["document"]["path"] == "leave.md"
    assert pincite_command("add", "manuals", folder, "--json").code == 0
