"""`pincite backend up` and its launcher with a real vLLM: it comes up, it ends, and it says why it cannot."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from embedding_backend.launch import LaunchFailure, launch
from tests.real.vllm.servers import EMBEDDING, command, free_port, variables

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]


async def test_up_serves_a_model_until_it_is_told_to_end(vllm_environment: Path, tiny_models: Path) -> None:
    port, folder = free_port(), tiny_models / "Qwen3-Embedding-tiny"
    given = variables(vllm_environment) | {"PYTHONPATH": str(ROOT), "PINCITE_BACKEND_KEY": "a key"}
    arguments = ["--gpus", "0", "--model", str(folder), "--context", "512", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pincite.cli", "backend", "up", *arguments),
        env=given,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(600):
            while not any("serves http" in line for line in said):
                line = (await process.stderr.readline()).decode()
                assert line, said
                said.append(line)
            assert any("loading the weights" in line for line in said)
            body = {"model": str(folder), "input": "oil"}
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                url = f"http://127.0.0.1:{port}/v1/embeddings"
                assert (await client.post(url, json=body)).status_code == 401
                answer = await client.post(url, json=body, headers={"Authorization": "Bearer a key"})
                assert len(answer.json()["data"][0]["embedding"]) == 128
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
    assert "a key" not in "".join(said)
    # Whatever belonged to it, an engine that still computes above all, would name the folder in its command line.
    assert not [line for line in _command_lines() if str(port) in line]


async def test_a_model_that_is_not_there_is_explained(vllm_environment: Path) -> None:
    port = free_port()
    with pytest.raises(
        LaunchFailure, match=r"nobody/has-this is not on this machine and the model hub cannot be reached"
    ):
        async with launch(
            ["vllm", "serve", "nobody/has-this", "--runner", "pooling", "--port", str(port)],
            port=port,
            environment=variables(vllm_environment),
        ):
            pytest.fail("it cannot come up")


async def test_a_context_that_the_memory_does_not_hold_is_explained(vllm_environment: Path, tiny_models: Path) -> None:
    port = free_port()
    asked = command(tiny_models / "Qwen3-Embedding-tiny", "tiny", port, *EMBEDDING, "--num-gpu-blocks-override", "1")
    with pytest.raises(LaunchFailure, match="not enough memory"):
        async with launch(asked, port=port, environment=variables(vllm_environment)):
            pytest.fail("it cannot come up")


def _command_lines() -> list[str]:
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        if process.name != str(os.getpid()):
            try:
                lines.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue  # it has ended
    return lines
