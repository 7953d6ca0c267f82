"""What taking documents in costs as the collection grows, what it costs again, and what crashes leave of it."""

import os
import resource
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import generated_documents, killed_server
from benchmarks.quick_model import QuickModel
from benchmarks.report import machine
from pincite.access import Principal
from pincite.cli.serving import _give_memory_back
from pincite.records import Job
from pincite.settings import load_settings
from pincite.workspace import Workspace

KB = "large"
PARTS = 10
CHANGED = 20
WHO = Principal.system()


@dataclass(slots=True)
class Part:
    """A tenth of the documents: what it took, and the memory at its end."""

    documents: int
    wall_s: float
    cpu_s: float
    resident_mb: float


@dataclass(slots=True)
class Large:
    """A large folder: taken in, and added again unchanged and little changed."""

    documents: int
    passages: int = 0
    parts: list[Part] = field(default_factory=list)
    unchanged_s: float = 0.0
    unchanged: dict[str, int] = field(default_factory=dict)
    changed_s: float = 0.0
    changed: dict[str, int] = field(default_factory=dict)
    parsed: int = 0
    embedded: int = 0


async def measure(work: Path, documents: int, killed: int, kills: int) -> str:
    """Return the page: a large folder, and a smaller one whose server is killed again and again."""
    before = os.getloadavg()[0]
    outcome = await killed_server.measure(work / "killed", killed, kills, seed=20261122, pause_s=1.0)
    large = await take_in(work / "large", documents)
    return _page(outcome, large, (before, os.getloadavg()[0]))


async def take_in(work: Path, documents: int) -> Large:
    """Index a folder, then add it again unchanged, and again with a few changed files."""
    _give_memory_back()  # as the server does
    folder = work / "documents"
    generated_documents.write(folder, documents)
    large = Large(documents)
    model = QuickModel()
    settings = load_settings(data=work / "data", parser_workers=1)
    async with Workspace(settings, embedder=model) as workspace:
        await workspace.create_knowledge_base(WHO, KB, {"chunk_tokens": 256})
        large.passages = (await _first(workspace, folder, large)).passages
        # Once more for the files that were too young the first time for their dates to be relied on.
        await _add(workspace, folder)
        started = time.perf_counter()
        large.unchanged = (await _add(workspace, folder)).counts
        large.unchanged_s = time.perf_counter() - started

        for number in range(0, documents, documents // CHANGED):
            edition = generated_documents.text(number, edition=1)
            generated_documents.place(folder, number).write_text(edition, "utf-8")
        pool = workspace._opened.indexer._pool
        parse = pool.parse_to_store

        async def counted(data: Any, name: str) -> Any:
            large.parsed += 1
            return await parse(data, name)

        pool.parse_to_store = counted  # type: ignore[method-assign]
        model.passages_embedded = 0
        started = time.perf_counter()
        large.changed = (await _add(workspace, folder)).counts
        large.changed_s = time.perf_counter() - started
        large.embedded = model.passages_embedded
    return large


async def _first(workspace: Workspace, folder: Path, large: Large) -> Job:
    added = await workspace.add(WHO, KB, [str(folder)])
    wall, cpu, done = time.perf_counter(), _cpu_s(), 0
    async for job in workspace.job_events(WHO, added.id, since=0):
        # Documents are finished in groups, which step over the tenths.
        if job.done >= large.documents * (len(large.parts) + 1) // PARTS:
            now, spent = time.perf_counter(), _cpu_s()
            large.parts.append(Part(job.done - done, now - wall, spent - cpu, _resident_mb()))
            wall, cpu, done = now, spent, job.done
    return job


async def _add(workspace: Workspace, folder: Path) -> Job:
    added = await workspace.add(WHO, KB, [str(folder)])
    return [job async for job in workspace.job_events(WHO, added.id, since=0)][-1]


def _cpu_s() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def _page(killed: killed_server.Outcome, large: Large, load: tuple[float, float]) -> str:
    first, last = large.parts[0], large.parts[-1]
    rates = [part.documents / part.cpu_s for part in (first, last)]
    lines = [
        "# Taking documents in",
        "",
        f"Written by `scripts/bench ingestion` on {machine()}; the load average was {load[0]:.1f} at the start and "
        f"{load[1]:.1f} at the end, so compare CPU seconds before wall time.",
        "",
        "The embedding model is a stand-in that costs next to nothing: what is measured is everything around it. The "
        "documents are made of words, with ten sections of 150 (three where the server is killed), each a passage.",
        "",
        f"## `kill -9` at {len(killed.killed_at)} random points of {killed.documents} documents",
        "",
        "| | measured | meant |",
        "|---|---|---|",
        f"| documents in the catalog | {killed.in_catalog} | {killed.documents} |",
        f"| results of the job, one a document | {killed.results} | {killed.documents} |",
        f"| passages in the index | {killed.passages_in_index} | {killed.passages_in_catalog}, by the catalog |",
        f"| rows that are there twice | {killed.duplicates} | 0 |",
        f"| searches for complete documents after each start, all found once | {killed.searches} | all |",
        f"| anything wrong | {'; '.join(killed.wrong) or 'nothing'} | nothing |",
        "",
        f"Killed after {', '.join(map(str, killed.killed_at))} documents; here the model takes a second for each.",
        "",
        f"## {large.documents:,} documents, {large.passages:,} passages",
        "",
        "| documents | documents per CPU second | per second | resident MB |",
        "|---|---|---|---|",
    ]
    done = 0
    for part in large.parts:
        done += part.documents
        by_cpu, by_wall = part.documents / part.cpu_s, part.documents / part.wall_s
        lines.append(f"| {done:,} | {by_cpu:.1f} | {by_wall:.1f} | {part.resident_mb:.0f} |")
    lines += [
        "",
        "| | measured | meant |",
        "|---|---|---|",
        f"| rate of the last tenth to that of the first, by CPU | {rates[1] / rates[0]:.2f} | ≥ 0.8 |",
        f"| memory at the end to that after the first tenth | {last.resident_mb / first.resident_mb:.2f} | flat |",
        f"| added again, nothing changed ({large.unchanged}) | {large.unchanged_s:.1f} s | < 60 s |",
        f"| added again, {CHANGED} changed ({large.changed}) | {large.changed_s:.1f} s | |",
        f"| … documents parsed | {large.parsed} | {CHANGED} |",
        f"| … passages embedded, one of each changed document having changed | {large.embedded} | {CHANGED} |",
        "",
    ]
    return "\n".join(lines)
