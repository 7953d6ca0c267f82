"""What Pincite adds to an answer in Open WebUI: time to its first word, and CPU, in a real one over a large index."""

import itertools
import os
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from benchmarks import material
from benchmarks.cpu_time import cpu_s
from benchmarks.report import machine
from embedding_backend import EmbeddedModel, EmbeddingModel, PassageText, Vectors
from pincite.access import Principal
from pincite.settings import load_settings
from pincite.workspace import Workspace
from plugin.installer import Installer, Wanted
from plugin.openwebui_api import OpenWebUIApi
from tests.real.openwebui.running import ADMIN_KEY, ROOT, OpenWebUI, free_port, openwebui, pincite
from tests.real.openwebui.scripted_model import NAME, ScriptedModel
from tests.serving import served

SETS = ("zh_cmrc2018", "en_cranfield", "zhHant_drcd", "en_cisi")
TEXTS_A_DOCUMENT = 130
HANDBOOK = "handbook"
QUESTIONS = (
    "How quickly do I have to report a stolen laptop?",
    "How many days of annual leave are there?",
    "Who approves a purchase above the limit?",
    "What does the company pay for a hotel?",
    "When are backups tested?",
)
TURNS = 100
WARM_UP = 10
FIRST_WORD_MS, ADDED_CPU_MS = 300.0, 20.0


@dataclass
class Turns:
    """Of many turns: milliseconds to the first word, and what they cost Open WebUI."""

    first_word_ms: list[float] = field(default_factory=list)
    cpu_ms: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.first_word_ms)


async def measure(data: Path, passages: int, work: Path) -> str:
    """Return the table: turns with the answering model alone, and with Pincite in front of it."""
    environment, model = Path(os.environ["PINCITE_TEST_OPENWEBUI"]), ScriptedModel()
    port, count = free_port(), await _fill(data, passages, work)
    async with AsyncExitStack() as running:
        address = await running.enter_async_context(served(model.app()))
        (work / "open-webui").mkdir()
        server = await running.enter_async_context(pincite(work, port))
        chat = await running.enter_async_context(openwebui(environment, work / "open-webui", address))
        kb = await _install(chat, server)
        ways = {"the answering model alone": NAME, "the same through Pincite": kb}
        turns = {name: Turns() for name in ways}
        questions = itertools.cycle(QUESTIONS)
        for number in range(TURNS + WARM_UP):
            question = next(questions)
            for name, asked in ways.items():
                before = cpu_s(chat.process.pid)
                first = await _first_word_ms(chat, asked, question)
                if number >= WARM_UP:
                    turns[name].first_word_ms.append(first)
                    turns[name].cpu_ms += (cpu_s(chat.process.pid) - before) * 1e3
        searches = [await _search_ms(server, question) for question in itertools.islice(questions, TURNS)]
    return _table(count, turns, searches)


class _Filling:
    """The embedded model for the handbook; for what fills the index vectors of its shape, made without reading."""

    def __init__(self) -> None:
        self._embedded = EmbeddedModel()
        self._random = np.random.default_rng(0)
        self.reads = True

    @property
    def model(self) -> EmbeddingModel:
        return self._embedded.model

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._embedded.count_tokens(texts)

    def estimate_tokens(self, texts: Sequence[str]) -> list[int]:
        return self.count_tokens(texts)

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        if self.reads:
            return await self._embedded.embed_passages(passages)
        return [self._unit(max(len(passage.windows), 1)) for passage in passages]

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        return await self._embedded.embed_queries(questions, instruction)

    async def close(self) -> None:
        await self._embedded.close()

    def _unit(self, count: int) -> Vectors:
        vectors = self._random.normal(size=(count, self.model.dimensions)).astype(np.float32)
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


async def _fill(data: Path, passages: int, work: Path) -> int:
    """Index the handbook, and texts of the judged sets until there are so many passages; return how many."""
    folder, embedder, owner = work / "texts", _Filling(), Principal.system()
    folder.mkdir()
    texts = [text for name in SETS for text in material.retrieval(data, name).texts.values() if text]
    async with Workspace(load_settings(data=work / "data"), embedder=embedder) as workspace:

        async def add(*paths: Path) -> int:
            job = await workspace.add(owner, HANDBOOK, [str(path) for path in paths], create=True)
            async for _ in workspace.job_events(owner, job.id):
                pass
            (kb,) = await workspace.knowledge_bases(owner)
            return kb.passages

        count = await add(ROOT / "samples" / "handbook.pdf")
        embedder.reads = False
        for number, first in enumerate(range(0, len(texts) * 9, TEXTS_A_DOCUMENT)):
            if count >= passages:
                break
            path = folder / f"volume-{number}.txt"
            parts = [texts[place % len(texts)] for place in range(first, first + TEXTS_A_DOCUMENT)]
            path.write_text("\n\n".join(parts), "utf-8")
            count = await add(path)
    return count


async def _install(chat: OpenWebUI, server: str) -> str:
    """Install the functions, with the scripted model as the one that writes, and return the model of the handbook."""
    async with OpenWebUIApi(chat.address, chat.admin.token) as api:
        async for _ in Installer(api).install(Wanted(server, ADMIN_KEY, "", NAME), []):
            pass
        listed = await chat.admin.ask("GET", "/api/models")
    return str(next(model["id"] for model in listed["data"] if model["name"] == f"Pincite: {HANDBOOK}"))


async def _first_word_ms(chat: OpenWebUI, model: str, question: str) -> float:
    """Ask in a stream, and return the time to its first word; the answer is read to its end."""
    asked = {"model": model, "stream": True, "messages": [{"role": "user", "content": question}]}
    began, first = time.perf_counter(), 0.0
    async with chat.admin.http.stream("POST", "/api/chat/completions", json=asked) as answer:
        async for line in answer.aiter_lines():
            if not first and '"content": "' in line.replace('":"', '": "') and '"content": ""' not in line:
                first = (time.perf_counter() - began) * 1e3
    assert first, "no word came"
    return first


async def _search_ms(server: str, question: str) -> float:
    asked = {"knowledge_base": HANDBOOK, "question": question}
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with httpx.AsyncClient(base_url=server, headers=headers, timeout=60, trust_env=False) as http:
        began = time.perf_counter()
        (await http.post("/api/search", json=asked)).raise_for_status()
        return (time.perf_counter() - began) * 1e3


def _table(passages: int, turns: dict[str, Turns], searches: list[float]) -> str:
    alone, with_pincite = turns.values()
    later = with_pincite.median - alone.median
    cpu = (with_pincite.cpu_ms - alone.cpu_ms) / TURNS
    script = f"the answering model is a script that answers at once. {TURNS} turns each, one after the other, as a"
    lines = [
        "# What Pincite adds to an answer in Open WebUI",
        "",
        f"Written by `scripts/bench openwebui` on {machine()}. A real Open WebUI and a real server, each a process of",
        f"its own, {passages:,} passages, the embedded model; {script}",
        "caller of Open WebUI's API reads them.",
        "",
        "| first word after | median ms | 95 % |",
        "|---|---|---|",
        *(
            f"| {name} | {each.median:.0f} | {np.percentile(each.first_word_ms, 95):.0f} |"
            for name, each in turns.items()
        ),
        f"| a search alone, over HTTP | {statistics.median(searches):.0f} | {np.percentile(searches, 95):.0f} |",
        "",
        "| | measured | meant | |",
        "|---|---|---|---|",
        f"| first word later, median ms | {later:.0f} | ≤ {FIRST_WORD_MS:.0f} | {_verdict(later <= FIRST_WORD_MS)} |",
        f"| CPU of Open WebUI more, ms a turn | {cpu:.1f} | < {ADDED_CPU_MS:.0f} | {_verdict(cpu < ADDED_CPU_MS)} |",
        "",
    ]
    return "\n".join(lines)


def _verdict(met: bool) -> str:
    return "met" if met else "**not met**"
