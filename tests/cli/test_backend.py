"""`pincite backend`: what it plans, and that what it brings up answers."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from pincite.cli import run

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a card, whatever this one has; and without a vLLM."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_plan_shows_its_arithmetic_its_reasons_and_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backend", "plan", "--gpu-memory", "12GiB", "--gpus", "2"]) == 0
    said = capsys.readouterr().out
    for expected in ("weights", "KV cache", "12.00", "144 KiB", "Data parallel, 2 copies", "vllm serve Qwen/"):
        assert expected in said


def test_a_plan_as_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backend", "plan", "--gpu-memory", "24", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["command"].startswith(f"vllm serve {made['model']} ")
    assert made["memory_of_one_card"]["kv_tokens"] >= made["context"] == 32_768


def test_a_plan_that_cannot_fit_says_what_would(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backend", "plan", "--gpu-memory", "8GB", "--model", "8B", "--context", "32768"]) == 1
    assert "What would fit: a card of" in capsys.readouterr().err


def test_a_machine_without_a_card_is_served_by_the_embedded_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backend", "plan"]) == 0
    assert "embedded model" in capsys.readouterr().out


@pytest.mark.parametrize("size", ["much", "0", "-1GiB"])
def test_a_size_that_is_none_is_wrong_usage(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backend", "plan", f"--gpu-memory={size}"]) == 2
    assert "12GiB" in capsys.readouterr().err


def test_up_says_that_vllm_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backend", "up", "--gpu-memory", "24", "--port", "18999"]) == 1
    assert "vllm is not installed" in capsys.readouterr().err


@contextmanager
def backend(*arguments: str, **variables: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `pincite backend up` until it says where it serves."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | variables
    command = [sys.executable, "-m", "pincite.cli", "backend", "up", *arguments]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = iter(process.stderr.readline, "")
            assert any("serves http" in line for line in said), "it ended before it served"
            yield process
        finally:
            process.kill()


def test_up_without_a_card_serves_the_embedded_model_until_told_to_end(free_port: int) -> None:
    with backend("--port", str(free_port), PINCITE_BACKEND_KEY="a key") as process:
        with httpx.Client(base_url=f"http://127.0.0.1:{free_port}", trust_env=False, timeout=60) as client:
            assert client.get("/health").status_code == 200
            assert client.get("/v1/models").status_code == 401
            client.headers["Authorization"] = "Bearer a key"
            (model,) = client.get("/v1/models").json()["data"]
            answer = client.post("/v1/embeddings", json={"model": model["id"], "input": ["oil", "leave"]})
            assert [len(item["embedding"]) for item in answer.json()["data"]] == [960, 960]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    with socket.create_server(("127.0.0.1", free_port)):
        pass


def test_up_refuses_a_taken_port(free_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        assert run(["backend", "up", "--port", str(free_port)]) == 1
    assert f"Port {free_port}" in capsys.readouterr().err
