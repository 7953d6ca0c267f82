"""Measure and write the tables in `docs/measurements/`.

python -m benchmarks quality [--data ../shared/data] [--only realdocs,contracts]
python -m benchmarks speed   [--passages 50000]
python -m benchmarks backend
python -m benchmarks cards
python -m benchmarks dimensions [--data ../shared/data]
python -m benchmarks mcp     [--agents 200] [--seconds 60]
python -m benchmarks openwebui [--passages 10000]
python -m benchmarks openwebui-ingestion [--documents 26]
python -m benchmarks transcript
python -m benchmarks ingestion [--documents 10000] [--killed 500] [--kills 30]
python -m benchmarks hostile FOLDER_OR_ARCHIVE
python -m benchmarks answers [--only checking,realdocs,xquad,needles] [--cache FOLDER]
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import report, speed
from benchmarks.collection import Costs
from benchmarks.quality import SETS, Figure, Outcome
from embedding_backend import EmbeddedModel

ROOT = Path(__file__).parent.parent
TABLES = ROOT / "docs" / "measurements"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    quality = commands.add_parser("quality", help="right pages, right passages")
    quality.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    quality.add_argument("--only", default=",".join(SETS), help=f"some of {', '.join(SETS)}")
    quick = commands.add_parser("speed", help="what parsing, indexing and searching cost")
    quick.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    quick.add_argument("--passages", type=int, default=50_000)
    commands.add_parser(
        "backend", help="questions to vectors: the client with a real vLLM, the embedded model's server"
    )
    commands.add_parser("cards", help="cards that are not at hand: arithmetic and simulation")
    cut = commands.add_parser("dimensions", help="coarse first, exact after: fewer dimensions or one bit")
    cut.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    agents = commands.add_parser("mcp", help="what a search costs over MCP, and many agents at once")
    agents.add_argument("--agents", type=int, default=200)
    agents.add_argument("--seconds", type=float, default=60.0)
    chat = commands.add_parser("openwebui", help="what Pincite adds to an answer in Open WebUI")
    chat.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    chat.add_argument("--passages", type=int, default=10_000)
    same = commands.add_parser("openwebui-ingestion", help="the same PDFs into Open WebUI's own Knowledge and Pincite")
    same.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    same.add_argument("--documents", type=int, default=1000)
    commands.add_parser("transcript", help="write docs/mcp-transcript.md: an agent at work on the samples")
    taken = commands.add_parser("ingestion", help="a large folder, and a server that is killed while it takes one in")
    taken.add_argument("--documents", type=int, default=10_000)
    taken.add_argument("--killed", type=int, default=500)
    taken.add_argument("--kills", type=int, default=30)
    made = commands.add_parser("answers", help="answers, refusals, and what checking finds")
    made.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    made.add_argument("--only", default="checking,realdocs,xquad,needles")
    made.add_argument("--cache", type=Path, help="a folder that keeps vectors from one run to the next")
    broken = commands.add_parser("hostile", help="broken and hostile files with a manifest, through `pincite add`")
    broken.add_argument("source", type=Path, help="a folder or tar archive that holds a manifest.jsonl")
    arguments = parser.parse_args()
    TABLES.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="pincite-benchmark-"))
    try:
        if arguments.command == "quality":
            asyncio.run(_quality(arguments.data, arguments.only.split(","), work))
        elif arguments.command == "backend":
            from benchmarks import backend

            (TABLES / "backend.md").write_text(asyncio.run(backend.measure()), encoding="utf-8")
        elif arguments.command == "cards":
            from benchmarks import simulated_cards

            (TABLES / "cards.md").write_text(asyncio.run(simulated_cards.measure()), encoding="utf-8")
        elif arguments.command == "dimensions":
            from benchmarks import dimensions

            page = asyncio.run(dimensions.measure(arguments.data, work))
            (TABLES / "dimensions.md").write_text(page, encoding="utf-8")
        elif arguments.command == "mcp":
            from benchmarks.agents import measure

            table = asyncio.run(measure(work, arguments.agents, arguments.seconds))
            (TABLES / "mcp.md").write_text(table, encoding="utf-8")
        elif arguments.command == "openwebui":
            from benchmarks import openwebui_turns

            table = asyncio.run(openwebui_turns.measure(arguments.data, arguments.passages, work))
            (TABLES / "openwebui.md").write_text(table, encoding="utf-8")
        elif arguments.command == "openwebui-ingestion":
            from benchmarks import openwebui_ingestion

            table = asyncio.run(openwebui_ingestion.measure(arguments.data, arguments.documents, work))
            (TABLES / "openwebui-ingestion.md").write_text(table, encoding="utf-8")
        elif arguments.command == "ingestion":
            from benchmarks.ingestion import measure as take_in

            page = asyncio.run(take_in(work, arguments.documents, arguments.killed, arguments.kills))
            (TABLES / "ingestion.md").write_text(page, encoding="utf-8")
        elif arguments.command == "transcript":
            from benchmarks.agents import record

            (ROOT / "docs" / "mcp-transcript.md").write_text(asyncio.run(record(work)), encoding="utf-8")
        elif arguments.command == "hostile":
            # A process of its own, which leaves the network before it has threads.
            sys.exit(
                subprocess.run([sys.executable, "-m", "benchmarks.hostile", arguments.source], check=False).returncode
            )
        elif arguments.command == "answers":
            asyncio.run(_answers(arguments.data, arguments.only.split(","), arguments.cache or work / "vectors", work))
        else:
            table = asyncio.run(speed.measure(arguments.data, arguments.passages, work))
            (TABLES / "speed.md").write_text(table, encoding="utf-8")
    finally:
        shutil.rmtree(work, ignore_errors=True)


async def _quality(data: Path, names: list[str], work: Path) -> None:
    """Measure the sets asked for; the others keep the figures they had."""
    kept = TABLES / "quality.json"
    outcomes: dict[str, Outcome] = {}
    if kept.exists():
        outcomes = {name: _outcome(stored) for name, stored in json.loads(kept.read_text(encoding="utf-8")).items()}
    embedder = EmbeddedModel()
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        outcomes[name] = await SETS[name](data, embedder, work / name)
        for figure in outcomes[name].figures:
            print(f"  {figure.name}: {figure.value:.3f}", file=sys.stderr, flush=True)
        ordered = {key: outcomes[key] for key in SETS if key in outcomes}
        kept.write_text(json.dumps({k: asdict(o) for k, o in ordered.items()}, indent=1), encoding="utf-8")
        (TABLES / "quality.md").write_text(report.quality(list(ordered.values())), encoding="utf-8")
    await embedder.close()


async def _answers(data: Path, names: list[str], cache: Path, work: Path) -> None:
    """Measure the parts asked for; the others keep the figures they had."""
    from benchmarks import answers
    from benchmarks.remembered import RememberingModel

    kept = TABLES / "answers.json"
    stored = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    parts = {
        name: answers.Part(part["title"], [Figure(**figure) for figure in part["figures"]])
        for name, part in stored.items()
    }
    embedder = RememberingModel(cache)
    measures = {"realdocs": answers.real_documents, "xquad": answers.xquad, "needles": answers.needles}
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        parts[name] = answers.checking() if name == "checking" else await measures[name](data, embedder, work / name)
        for figure in parts[name].figures:
            print(f"  {figure.name}: {figure.value:.3f}", file=sys.stderr, flush=True)
        ordered = {key: parts[key] for key in ("checking", *measures) if key in parts}
        kept.write_text(json.dumps({k: asdict(p) for k, p in ordered.items()}, indent=1, ensure_ascii=False), "utf-8")
        page = answers.table(list(ordered.values()), f"Measured {datetime.now(UTC):%Y-%m-%d} on {report.machine()}.")
        (TABLES / "answers.md").write_text(page, encoding="utf-8")
    await embedder.close()


def _outcome(stored: dict[str, object]) -> Outcome:
    figures = [Figure(**figure) for figure in stored.pop("figures")]  # type: ignore[attr-defined]
    return Outcome(figures=figures, costs=Costs(**stored.pop("costs")), **stored)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
