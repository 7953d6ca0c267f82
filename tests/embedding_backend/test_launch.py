"""Starting vLLM: waiting until it answers, explaining why it does not, leaving nothing behind.

A small program stands in for vLLM here; tests/real/vllm starts the real one.
"""

import asyncio
import os
import select
import shlex
import socket
import sys
from pathlib import Path

import httpx
import pytest

from embedding_backend import launch as launching
from embedding_backend.launch import LaunchFailure, explain, launch

pytestmark = pytest.mark.anyio

SERVER = """\
import http.server, os, subprocess, sys
port = int(sys.argv[sys.argv.index("--port") + 1])
worker = subprocess.Popen([sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"])
open(os.environ["WORKER"], "w").write(str(worker.pid))
print("INFO Starting to load model /m ...", flush=True)
print("INFO Loading weights took 0.1 seconds", flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ.get("VLLM_API_KEY", "").encode())
server = http.server.HTTPServer(("127.0.0.1", port), Handler)
print("INFO Application startup complete.", flush=True)
if "--ends" in sys.argv:
    server.handle_request()
    sys.exit("EngineDeadError: EngineCore encountered an issue.")
server.serve_forever()
"""

# What the real one logged, shortened to what is looked at.
LOGS = {
    "OSError: [Errno 98] Address already in use": "port 8000 is taken",
    "ValueError: Free memory on device cuda:0 (3.1/11.8 GiB) on startup is less than desired GPU memory utilization "
    "(0.9, 10.6 GiB).": "not enough memory",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.": "not enough memory",
    "ValueError: To serve at least one request with the models's max seq len (32768), 4.5 GiB KV cache is needed, "
    "which is larger than the available KV cache memory (1.7 GiB).": "not enough memory",
    "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached snapshot folder for the "
    "specified revision on the local disk and outgoing traffic has been disabled.": "hub cannot be reached",
    "OSError: nonsense/model is not a local folder and is not a valid model identifier": "there is no model nonsense",
    "RuntimeError: Failed to infer device type, please set the environment variable": "sees no graphics card",
    "vllm: error: unrecognized arguments: --runner": "does not know one of the options",
    "RuntimeError: something nobody has seen before": "something nobody has seen before",
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "_STOP_S", 1)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment whose only program is a `vllm`."""
    program = tmp_path / "vllm"
    program.write_text(f"#!{sys.executable}\n{SERVER}")
    program.chmod(0o755)
    return {"PATH": str(tmp_path), "WORKER": str(tmp_path / "worker"), "VLLM_API_KEY": "secret"}


def has_ended(pid: int, within_s: float = 10) -> bool:
    """Wait for the end of a process: a killed one closes its pipe, which is what `launch` sees, a moment before it."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within_s)[0])
    finally:
        os.close(handle)


async def test_the_block_begins_when_it_answers_and_leaves_no_process(environment: dict[str, str], port: int) -> None:
    stages: list[str] = []
    command = ["vllm", "serve", "/m", "--port", str(port)]
    async with launch(command, port=port, environment=environment, report=stages.append) as backend:
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{backend.url}/health")).text == "secret"
        worker = int(Path(environment["WORKER"]).read_text())
        assert not has_ended(worker, within_s=0)
    assert stages[0] == "starting"
    assert "loading the weights" in stages
    assert has_ended(backend.pid)
    assert has_ended(worker)


async def test_one_that_ends_by_itself_is_noticed(environment: dict[str, str], port: int) -> None:
    command = ["vllm", "serve", "/m", "--port", str(port), "--ends"]
    async with launch(command, port=port, environment=environment) as backend:
        failure = await backend.ended()
    assert "EngineCore encountered an issue" in str(failure)


@pytest.mark.parametrize("log", LOGS)
async def test_one_that_does_not_come_up_is_explained(tmp_path: Path, port: int, log: str) -> None:
    program = tmp_path / "vllm"
    program.write_text(f"#!/bin/sh\necho 'INFO starting'\necho {shlex.quote(log)} >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(LaunchFailure, match=LOGS[log].replace("8000", str(port))) as failed:
        async with launch(["vllm", "serve", "nonsense/model"], port=port, environment={"PATH": str(tmp_path)}):
            pytest.fail("it does not answer")
    assert log in failed.value.log


async def test_one_that_never_answers_is_given_up_and_ended(environment: dict[str, str], port: int) -> None:
    # It listens elsewhere than it is asked for.
    command = ["vllm", "serve", "/m", "--port", "0"]
    with pytest.raises(LaunchFailure, match="did not answer within"):
        async with launch(command, port=port, environment=environment, deadline_s=2):
            pytest.fail("it does not answer")
    worker = Path(environment["WORKER"])
    assert not worker.exists() or has_ended(int(worker.read_text()))


async def test_a_taken_port_is_told_before_anything_starts(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        with pytest.raises(LaunchFailure, match=f"Port {taken} on 127.0.0.1"):
            async with launch(["vllm", "serve", "/m"], port=taken, environment=environment):
                pytest.fail("it cannot listen")
    assert not Path(environment["WORKER"]).exists()


async def test_a_missing_vllm_says_how_to_install_it(tmp_path: Path, port: int) -> None:
    with pytest.raises(LaunchFailure, match="pip install vllm"):
        async with launch(["vllm", "serve", "/m"], port=port, environment={"PATH": str(tmp_path)}):
            pytest.fail("there is none")


async def test_being_cancelled_while_it_comes_up_leaves_no_process(environment: dict[str, str], port: int) -> None:
    loading = asyncio.Event()

    async def hold() -> None:
        command = ["vllm", "serve", "/m", "--port", "0"]
        report = lambda stage: loading.set() if "loading" in stage else None  # noqa: E731
        async with launch(command, port=port, environment=environment, report=report):
            pytest.fail("it does not answer")

    holding = asyncio.create_task(hold())
    await loading.wait()
    worker = int(Path(environment["WORKER"]).read_text())
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert has_ended(worker)


def test_the_first_cause_is_told_not_the_last_line() -> None:
    log = ["OSError: [Errno 98] Address already in use", "RuntimeError: Engine core initialization failed."]
    assert "taken" in explain(log, port=os.getpid())
