"""A server that is killed again and again while it takes documents in, and what it has in the end."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks import generated_documents
from benchmarks.quick_model import PAUSE, QuickModel
from pincite.access import Principal
from pincite.data_lock import RunningServer, running_server
from pincite.settings import load_settings
from pincite.workspace import Workspace

ROOT = Path(__file__).parent.parent
KB = "killed"
TIMEOUT_S = 600.0


@dataclass(slots=True)
class Outcome:
    """What was there in the end: everything should be as many as `documents`, and nothing be `wrong`."""

    documents: int
    killed_at: list[int] = field(default_factory=list)
    in_catalog: int = 0
    results: int = 0
    passages_in_catalog: int = 0
    passages_in_index: int = 0
    duplicates: int = 0
    searches: int = 0
    wrong: list[str] = field(default_factory=list)


async def measure(work: Path, documents: int, kills: int, seed: int, pause_s: float) -> Outcome:
    """Index a folder with a server that is killed at random points; return what came of it.

    `pause_s` is what the embedding of a document takes, so that the points lie before the end.
    """
    choice = random.Random(seed)
    folder, data = work / "documents", work / "data"
    generated_documents.write(folder, documents, sections=3)
    outcome = Outcome(documents)
    job_id = ""
    for point in sorted(choice.sample(range(1, documents), kills)):
        with served(data, pause_s) as (process, server), client(server) as http:
            job_id = job_id or _begin(http, folder)
            _search_what_is_there(http, job_id, choice, outcome)
            done = _wait(http, job_id, point)
            await asyncio.sleep(choice.random() * 0.1)  # between two documents, or in the middle of one
            process.kill()
            outcome.killed_at.append(done)
    with served(data, 0.0) as (_, server), client(server) as http:
        _wait(http, job_id, documents)
        _search_what_is_there(http, job_id, choice, outcome)
        job = _job(http, job_id)
        outcome.results = len(job["results"])
        if (job["state"], job["done"], job["total"]) != ("done", documents, documents):
            outcome.wrong.append(f"the job is {job['state']}, {job['done']} of {job['total']}")
    await _compare(data, outcome)
    return outcome


@contextmanager
def served(data: Path, pause_s: float) -> "Iterator[tuple[subprocess.Popen[str], RunningServer]]":
    """Run a server with the quick model until the block ends or kills it."""
    environment = os.environ | {
        "PINCITE_DATA": str(data),
        "PINCITE_PORT": "0",
        "PINCITE_PARSER_WORKERS": "1",
        "PYTHONPATH": str(ROOT),
        PAUSE: str(pause_s),
    }
    command = [sys.executable, "-m", "benchmarks.quick_model", "serve"]
    said = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=said, stderr=said, text=True) as process:
        try:
            # For a moment the lock is that of this one, and what stands in its file that of the one that was killed.
            while (server := running_server(data)) is None or server.pid != process.pid:
                if process.poll() is not None:
                    raise RuntimeError("the server ended before it served")
                time.sleep(0.02)
            yield process, server
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(TIMEOUT_S)


def client(server: RunningServer) -> httpx.Client:
    """Return a client that asks as the owner of the machine."""
    headers = {"Authorization": f"Bearer {server.token}"}
    return httpx.Client(base_url=server.url, headers=headers, trust_env=False, timeout=TIMEOUT_S)


def _begin(http: httpx.Client, folder: Path) -> str:
    settings = {"chunk_tokens": 256}
    http.post("/api/knowledge-bases", json={"name": KB, "settings": settings}).raise_for_status()
    answer = http.post(f"/api/knowledge-bases/{KB}/documents", json={"url": str(folder)}).raise_for_status()
    return str(answer.json()["id"])


def _job(http: httpx.Client, job_id: str, since: int = 0) -> dict[str, Any]:
    return dict(http.get(f"/api/jobs/{job_id}", params={"since": since}).raise_for_status().json())


def _wait(http: httpx.Client, job_id: str, goal: int) -> int:
    """Wait until so many documents are done, or all; return how many are."""
    job = _job(http, job_id, since=2**31)
    while job["state"] in {"queued", "running"} and job["done"] < goal:
        time.sleep(0.01)
        job = _job(http, job_id, since=2**31)
    return int(job["done"])


def _search_what_is_there(http: httpx.Client, job_id: str, choice: random.Random, outcome: Outcome) -> None:
    """Search for documents that are complete, by a word that each has alone."""
    done = [result["path"] for result in _job(http, job_id)["results"] if result["status"] == "indexed"]
    for path in choice.sample(done, min(5, len(done))):
        number = int(Path(path).stem.rpartition("-")[2])
        asked = {"knowledge_base": KB, "question": generated_documents.marker(number), "k": 20}
        found = http.post("/api/search", json=asked).raise_for_status().json()["passages"]
        places = Counter(passage["start"] for passage in found if passage["document"]["path"] == path)
        outcome.searches += 1
        if not places or max(places.values()) > 1:
            outcome.wrong.append(f"a search for {path} found {dict(places)}")


async def _compare(data: Path, outcome: Outcome) -> None:
    """Count what catalog and index hold, once the server is gone."""
    who = Principal.system()
    settings = load_settings(data=data, parser_workers=1)
    async with Workspace(settings, embedder=QuickModel(), read_only=True) as workspace:
        kb = await workspace.knowledge_base(who, KB)
        records = await workspace.documents(who, KB)
        outcome.in_catalog = len({record.path for record in records if record.status == "indexed"})
        outcome.passages_in_catalog = sum(record.passages for record in records)
        async with workspace._opened.generations.use(kb) as index:
            ids = (await index._table.query().select(["id"]).to_arrow())["id"].to_pylist()
            there = await index.passages_by_document()
        outcome.passages_in_index = sum(there.values())
        outcome.duplicates = len(ids) - len(set(ids))
        if there != {record.id: record.passages for record in records}:
            outcome.wrong.append("catalog and index disagree about a document")
    await asyncio.to_thread(_check_texts, records, outcome)


def _check_texts(records: list[Any], outcome: Outcome) -> None:
    wanted = {f"document-{number:05}.md" for number in range(outcome.documents)}
    names = [Path(record.path).name for record in records]
    if sorted(names) != sorted(wanted):
        outcome.wrong.append("the documents are not those of the folder")
