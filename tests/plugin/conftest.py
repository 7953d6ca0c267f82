"""A real Pincite server with the sample documents, and the pipe that asks it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.http_server.sample_workspace import ADMIN_KEY, DOCUMENTS, Served, listen, serve
from tests.plugin.chat import Models, load


@pytest.fixture(scope="module")
async def library(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Served, str]]:
    """A server with the knowledge bases "library" and "secrets", which is for the group "board", and its address."""
    async with serve(tmp_path_factory.mktemp("library")) as served:
        await served.add("library", DOCUMENTS)
        await served.add("secrets", {"salaries.md": b"# Salaries\n\nThe salary of the director is nine thousand.\n"})
        await served.http.patch("/api/knowledge-bases/secrets", json={"settings": {"readers": "group:board"}})
        async with listen(served.app) as address:
            yield served, address


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    """The models that this Open WebUI has: none, until a test adds one."""
    models = Models()
    models.install(monkeypatch)
    return models


@pytest.fixture
async def pipe(library: tuple[Served, str], models: Models) -> AsyncIterator[Any]:
    """The pipe as it is installed, without an answering model."""
    pipe = load("pincite_pipe.py").Pipe()
    pipe.valves.pincite_url, pipe.valves.pincite_key = library[1], ADMIN_KEY
    yield pipe
    await pipe.connections.close()
