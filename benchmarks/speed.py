"""What parsing and searching cost, in CPU time."""

import statistics
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks import material
from benchmarks.report import machine
from embedding_backend import EmbeddingModel, PassageText, Vectors
from pincite.chunking import Chunk
from pincite.document import Document
from pincite.index import Index
from pincite.parsing import parse
from pincite.passage import DocumentReference
from pincite.search import search
from pincite.search.question_parts import question_parts

# As many as the PDFs of the judged sets have, on average.
_PASSAGES_A_DOCUMENT = 130
_QUESTIONS = 200
# Documents of fewer pages are parsed so often, and the median counts.
_FEW_PAGES = 20
_REPEATS = 5
# Windows of a passage in the embedded model's index, as counted over the contracts.
_WINDOWS = 4
_DIMENSIONS = 960


async def measure(data: Path, passages: int, work: Path) -> str:
    """Return the table: pages parsed a second, and the cost of a search among so many passages."""
    lines = ["# What it costs", "", f"Written by `scripts/bench speed` on {machine()}.", ""]
    lines += ["## Parsing", "", "| document | pages | pages per CPU second |", "|---|---|---|"]
    rates = _parsing(data)
    lines += [f"| {name} | {pages} | {rate:.0f} |" for name, pages, rate in rates]
    pages_in_all = sum(pages for _, pages, _ in rates)
    rate_in_all = pages_in_all / sum(pages / rate for _, pages, rate in rates if pages)
    lines += [f"| **all** | {pages_in_all} | {rate_in_all:.0f} |"]
    ingest_s, maintain_s, first_ms, copied_ms, samples_ms, walls_ms = await _searching(data, passages, work)
    lines += [
        "",
        f"## A search among {passages:,} passages",
        "",
        f"Texts of the judged sets in documents of {_PASSAGES_A_DOCUMENT} passages, clustered random vectors "
        f"({passages * _WINDOWS:,} windows of {_DIMENSIONS} numbers), {_QUESTIONS} questions; the embedding of the "
        "question is not counted.",
        "",
        "| | median | 95 % |",
        "|---|---|---|",
        f"| CPU ms a search | {statistics.median(samples_ms):.1f} | {np.percentile(samples_ms, 95):.1f} |",
        f"| wall ms a search | {statistics.median(walls_ms):.1f} | {np.percentile(walls_ms, 95):.1f} |",
        "",
        f"The first search, which reads the passages' words into memory, took {first_ms / 1e3:.1f} CPU s; copying the "
        f"vectors in the background, which begins with the second, {copied_ms / 1e3:.1f} CPU s; writing "
        f"{ingest_s:.0f} CPU s, building and compacting the indexes {maintain_s:.0f} CPU s.",
        "",
    ]
    return "\n".join(lines)


def _parsing(data: Path) -> list[tuple[str, int, float]]:
    paths = [*material.real_documents(data)[0], *material.contracts(data)[0]]
    # The first document pays for imports, and the first of a kind for reading tables and fonts.
    parse(paths[0].read_bytes(), paths[0].name)
    rates = []
    for path in paths:
        content = path.read_bytes()
        pages, spent = _timed(content, path.name)
        # A page or two take less time than the clock and its neighbours disturb it by.
        times = [spent, *(_timed(content, path.name)[1] for _ in range(_REPEATS - 1) if pages < _FEW_PAGES)]
        rates.append((path.name, pages, pages / statistics.median(times)))
    return rates


def _timed(content: bytes, name: str) -> tuple[int, float]:
    started = time.process_time()
    document = parse(content, name)
    return len(document.pages), time.process_time() - started


class _Clustered:
    """Random vectors in clusters, one cluster a passage: what a graph index has to cope with, without a model."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._centres = self._random.normal(size=(256, _DIMENSIONS)).astype(np.float32)

    @property
    def model(self) -> EmbeddingModel:
        return EmbeddingModel("clustered", _DIMENSIONS, 512, 80, "random", 0.0, 0.06)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) // 4 for text in texts]

    def estimate_tokens(self, texts: Sequence[str]) -> list[int]:
        return self.count_tokens(texts)

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        return [self._near(len(passage.windows)) for passage in passages]

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        return self._near(len(questions))

    async def close(self) -> None:
        return None

    def _near(self, count: int) -> Vectors:
        centre = self._centres[self._random.integers(len(self._centres))]
        vectors = centre + self._random.normal(size=(count, _DIMENSIONS)).astype(np.float32)
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


async def _searching(
    data: Path, passages: int, work: Path
) -> tuple[float, float, float, float, list[float], list[float]]:
    sets = [material.retrieval(data, name) for name in ("zh_cmrc2018", "en_cranfield", "zhHant_drcd", "en_cisi")]
    texts = [text for judged in sets for text in judged.texts.values() if text]
    questions = [question for judged in sets for question in list(judged.questions.values())[: _QUESTIONS // 4]]
    embedder = _Clustered()
    index = await Index.open(str(work), "speed", embedder.model)
    started = time.process_time()
    for first in range(0, passages, _PASSAGES_A_DOCUMENT):
        parts = [texts[i % len(texts)] for i in range(first, min(passages, first + _PASSAGES_A_DOCUMENT))]
        document, chunks = _document(parts)
        reference = DocumentReference(f"d{first}", f"Volume {first}", f"volume-{first}.txt")
        await index.replace_document(reference, document, chunks, embedder)
    written = time.process_time()
    await index.maintain()
    maintained = time.process_time()
    cpu_ms, wall_ms, copied_ms = [], [], 0.0
    for question in questions:
        vectors = await embedder.embed_queries([question, *question_parts(question)])
        cpu, wall = time.process_time(), time.perf_counter()
        await search(index, _Fixed(embedder.model, vectors), question)
        cpu_ms.append((time.process_time() - cpu) * 1e3)
        wall_ms.append((time.perf_counter() - wall) * 1e3)
        started_waiting = time.process_time()
        await (await index.view()).settled()
        copied_ms += (time.process_time() - started_waiting) * 1e3
    return written - started, maintained - written, cpu_ms[0], copied_ms, cpu_ms[10:], wall_ms[10:]


class _Fixed(_Clustered):
    """Answers with vectors made before, so that only the search is timed."""

    def __init__(self, model: EmbeddingModel, vectors: Vectors) -> None:
        self._model = model
        self._vectors = vectors

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        return self._vectors


def _document(parts: Sequence[str]) -> tuple[Document, list[Chunk]]:
    chunks, position = [], 0
    for part in parts:
        end = position + len(part)
        cuts = [position + len(part) * i // _WINDOWS for i in range(_WINDOWS + 1)]
        windows = tuple(pairwise(cuts))
        chunks.append(Chunk(position, end, "", "", (), (), windows))
        position = end + 1
    return Document("", "text/plain", "\n".join(parts)), chunks
