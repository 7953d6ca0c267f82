"""What a search costs over MCP, and how the server bears many agents at once: the samples, the embedded model."""

import asyncio
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from benchmarks.report import machine
from benchmarks.transcript import TASKS, Agent
from http_server.app import create_app
from mcp_server.server import streamable_http_app
from pincite.access import Principal
from pincite.data_lock import running_server
from pincite.passage import SearchResult
from pincite.settings import load_settings
from pincite.workspace import Workspace

ROOT = Path(__file__).parent.parent
SAMPLES = [ROOT / "samples" / name for name in ("handbook.pdf", "contract.zh.pdf", "manual.md")]
KB = "samples"
ROUNDS = 300
WARM_UP_ROUNDS = 20
DOOR = "the door alone: the tool over HTTP, the use case answering from memory"
# Before memory is watched: the model is loaded, every agent has connected, the allocator has seen the load.
WARM_UP_S = 40.0
AT_MOST_MS = 5.0
FLAT_MB_A_MINUTE = 10.0
MEGABYTE = 1024.0


async def measure(work: Path, agents: int, seconds: float) -> str:
    """Return the tables: a search direct and over HTTP, and `agents` at once for `seconds`."""
    key = await _prepare(work)
    costs = await _costs(work / "data", key)
    with _serving(work / "data") as (url, process):
        load = await _load(url, key, process.pid, agents, seconds)
    return "\n".join(_tables(costs, load))


async def record(work: Path) -> str:
    """Return the transcript of an agent at work on a server with the samples."""
    key = await _prepare(work)
    with _serving(work / "data") as (url, _):
        async with _http(key) as http, Client(streamable_http_client(url, http_client=http)) as client:
            return await Agent(client).work(TASKS, KB)


async def _prepare(work: Path) -> str:
    """Index the samples, and return the key of the server that is to be run on them."""
    key = secrets.token_hex(32)
    os.environ |= {"PINCITE_DATA": str(work / "data"), "PINCITE_ADMIN_KEY": key, "PINCITE_PORT": "0"}
    async with Workspace(load_settings()) as workspace:
        added = await workspace.add(Principal.system(), KB, [str(path) for path in SAMPLES], create=True)
        async for _ in workspace.job_events(Principal.system(), added.id):
            pass
    return key


def _questions() -> Iterator[str]:
    lines = (ROOT / "samples" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return cycle([json.loads(line)["question"] for line in lines])


@contextmanager
def _serving(data: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run `pincite serve` as operators do, and yield the address of its MCP endpoint."""
    with subprocess.Popen(
        [sys.executable, "-m", "pincite.cli", "serve"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            while (server := running_server(data)) is None:
                assert process.poll() is None, "the server ended before it served"
                time.sleep(0.2)
            yield f"{server.url}/mcp", process
        finally:
            process.terminate()


# One call


async def _costs(data: Path, key: str) -> dict[str, "_Cost"]:
    """Return what each way costs, one after the other within each round, so that noise hits all alike.

    Server and client share this process: what is measured is the work, and not how long a loaded machine takes to
    wake another process up.
    """
    questions = _questions()
    async with (
        Workspace(load_settings(data=data)) as workspace,
        _in_this_process(workspace) as url,
        _http(key) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        owner = Principal.system()
        answers: dict[str, SearchResult] = {}

        async def direct(question: str) -> None:
            answers[question] = await workspace.search(owner, KB, question)

        async def remembered(_: Principal, __: str, question: str, **options: Any) -> SearchResult:
            return answers[question]

        ways: dict[str, Callable[[str], Awaitable[Any]]] = {
            "the use case, called directly": direct,
            "the tool over HTTP, revision 2026-07-28": lambda question: _call(http, url, question),
            "the same with the SDK's client": lambda question: client.call_tool(
                "search", {"query": question, "knowledge_base": KB}
            ),
        }
        costs = {name: _Cost() for name in ways}
        for number in range(ROUNDS + WARM_UP_ROUNDS):
            question = next(questions)
            # Each way is the first of a round as often as any other.
            turn = number % len(ways)
            for name, way in [*ways.items()][turn:] + [*ways.items()][:turn]:
                wall, cpu = time.perf_counter(), time.process_time()
                await way(question)
                if number >= WARM_UP_ROUNDS:
                    costs[name].add(wall, cpu)
        workspace.search = remembered  # type: ignore[assignment, method-assign]
        costs[DOOR] = _Cost()
        for _ in range(ROUNDS):
            wall, cpu = time.perf_counter(), time.process_time()
            await _call(http, url, next(questions))
            costs[DOOR].add(wall, cpu)
    return costs


@dataclass
class _Cost:
    """Milliseconds of each call: passed, and worked by all threads of this process."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def add(self, wall: float, cpu: float) -> None:
        """Count a call that began at these times of the two clocks, in seconds, and has ended now."""
        self.wall_ms.append((time.perf_counter() - wall) * 1e3)
        self.cpu_ms.append((time.process_time() - cpu) * 1e3)


@asynccontextmanager
async def _in_this_process(workspace: Workspace) -> AsyncIterator[str]:
    app = create_app(workspace, streamable_http_app(workspace))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        finally:
            server.should_exit = True
            await running


@asynccontextmanager
async def _http(key: str, connections: int = 1) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(headers=headers, limits=limits, timeout=120, trust_env=False) as http:
        yield http


async def _call(http: httpx2.AsyncClient, url: str, question: str) -> bool:
    """Search as an agent does; say whether the answer holds passages."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
    }
    params = {"name": "search", "arguments": {"query": question, "knowledge_base": KB}, "_meta": meta}
    answer = await http.post(
        url,
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
        headers={
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": "search",
        },
    )
    # An answer that takes long comes as a stream of events, so that the connection is kept alive; else it is JSON.
    text = answer.text.rpartition("data: ")[2] if "event-stream" in answer.headers["content-type"] else answer.text
    return answer.status_code == 200 and bool(json.loads(text)["result"]["structuredContent"]["results"])


# Many at once


@dataclass
class _Load:
    """What many agents saw: milliseconds of each call, errors, and the server's resident megabytes over time."""

    agents: int
    seconds: float
    calls_ms: list[float] = field(default_factory=list)
    errors: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)


async def _load(url: str, key: str, pid: int, agents: int, seconds: float) -> _Load:
    load = _Load(agents, seconds)
    began = time.monotonic()
    ends = began + WARM_UP_S + seconds
    questions = _questions()

    async def agent(http: httpx2.AsyncClient) -> None:
        while time.monotonic() < ends:
            started = time.perf_counter()
            try:
                answered = await _call(http, url, next(questions))
            except (httpx2.HTTPError, KeyError, ValueError):
                answered = False
            load.errors += not answered
            if time.monotonic() - began > WARM_UP_S:
                load.calls_ms.append((time.perf_counter() - started) * 1e3)

    async def watch() -> None:
        while (now := time.monotonic()) < ends:
            if now - began > WARM_UP_S:
                load.memory.append((now - began, _resident_mb(pid)))
            await asyncio.sleep(1)

    async with _http(key, agents) as http:
        await asyncio.gather(watch(), *(agent(http) for _ in range(agents)))
    return load


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / MEGABYTE


def _tables(costs: dict[str, _Cost], load: _Load) -> list[str]:
    direct, http = (statistics.median(cost.wall_ms) for cost in list(costs.values())[:2])
    door = statistics.median(costs[DOOR].wall_ms)
    verdict = "met" if door <= AT_MOST_MS else "**not met**"
    lines = [
        "# What MCP costs",
        "",
        "Written by `scripts/bench mcp` on the samples with the embedded model. The measuring program runs on the same",
        f"processors, and other work did: {datetime.now(UTC):%Y-%m-%d}, {machine()}, load {os.getloadavg()[1]:.0f}.",
        "",
        "## One search",
        "",
        f"{ROUNDS} rounds; in each, the same question goes every way, with server and client in one process.",
        "",
        "| way | median ms | 95 % | CPU ms, median |",
        "|---|---|---|---|",
        *(
            f"| {name} | {statistics.median(cost.wall_ms):.1f} | {np.percentile(cost.wall_ms, 95):.1f} "
            f"| {statistics.median(cost.cpu_ms):.1f} |"
            for name, cost in costs.items()
        ),
        "",
        f"What a search costs above the use case itself is meant to be at most {AT_MOST_MS:g} ms. The door alone takes "
        f"{door:.1f} ms: {verdict}.",
        f"In the rounds, a search over HTTP took {http - direct:.1f} ms more than a direct one; on a busy machine that",
        "is also what waiting for a processor takes.",
        "",
        f"## {load.agents} agents at once",
        "",
        f"Each searches again as soon as it has its answer, for {load.seconds:.0f} seconds after {WARM_UP_S:.0f} of",
        "warming up.",
        "",
        "| figure | measured |",
        "|---|---|",
        f"| searches | {len(load.calls_ms):,} |",
        f"| searches a second | {len(load.calls_ms) / load.seconds:.0f} |",
        f"| errors | {load.errors} |",
        f"| median s | {statistics.median(load.calls_ms) / 1e3:.2f} |",
        f"| 95 % s | {np.percentile(load.calls_ms, 95) / 1e3:.2f} |",
    ]
    times, megabytes = np.array(load.memory).T
    third = max(len(megabytes) // 3, 1)
    slope = float(np.polyfit(times, megabytes, 1)[0]) * 60
    flat = "flat" if slope <= FLAT_MB_A_MINUTE else "**growing**"
    return [
        *lines,
        f"| resident MB, first third | {megabytes[:third].mean():.0f} |",
        f"| resident MB, last third | {megabytes[-third:].mean():.0f} |",
        f"| MB a minute | {slope:+.1f} ({flat}) |",
        "",
    ]
