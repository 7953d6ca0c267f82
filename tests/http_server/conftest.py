"""What the tests of the REST interface and the viewer share."""

from collections.abc import AsyncIterator

import pytest

from tests.http_server.sample_workspace import DOCUMENTS, Served, serve


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def library(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A workspace with the samples in the knowledge base "library"; the tests of a module share it and only read."""
    async with serve(tmp_path_factory.mktemp("library")) as served:
        job = await served.add("library", DOCUMENTS)
        assert job.state == "done", job.error
        served.job_id = job.id
        yield served


@pytest.fixture
async def empty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """An empty workspace of the test's own, to change."""
    async with serve(tmp_path_factory.mktemp("empty")) as served:
        yield served
