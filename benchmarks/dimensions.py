"""Two ways to look at all vectors coarsely and at the best of them exactly: fewer numbers, or one bit of each.

The first numbers of a vector say most where the model is trained for it (Matryoshka). The embedded model is not; turned
to the principal axes of a collection, its vectors have as much in their first numbers as any turning can give them.
Both orders are measured. What a search costs depends on the sizes alone.
"""

import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks import material
from benchmarks.report import machine
from embedding_backend import EmbeddedModel, PassageText, Vectors
from pincite.index.column_indexes import vector_index
from pincite.index.view import _PROBES, _REFINE
from pincite.sentences import sentences

_LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")
_QUESTIONS_A_LANGUAGE = 10
_WINDOWS = 200_000
_COARSE = (64, 128, 256)
_NEAREST = 10
_CANDIDATES = (100, 300)
# Reading every vector takes most of a second: its time is taken of so few questions.
_TIMED_EXACTLY = 10
_ROWS_A_BATCH = 10_000

Places = npt.NDArray[np.intp]
# From a question's place and how many candidates to look at exactly, to the nearest, best first.
Find = Callable[[int, int], Awaitable[Places]]


@dataclass(frozen=True)
class Way:
    """One way to find the nearest: the share of them that it finds, by candidates, and what it costs."""

    name: str
    window_bytes: int
    recall: dict[int, float]
    cpu_ms: float


async def measure(data: Path, work: Path) -> str:
    """Return the page."""
    windows, questions = await _vectors(data)
    lines = [
        "# Coarse first, exact after: fewer dimensions or one bit",
        "",
        f"Written by `scripts/bench dimensions` on {machine()}. The windows of 120 paragraphs in {len(_LANGUAGES)} "
        f"languages and {len(questions)} questions, as the embedded model reads them ({windows.shape[1]} numbers). "
        f"How many of the {_NEAREST} windows nearest to a question by their whole vectors are found when so many "
        "candidates are looked at exactly; CPU time of one search with the most candidates, in LanceDB.",
        "",
    ]
    for vectors, what in (
        (windows, "as they are"),
        (_enlarged(windows, _WINDOWS), "each several times, moved by a third of the way between two others"),
    ):
        print(f"{len(vectors):,} windows …", file=sys.stderr, flush=True)
        ways = await _ways(vectors, questions, work / str(len(vectors)))
        lines += [f"## {len(vectors):,} windows, {what}", "", *_table(ways), ""]
    lines += [
        "*First*: the first numbers of the vectors as the model gives them. *Principal*: the first after turning the "
        "vectors to the collection's principal axes, which stands for a model trained to be cut. Both made equally "
        "long again, float32 in a column of their own, every one read; *in memory*: NumPy reads them, LanceDB only the "
        "candidates.",
        "",
    ]
    return "\n".join(lines)


async def _vectors(data: Path) -> tuple[Vectors, Vectors]:
    """Return those of the paragraphs' windows, and of the questions."""
    model = EmbeddedModel()
    windows, questions = [], []
    for language in _LANGUAGES:
        judged = material.xquad(data, language, language)
        passages = [PassageText(text, tuple(sentences(text))) for text in judged.texts.values()]
        print(f"{language}: {len(passages)} paragraphs …", file=sys.stderr, flush=True)
        windows += await model.embed_passages(passages)
        asked = list(judged.questions.values())
        questions.append(await model.embed_queries(asked[:: len(asked) // _QUESTIONS_A_LANGUAGE]))
    await model.close()
    return np.concatenate(windows), np.concatenate(questions)


def _enlarged(windows: Vectors, count: int) -> Vectors:
    """Return so many that vary as the given ones do."""
    chance = np.random.default_rng(0)
    places, here, there = chance.integers(len(windows), size=(3, count))
    enlarged = np.empty((count, windows.shape[1]), np.float32)
    for first in range(0, count, _ROWS_A_BATCH):
        part = slice(first, first + _ROWS_A_BATCH)
        moved = windows[places[part]] + (windows[there[part]] - windows[here[part]]) / 3
        lengths = np.linalg.norm(windows[places[part]], axis=1, keepdims=True)
        enlarged[part] = _unit(moved) * lengths
    return enlarged


async def _ways(windows: Vectors, questions: Vectors, folder: Path) -> list[Way]:
    axes = _principal_axes(windows)
    coarse: dict[str, tuple[Vectors, Vectors]] = {}
    for size in _COARSE:
        coarse[f"first {size}"] = _unit(windows[:, :size]), _unit(questions[:, :size])
        coarse[f"principal {size}"] = _unit(windows @ axes[:, :size]), _unit(questions @ axes[:, :size])
    table = await _stored(windows, {name: stored for name, (stored, _) in coarse.items()}, folder)
    nearest = [_best(windows @ question, _NEAREST) for question in questions]

    async def exactly(question: int, candidates: int) -> Places:
        query = table.query().nearest_to(questions[question]).distance_type("dot").bypass_vector_index()
        return _numbers(await query.limit(_NEAREST).select(["number", "_distance"]).to_arrow())

    async def by_bits(question: int, candidates: int) -> Places:
        query = table.query().nearest_to(questions[question]).distance_type("dot").nprobes(_PROBES)
        query = query.refine_factor(_REFINE).limit(candidates // _REFINE)
        return _numbers(await query.select(["number", "_distance"]).to_arrow())[:_NEAREST]

    async def rescored(question: int, addresses: Sequence[int]) -> Places:
        found = await table.take_row_ids(sorted(addresses)).select(["number", "vector"]).to_arrow()
        vectors = found["vector"].combine_chunks().flatten().to_numpy().reshape(len(found), -1).astype(np.float32)
        return _numbers(found)[_best(vectors @ questions[question], _NEAREST)]

    def by_column(name: str) -> Find:
        async def find(question: int, candidates: int) -> Places:
            query = table.query().nearest_to(coarse[name][1][question]).column(_column(name)).distance_type("dot")
            found = await query.limit(candidates).with_row_id().select(["_distance"]).to_arrow()
            return await rescored(question, found["_rowid"].to_pylist())

        return find

    def in_memory(name: str) -> Find:
        stored, asked = coarse[name]

        async def find(question: int, candidates: int) -> Places:
            places = _best(stored @ asked[question], candidates)
            return await rescored(question, addresses[places].tolist())

        return find

    where = await table.query().with_row_id().select(["number"]).to_arrow()
    addresses = np.empty(len(windows), np.int64)
    addresses[_numbers(where)] = where["_rowid"].to_numpy()
    width = windows.shape[1]
    found = [
        await _way("one bit of each number", width // 8, by_bits, nearest),
        *[await _way(f"{name} numbers", 4 * _size(name), by_column(name), nearest) for name in coarse],
        *[
            await _way(f"{name} numbers, in memory", 4 * _size(name), in_memory(name), nearest)
            for name in coarse
            if name.startswith("principal")
        ],
    ]
    whole = await _way("all numbers", 2 * width, exactly, nearest[:_TIMED_EXACTLY])
    return [whole, *found]


async def _way(name: str, window_bytes: int, find: Find, nearest: Sequence[Places]) -> Way:
    recall: dict[int, float] = {}
    spent: list[float] = []
    for candidates in _CANDIDATES:
        found, spent = [], []
        for question in range(len(nearest)):
            began = time.process_time()
            found.append(await find(question, candidates))
            spent.append((time.process_time() - began) * 1e3)
        shares = [len(np.intersect1d(*pair)) / _NEAREST for pair in zip(found, nearest, strict=True)]
        recall[candidates] = statistics.mean(shares)
    print(f"  {name}: {recall}, {statistics.median(spent):.1f} ms", file=sys.stderr, flush=True)
    return Way(name, window_bytes, recall, statistics.median(spent))


async def _stored(windows: Vectors, coarse: dict[str, Vectors], folder: Path) -> Any:
    columns: dict[str, npt.NDArray[Any]] = {"vector": windows.astype(np.float16)}
    columns |= {_column(name): stored for name, stored in coarse.items()}
    schema = pa.schema(
        [
            pa.field("number", pa.int64()),
            *(
                pa.field(name, pa.list_(pa.from_numpy_dtype(column.dtype), column.shape[1]))
                for name, column in columns.items()
            ),
        ]
    )
    connection = await lancedb.connect_async(str(folder))
    table = await connection.create_table("windows", schema=schema)
    for first in range(0, len(windows), _ROWS_A_BATCH):
        part = slice(first, first + _ROWS_A_BATCH)
        numbers = np.arange(len(windows))[part]
        lists = [
            pa.FixedSizeListArray.from_arrays(column[part].ravel(), column.shape[1]) for column in columns.values()
        ]
        await table.add(pa.table([pa.array(numbers), *lists], schema=schema))
    await table.optimize()
    await table.create_index("vector", config=vector_index(len(windows)))
    return table


def _principal_axes(vectors: Vectors) -> Vectors:
    """Return (dimensions, dimensions): the axes in columns, the one along which the vectors are longest first."""
    _, axes = np.linalg.eigh(vectors.T @ vectors)
    descending: Vectors = axes[:, ::-1]
    return descending


def _best(similarities: Vectors, count: int) -> Places:
    places: Places = np.argpartition(-similarities, count)[:count]
    return places


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _numbers(found: pa.Table) -> Places:
    numbers: Places = found["number"].to_numpy()
    return numbers


def _column(name: str) -> str:
    return name.replace(" ", "_")


def _size(name: str) -> int:
    return int(name.split()[1])


def _table(ways: Sequence[Way]) -> list[str]:
    heads = "".join(f" of {_NEAREST}, {candidates} candidates |" for candidates in _CANDIDATES)
    return [
        f"| read coarsely | bytes of a window |{heads} CPU ms a search |",
        "|---|---|" + "---|" * (len(_CANDIDATES) + 1),
        *(
            f"| {way.name} | {way.window_bytes:,} |"
            + "".join(f" {way.recall[candidates]:.3f} |" for candidates in _CANDIDATES)
            + f" {way.cpu_ms:.0f} |"
            for way in ways
        ),
    ]
