"""`pincite serve` with a fake model, as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from pincite.data_lock import RunningServer, running_server

ROOT = Path(__file__).parents[2]


class Server:
    """A running `pincite serve`: what it said when it had started, and how to end it."""

    def __init__(self, process: "subprocess.Popen[str]", data: Path) -> None:
        self.process = process
        self.data = data
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


@contextmanager
def serve(data: Path) -> Iterator[Server]:
    """Run a server on a data folder and a free port for the time of the block."""
    with started(data) as process:
        yield Server(process, data)


@contextmanager
def started(data: Path, *, stderr: int | None = None) -> Iterator["subprocess.Popen[str]"]:
    """Run the process of a server for the time of the block, whether it serves yet or not."""
    environment = os.environ | {
        "PINCITE_DATA": str(data),
        "PINCITE_PORT": "0",
        "PINCITE_PARSER_WORKERS": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "tests.cli.fake_model", "serve"]
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=60)
