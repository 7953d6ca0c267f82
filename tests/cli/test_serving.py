"""`pincite serve`: how it starts, what it shows, how it ends."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pincite.cli.serving import _bind
from pincite.data_lock import running_server
from pincite.settings import load_settings
from tests.cli.conftest import LEAVE, Pincite
from tests.cli.server_process import Server, serve


@pytest.fixture
def server(data: Path) -> Iterator[Server]:
    with serve(data) as running:
        yield running


def test_the_first_key_is_shown_once_and_opens_the_server(server: Server) -> None:
    with server.client() as http:
        assert http.get("/api/knowledge-bases").status_code == 401
        mine = {"Authorization": f"Bearer {server.key}"}
        assert http.get("/api/knowledge-bases", headers=mine).json() == []
        upload = {"url": "/etc/passwd"}
        assert http.post("/api/knowledge-bases", headers=mine, json={"name": "a"}).status_code == 201
        assert http.post("/api/knowledge-bases/a/documents", headers=mine, json=upload).status_code == 403


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


@pytest.mark.anyio
async def test_no_part_of_an_answer_waits_for_the_acknowledgement_of_another() -> None:
    """Nagle's algorithm would hold an answer's body back until its headers are acknowledged, which takes 40 ms."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        accepted.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with _bind(load_settings(port=0)) as listener:
        async with await asyncio.start_server(note, sock=listener) as serving:
            _, writer = await asyncio.open_connection(*listener.getsockname())
            without_delay = await accepted
            writer.close()
            await writer.wait_closed()
            serving.close()
    assert without_delay


def test_after_a_killed_server_commands_open_the_folder_themselves(
    server: Server, pincite_command: Pincite, folder: Path
) -> None:
    pincite_command("add", "manuals", folder)
    server.process.kill()
    server.process.wait()
    found = pincite_command("search", "manuals", LEAVE, "-k", "1", "--json")
    assert found.lines[0]["passages"][0]["document"]["path"] == "leave.md"
    assert pincite_command("add", "manuals", folder, "--json").code == 0
