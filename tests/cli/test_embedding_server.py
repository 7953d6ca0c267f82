"""The commands with an embedding server: it is used, and what is wrong with it is told in words."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import LEAVE, Pincite
from tests.cli.server_process import Server, started
from tests.embedding_backend.embedding_server import DIMENSIONS, MODEL, ServerProcess, server_process


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    with server_process() as running:
        monkeypatch.setenv("PINCITE_EMBEDDING_URL", running.address)
        yield running


def test_documents_are_embedded_by_the_server_and_the_doctor_names_it(
    backend: ServerProcess, pincite_command: Pincite, folder: Path
) -> None:
    assert pincite_command("add", "manuals", folder).code == 0
    [passage, *_] = pincite_command("search", "manuals", LEAVE, "--json").lines[0]["passages"]
    assert passage["document"]["path"] == "leave.md"
    assert "dimensions = 32" in pincite_command("set", "manuals", "dimensions=32").out.splitlines()
    assert "dimensions = None" in pincite_command("set", "manuals", "dimensions=").out.splitlines()
    examined = pincite_command("doctor")
    assert examined.code == 0
    assert f"the hosted embedding model {MODEL}, {DIMENSIONS} dimensions: answers" in examined.out


def test_the_doctor_says_what_is_wrong_with_the_servers(
    backend: ServerProcess, pincite_command: Pincite, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pincite_command("add", "manuals", folder)
    monkeypatch.setenv("PINCITE_EMBEDDING_MODEL", "another-model")
    missing = pincite_command("doctor")
    assert missing.code == 1
    assert "another-model" in missing.out
    monkeypatch.delenv("PINCITE_EMBEDDING_MODEL")

    monkeypatch.setenv("PINCITE_RERANKER_URL", "http://127.0.0.1:1")
    away = pincite_command("doctor", "--json").lines
    assert [line["backend"] for line in away if "backend" in line] == ["hosted", "reranker"]
    assert "127.0.0.1:1" in away[1]["problem"]

    backend.kill()
    gone = pincite_command("doctor")
    assert gone.code == 1
    assert f"nothing listens at {backend.name}" in gone.out
    monkeypatch.delenv("PINCITE_EMBEDDING_URL")
    unset = pincite_command("doctor", "manuals")
    assert "PINCITE_EMBEDDING_URL" in unset.out


def test_the_server_starts_when_its_embedding_server_does(backend: ServerProcess, data: Path) -> None:
    backend.kill()
    with started(data, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        waiting = next(line for line in process.stderr if "waiting up to 120 s" in line)
        assert f"nothing listens at {backend.name}" in waiting
        backend.start()
        running = Server(process, data)
        with running.client() as http:
            while (ready := http.get("/readyz")).status_code == 503:
                assert process.poll() is None
        model = {"backend": "hosted", "model": MODEL, "dimensions": DIMENSIONS, "state": "ok"}
        assert ready.json()["models"] == [model]


def test_the_server_does_not_start_without_its_embedding_server(
    backend: ServerProcess, pincite_command: Pincite, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.kill()
    monkeypatch.setenv("PINCITE_EMBEDDING_WAIT_S", "0")
    refused = pincite_command("serve", "--port", "0")
    assert refused.code == 1
    assert f"nothing listens at {backend.name}" in refused.err
    assert "PINCITE_EMBEDDING_WAIT_S" in refused.err


def test_a_note_is_printed(pincite_command: Pincite, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pincite_command("add", "manuals", folder)
    monkeypatch.setenv("PINCITE_RERANKER_URL", "http://127.0.0.1:1")
    assert pincite_command("set", "manuals", "rerank=true").code == 0
    found = pincite_command("search", "manuals", "leave of the employee, or the oil of the pump")
    assert "Note: The passages are in the order of the search alone" in found.out
