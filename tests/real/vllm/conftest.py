"""The servers that the tests share. They start together, since each mostly waits for the disk and for imports."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedding_backend.hosted import HostedConfig, HostedModel
from tests.real.vllm.servers import EMBEDDING, KEY, MINILM, RERANKING, Served, serving

QWEN3 = "qwen3-embedding"


@dataclass(frozen=True)
class Servers:
    """One English model with a meaning; the others have random weights and Qwen3's way of using them."""

    minilm: Served
    qwen3: Served
    reranker: Served


@pytest.fixture(scope="session")
def vllm_environment() -> Path:
    """The environment that `scripts/test-real vllm` makes."""
    folder = os.environ.get("PINCITE_TEST_VLLM")
    if folder is None:
        pytest.fail("there is no vLLM; run these tests with scripts/test-real vllm")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_models(vllm_environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `Qwen3-Embedding-tiny` and `Qwen3-Reranker-tiny`, named so that each is taken for what it is."""
    folder = tmp_path_factory.mktemp("models")
    make = [vllm_environment / "bin" / "python", Path(__file__).parent / "tiny_models.py", folder]
    subprocess.run(make, check=True)
    return folder


@pytest.fixture(scope="session")
def minilm_folder(vllm_environment: Path) -> Path:
    return next((vllm_environment / "lib").glob("python3*")) / "site-packages" / MINILM


@pytest.fixture(scope="session")
async def servers(vllm_environment: Path, tiny_models: Path, minilm_folder: Path) -> AsyncIterator[Servers]:
    embedding = tiny_models / "Qwen3-Embedding-tiny"
    async with AsyncExitStack() as running:
        yield Servers(
            *await asyncio.gather(
                running.enter_async_context(serving(vllm_environment, minilm_folder, "minilm")),
                running.enter_async_context(serving(vllm_environment, embedding, QWEN3, *EMBEDDING)),
                running.enter_async_context(
                    serving(vllm_environment, tiny_models / "Qwen3-Reranker-tiny", "reranker", *RERANKING, key=KEY)
                ),
            )
        )


@pytest.fixture
async def qwen3(servers: Servers) -> AsyncIterator[HostedModel]:
    model = await connect(servers.qwen3)
    yield model
    await model.close()


@pytest.fixture
async def minilm(servers: Servers) -> AsyncIterator[HostedModel]:
    model = await connect(servers.minilm)
    yield model
    await model.close()


async def connect(*served: Served, counts_here: bool = True) -> HostedModel:
    """Return the client under test, with the model's own tokenizer or the server's."""
    tokenizer = served[0].folder / "tokenizer.json" if counts_here else None
    endpoints = tuple(server.url for server in served)
    return await HostedModel.connect(HostedConfig(endpoints=endpoints, tokenizer=tokenizer, health_interval_s=1))
