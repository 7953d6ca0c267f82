"""How fast questions become vectors: through the client against a real vLLM, and through the embedded model's server.

All figures of a table come from one run on one machine whose cores the server, the client and whatever else runs there
share, so that only their ratios mean something elsewhere. Rounds alternate, and the median is kept.
"""

import asyncio
import base64
import json
import os
import random
import re
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from benchmarks.cpu_time import cpu_s
from benchmarks.report import machine
from embedding_backend import EmbeddedModel
from embedding_backend.hosted import HostedConfig, HostedModel
from tests.real.vllm.servers import MINILM, Served, free_port, serving

_AT_ONCE = 32
_QUESTIONS = 512
_ROUNDS = 5
_LONE = 200
_BATCHES = (32, 64, 128)
_BATCHES_AT_ONCE = 4
# Where vLLM runs the model. Processes apart wait for each other in busy loops.
_WORKERS = {
    "its worker in the engine's process, as with one card": False,
    "its worker in a process of its own, as with several": True,
}
_EMBEDDED = "pincite-embedded-1"
_SENTENCES = (
    "Which clause of the lease says how many days of notice a tenant gives before moving out?",
    "How often must the oil in the hydraulic pump of the milling machine be changed?",
    "Who approves travel expenses above two thousand euros for a visit to a customer?",
    "What does the warranty cover after the first year of service, and who pays for parts?",
)
_WORDS = " ".join(_SENTENCES).lower().replace("?", "").replace(",", "").split()

Ask = Callable[[str], Awaitable[object]]


@dataclass(frozen=True)
class Rate:
    """Questions a second, and what they cost: seconds of the server's cores and of the client's, per 1,000."""

    name: str
    a_second: float
    server_cpu_s: float
    client_cpu_s: float


async def measure() -> str:
    """Return the page: needs the environment of `scripts/test-real vllm`, named by PINCITE_TEST_VLLM."""
    environment = Path(os.environ["PINCITE_TEST_VLLM"])
    folder = next((environment / "lib").glob("python3*")) / "site-packages" / MINILM
    hosted: list[str] = []
    for where, apart in _WORKERS.items():
        async with serving(environment, folder, "minilm", worker_apart=apart) as served:
            hosted += await _hosted(served, where)
    embedded = await _embedded()
    return "\n".join(
        [
            "# What the embedding backend's client and server cost",
            "",
            f"Written by `scripts/bench backend` on {machine()}. Server, client and other work share the",
            "cores: compare the ratios, and CPU seconds before wall time. No graphics card was at hand.",
            "",
            *hosted,
            "The model computes with one of the two cores. With its worker in the engine's process the other one is",
            "free for HTTP, and a request for each question costs little; with processes that wait for each other in",
            "busy loops it is not, and every request and every step costs more. 32 questions are two steps of 16 to",
            "the server, its batches steps of about a hundred.",
            "",
            *embedded,
        ]
    )


async def _hosted(served: Served, where: str) -> list[str]:
    questions = _questions()
    config = HostedConfig(
        endpoints=(served.url,), tokenizer=served.folder / "tokenizer.json", cached_queries=0, query_budget_s=120
    )
    model = await HostedModel.connect(config)
    limits = httpx.Limits(max_connections=_AT_ONCE)
    async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=120, limits=limits) as http:

        async def plain(texts: Sequence[str]) -> None:
            body = {"model": served.name, "input": list(texts), "encoding_format": "base64"}
            answer = (await http.post("/v1/embeddings", json=body)).raise_for_status()
            for item in answer.json()["data"]:
                np.frombuffer(base64.b64decode(item["embedding"]), "<f4")

        async def in_batches(size: int) -> None:
            batches = [questions[first : first + size] for first in range(0, len(questions), size)]
            await _by_workers(batches, plain, _BATCHES_AT_ONCE)

        ways: dict[str, Callable[[], Awaitable[None]]] = {
            f"the server's own rate, batches of {size}, {_BATCHES_AT_ONCE} at once": lambda size=size: in_batches(size)  # type: ignore[misc]
            for size in _BATCHES
        }
        ways[f"{_AT_ONCE} callers, one question each, through the client"] = lambda: _by_workers(
            questions, lambda question: model.embed_queries([question]), _AT_ONCE
        )
        ways[f"{_AT_ONCE} callers, one question each, a request each"] = lambda: _by_workers(
            questions, lambda question: plain([question]), _AT_ONCE
        )
        rates = await _alternating(ways, served.pid, len(questions))
        lone = await _lone(
            {
                "through the client": lambda question: model.embed_queries([question]),
                "a plain request": lambda question: plain([question]),
            }
        )
    await model.close()
    best = max(rates[: len(_BATCHES)], key=lambda rate: rate.a_second)
    client, single = rates[len(_BATCHES) :]
    added = [lone["through the client"][place] - lone["a plain request"][place] for place in (0, 1)]
    return [
        f"## A real vLLM (all-MiniLM-L6-v2, on the processor), {where}",
        "",
        *_table(rates),
        "",
        f"Through the client: **{client.a_second / best.a_second:.2f}** of the server's best rate, and "
        f"**{client.a_second / single.a_second:.1f} times** as many as with a request for each question.",
        "",
        f"A lone question ({_LONE}, alternating with plain requests): "
        + "; ".join(f"{name} {p50:.1f} ms median, {p95:.1f} ms 95 %" for name, (p50, p95) in lone.items())
        + f"; added by the client {added[0]:+.1f} and {added[1]:+.1f} ms.",
        "",
    ]


async def _embedded() -> list[str]:
    questions = _questions()
    model = EmbeddedModel()
    await model.embed_queries(questions[:1])
    batches = [questions[first : first + _AT_ONCE] for first in range(0, len(questions), _AT_ONCE)]
    singles = [[question] for question in questions]
    async with _backend_up() as (url, pid):

        async def asked(work: Sequence[Sequence[str]], callers: int) -> None:
            pending = iter(work)

            async def one(connection: _Connection) -> None:
                for texts in pending:
                    await connection.embed(texts)

            async with _connections(url, callers) as connections:
                await asyncio.gather(*map(one, connections))

        ways: dict[str, Callable[[], Awaitable[None]]] = {
            f"the model alone, batches of {_AT_ONCE}": lambda: _by_workers(batches, model.embed_queries, 1),
            f"the server's own rate, batches of {_AT_ONCE}, one at once": lambda: asked(batches, 1),
            f"the server's own rate, batches of {_AT_ONCE}, two at once": lambda: asked(batches, 2),
            f"{_AT_ONCE} callers, one question each": lambda: asked(singles, _AT_ONCE),
            "one caller, one question at a time": lambda: asked(singles, 1),
        }
        alone, one_batch, two_batches, together, lone = await _alternating(ways, pid, len(questions))
    await model.close()
    # The model alone runs in the measuring process, where there is nothing else to do.
    alone = Rate(alone.name, alone.a_second, alone.client_cpu_s, 0.0)
    return [
        "## The embedded model's server",
        "",
        *_table([alone, one_batch, two_batches, together, lone]),
        "",
        f"What {_AT_ONCE} callers with a question each get:",
        "",
        *(
            f"- **{together.a_second / rate.a_second:.2f}** of {what}, "
            f"{rate.server_cpu_s / together.server_cpu_s:.2f} by CPU seconds"
            for what, rate in (
                ("the server's rate in batches one after the other", one_batch),
                ("the server's rate in batches two at once", two_batches),
                ("the rate of the model alone, without a server", alone),
            )
        ),
        "",
        "The server is what is measured: the callers write HTTP to open connections themselves, since a general client "
        "takes more of the two cores for a question than the server's own HTTP does.",
        "",
    ]


class _Connection:
    """One caller's open connection, and the little of HTTP that asking this server takes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def embed(self, texts: Sequence[str]) -> None:
        """Ask for the vectors of questions, and wait until they are there."""
        fields = {"model": _EMBEDDED, "input": list(texts), "input_type": "query", "encoding_format": "base64"}
        body = json.dumps(fields).encode()
        self.writer.write(b"POST /v1/embeddings HTTP/1.1\r\nHost: server\r\nContent-Length: %d\r\n\r\n" % len(body))
        self.writer.write(body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200 "), head
        (length,) = re.findall(rb"content-length: (\d+)", head)
        answer = await self._reader.readexactly(int(length))
        assert answer.count(b'"embedding":') == len(texts)


@asynccontextmanager
async def _connections(url: str, count: int) -> AsyncIterator[list[_Connection]]:
    where = httpx.URL(url)
    opened = [_Connection(*await asyncio.open_connection(where.host, where.port)) for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.writer.close()


def _questions() -> list[str]:
    chance = random.Random(20)
    return [" ".join(chance.sample(_WORDS, 12)) for _ in range(_QUESTIONS)]


async def _by_workers(work: Sequence[object], do: Callable[..., Awaitable[object]], workers: int) -> None:
    pending: Iterator[object] = iter(work)

    async def one() -> None:
        for item in pending:
            await do(item)

    await asyncio.gather(*(one() for _ in range(workers)))


async def _alternating(ways: dict[str, Callable[[], Awaitable[None]]], server: int, count: int) -> list[Rate]:
    measured: dict[str, list[Rate]] = {name: [] for name in ways}
    for number in range(_ROUNDS + 1):
        for name, way in ways.items():
            server_cpu, client_cpu, wall = cpu_s(server), time.process_time(), time.perf_counter()
            await way()
            spent = cpu_s(server) - server_cpu, time.process_time() - client_cpu
            if number:  # the first round warms up
                measured[name].append(_rate(name, count, wall, *spent))
            print(f"  {name}: {count / (time.perf_counter() - wall):.0f}/s", file=sys.stderr, flush=True)
    return [_median(name, rates) for name, rates in measured.items()]


def _rate(name: str, count: int, began: float, server_cpu_s: float, client_cpu_s: float) -> Rate:
    per_thousand = 1000 / count
    seconds = time.perf_counter() - began
    return Rate(name, count / seconds, server_cpu_s * per_thousand, client_cpu_s * per_thousand)


def _median(name: str, rates: Sequence[Rate]) -> Rate:
    middle = statistics.median
    return Rate(
        name,
        middle(rate.a_second for rate in rates),
        middle(rate.server_cpu_s for rate in rates),
        middle(rate.client_cpu_s for rate in rates),
    )


async def _lone(ways: dict[str, Ask]) -> dict[str, tuple[float, float]]:
    """Return the median and the 95th percentile of the milliseconds of one question at a time."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for question in _questions()[:_LONE]:
        for name, ask in ways.items():
            began = time.perf_counter()
            await ask(question)
            took[name].append((time.perf_counter() - began) * 1e3)
    return {name: (statistics.median(ms), float(np.percentile(ms, 95))) for name, ms in took.items()}


def _table(rates: Sequence[Rate]) -> list[str]:
    return [
        "| | questions a second | server, CPU s per 1,000 | client, CPU s per 1,000 |",
        "|---|---|---|---|",
        *(f"| {r.name} | {r.a_second:.0f} | {r.server_cpu_s:.1f} | {r.client_cpu_s:.1f} |" for r in rates),
    ]


@asynccontextmanager
async def _backend_up() -> AsyncIterator[tuple[str, int]]:
    """Run `pincite backend up` with the embedded model, and yield its address and process."""
    port = free_port()
    arguments = ("-m", "pincite.cli", "backend", "up", "--gpus", "0", "--port", str(port))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stderr=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stderr is not None
    try:
        while b"serves http" not in (line := await process.stderr.readline()):
            assert line, "it ended before it served"
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
