"""What taking in the same PDFs costs Open WebUI's own Knowledge and Pincite, with one embedding server for both."""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import httpx
import pymupdf

from benchmarks import material
from benchmarks.cpu_time import cpu_s
from benchmarks.quick_model import QuickModel
from benchmarks.report import machine
from embedding_backend.openai_api import create_app
from tests.real.openwebui.running import ADMIN_KEY, OpenWebUI, free_port, openwebui, pincite_variables, process
from tests.serving import served

KB = "the same files"
# As Qwen3-Embedding-0.6B has.
DIMENSIONS = 1024
MAX_TOKENS = 32_768
AT_LEAST = 3.0
# Less than this share of a core is rest; Pincite tidies its index once nothing has come in for three seconds.
REST_SHARE = 0.02
REST_S = 5.0
LONGEST_REST_S = 60.0


@dataclass(frozen=True, slots=True)
class Took:
    """What one of the two took: CPU seconds of all its processes, and seconds."""

    cpu_s: float
    wall_s: float


async def measure(data: Path, documents: int, work: Path) -> str:
    """Return the table: the PDFs of the material, or the first `documents` of them, into either."""
    paths = [*material.contracts(data)[0], *material.real_documents(data)[0]][:documents]
    pages = sum(_pages(path) for path in paths)
    environment = Path(os.environ["PINCITE_TEST_OPENWEBUI"])
    async with AsyncExitStack() as running:
        # In this process, so that what embedding costs is in neither's account.
        embedding = await running.enter_async_context(
            served(create_app(QuickModel(dimensions=DIMENSIONS, max_tokens=MAX_TOKENS)))
        )
        for name in ("open-webui", "pincite"):
            (work / name).mkdir()
        chat = await running.enter_async_context(openwebui(environment, work / "open-webui", embedding))
        its = await _into_open_webui(chat, paths)
        address, folder = f"http://127.0.0.1:{(port := free_port())}", work / "pincite"
        variables = pincite_variables(folder, port) | {"PINCITE_EMBEDDING_URL": embedding}
        command = [sys.executable, "-m", "pincite.cli", "serve"]
        server = await running.enter_async_context(process(command, variables, folder, f"{address}/readyz"))
        ours = await _into_pincite(address, server.pid, paths)
    return _table(len(paths), pages, its, ours)


def _pages(path: Path) -> int:
    with pymupdf.open(path) as document:
        return len(document)


async def _into_open_webui(chat: OpenWebUI, paths: Sequence[Path]) -> Took:
    """Upload file by file into a collection, as its Knowledge page does."""
    made = await chat.admin.ask("POST", "/api/v1/knowledge/create", {"name": KB, "description": KB})
    before, began = cpu_s(chat.process.pid), perf_counter()
    for path in paths:
        form = {"file": (path.name, path.read_bytes(), "application/pdf")}
        sent = await chat.admin.http.post("/api/v1/files/?process_in_background=false", files=form, timeout=3600)
        added = {"file_id": sent.raise_for_status().json()["id"]}
        answer = await chat.admin.http.post(f"/api/v1/knowledge/{made['id']}/file/add", json=added, timeout=3600)
        # A scan has no text, which it says with this status.
        assert answer.status_code in {200, 400}, answer.text
    wall_s = perf_counter() - began
    return Took(await _cpu_s_at_rest(chat.process.pid) - before, wall_s)


async def _into_pincite(address: str, pid: int, paths: Sequence[Path]) -> Took:
    """Upload file by file into a knowledge base."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=3600, trust_env=False) as http:
        (await http.post("/api/knowledge-bases", json={"name": KB})).raise_for_status()
        before, began = cpu_s(pid), perf_counter()
        for path in paths:
            form = {"files": (path.name, path.read_bytes(), "application/pdf")}
            job = (await http.post(f"/api/knowledge-bases/{KB}/documents", files=form)).raise_for_status().json()
            async with http.stream("GET", f"/api/jobs/{job['id']}/events") as events:
                async for _ in events.aiter_lines():
                    pass
        wall_s = perf_counter() - began
        return Took(await _cpu_s_at_rest(pid) - before, wall_s)


async def _cpu_s_at_rest(session: int) -> float:
    """Return the CPU seconds of a program once it has nothing left to do: what it puts off is part of the cost."""
    used, waited_s = cpu_s(session), 0.0
    while waited_s < LONGEST_REST_S:
        await asyncio.sleep(REST_S)
        waited_s += REST_S
        now = cpu_s(session)
        if now - used < REST_SHARE * REST_S:
            return now
        used = now
    return used


def _table(documents: int, pages: int, its: Took, ours: Took) -> str:
    ratio = its.cpu_s / ours.cpu_s
    lines = [
        "# Taking in the same PDFs: Open WebUI's own Knowledge and Pincite",
        "",
        f"Written by `scripts/bench openwebui-ingestion` on {machine()}. {documents} PDFs, {pages:,} pages,",
        "uploaded one after the other. Both embed with the same server, whose cost is in neither account; each at its",
        "defaults. What either still does after the last upload is counted.",
        "",
        "| | CPU s | pages a CPU second | s |",
        "|---|---|---|---|",
        *(
            f"| {name} | {took.cpu_s:.1f} | {pages / took.cpu_s:.1f} | {took.wall_s:.0f} |"
            for name, took in (("Open WebUI", its), ("Pincite", ours))
        ),
        "",
        f"Pincite takes in **{ratio:.1f} times** as many pages a CPU second (meant: at least {AT_LEAST:.0f} times, "
        f"{'met' if ratio >= AT_LEAST else '**not met**'}); it also keeps every word's place on the page.",
        "",
    ]
    return "\n".join(lines)
