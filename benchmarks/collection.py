"""Collections built from the material, as ingestion builds them, with the time each step took."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from embedding_backend import Embedder, EmbeddingModel, PassageText, Vectors
from pincite.chunking import chunk
from pincite.document import Document
from pincite.index import Index
from pincite.parsing import parse
from pincite.passage import DocumentReference, SearchFilter, SearchResult
from pincite.search import search

CHUNK_TOKENS = 512


@dataclass
class Costs:
    """CPU and wall seconds by step: parse, chunk, embed, index, search; and what they were spent on."""

    cpu_s: dict[str, float] = field(default_factory=dict)
    wall_s: dict[str, float] = field(default_factory=dict)
    pages: int = 0
    passages: int = 0
    tokens: int = 0

    def of(self, step: str) -> "_Step":
        """Return a context that adds its time to a step."""
        return _Step(self, step)


class _Step:
    def __init__(self, costs: Costs, name: str) -> None:
        self._costs, self._name = costs, name

    def __enter__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        for sums, now, before in (
            (self._costs.cpu_s, time.process_time(), self._cpu),
            (self._costs.wall_s, time.perf_counter(), self._wall),
        ):
            sums[self._name] = sums.get(self._name, 0.0) + now - before


class TimedEmbedder:
    """An embedder that notes its own time, so that it can be told from the index's."""

    def __init__(self, embedder: Embedder, costs: Costs) -> None:
        self._embedder = embedder
        self.costs = costs

    @property
    def model(self) -> EmbeddingModel:
        """The model behind the vectors."""
        return self._embedder.model

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the length of each text in tokens."""
        return self._embedder.count_tokens(texts)

    def estimate_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the same."""
        return self.count_tokens(texts)

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        """Embed, and add the time to "embed"."""
        with self.costs.of("embed"):
            return await self._embedder.embed_passages(passages)

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        """Embed, and add the time to "embed questions"."""
        with self.costs.of("embed questions"):
            return await self._embedder.embed_queries(questions, instruction)

    async def close(self) -> None:
        """Leave the embedder to its owner."""


@dataclass
class Collection:
    """An index and the documents in it, by the path they were added under."""

    index: Index
    embedder: TimedEmbedder
    documents: dict[str, Document]
    costs: Costs

    async def search(self, question: str, k: int, where: SearchFilter | None = None) -> SearchResult:
        """Search as every door does, with the time noted."""
        before = self.costs.cpu_s.get("embed questions", 0.0)
        with self.costs.of("search"):
            result = await search(self.index, self.embedder, question, k=k, where=where)
        self.costs.cpu_s["search"] -= self.costs.cpu_s["embed questions"] - before
        return result


async def of_files(paths: Sequence[Path], embedder: Embedder, folder: Path, name: str) -> Collection:
    """Parse and index files."""
    costs = Costs()
    documents = {}
    for path in paths:
        data = path.read_bytes()
        with costs.of("parse"):
            documents[path.name] = parse(data, path.name)
    return await _built(documents, embedder, folder, name, costs)


async def of_texts(texts: Mapping[str, str], embedder: Embedder, folder: Path, name: str) -> Collection:
    """Index short texts, each a document whose path is its id."""
    documents = {key: Document(title="", media_type="text/plain", text=text) for key, text in texts.items()}
    return await _built(documents, embedder, folder, name, Costs())


async def _built(
    documents: dict[str, Document], embedder: Embedder, folder: Path, name: str, costs: Costs
) -> Collection:
    timed = TimedEmbedder(embedder, costs)
    index = await Index.open(str(folder), name, embedder.model)
    most = min(CHUNK_TOKENS, embedder.model.max_tokens)
    for path, document in documents.items():
        with costs.of("chunk"):
            chunks = chunk(
                document,
                max_tokens=most,
                count_tokens=embedder.count_tokens,
                window_tokens=embedder.model.window_tokens,
            )
        before = costs.cpu_s.get("embed", 0.0)
        with costs.of("index"):
            await index.replace_document(DocumentReference(path, document.title, path), document, chunks, timed)
        costs.cpu_s["index"] -= costs.cpu_s.get("embed", 0.0) - before
        costs.pages += len(document.pages)
        costs.passages += len(chunks)
        costs.tokens += sum(embedder.count_tokens([document.text[c.start : c.end] for c in chunks]))
        with costs.of("index"):
            await index.tidy()
    with costs.of("index"):
        await index.maintain()
    return Collection(index, timed, documents, costs)
