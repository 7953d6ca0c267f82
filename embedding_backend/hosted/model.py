"""An embedding model on a server, as an Embedder."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import numpy as np

from embedding_backend.embedder import BackendFailure, EmbeddingModel, PassageText, Vectors
from embedding_backend.hosted.admission import PROBE, EmbeddingAdmission
from embedding_backend.hosted.coalescing import Coalescer
from embedding_backend.hosted.concurrency import gathered
from embedding_backend.hosted.config import SMALLEST_DIMENSIONS, HostedConfig, around, template_for
from embedding_backend.hosted.embedding import EmbeddingRequests, cut
from embedding_backend.hosted.least_recent import LeastRecentCache
from embedding_backend.hosted.metrics import EmbeddingMetrics
from embedding_backend.hosted.pieces import Cutter, Piece, Text
from embedding_backend.hosted.pool import EndpointPool
from embedding_backend.hosted.token_counting import LocalTokenizer, ServerTokenizer, TokenCounter
from embedding_backend.hosted.unrelated_texts import PASSAGES, QUESTIONS
from embedding_backend.unit_vectors import averaged, unit

# vLLM before 0.32 hangs on an input of exactly the longest length, so one token is left free.
_FREE_TOKENS = 1
# What is measured is rounded, so that it reads the same after every start.
_DIGITS = 3
_NARROWEST_SPREAD = 0.001


@dataclass(frozen=True, slots=True)
class _Connection:
    """What a model and its resized views share; `unrelated` are vectors (n, native) of questions and of passages."""

    config: HostedConfig
    metrics: EmbeddingMetrics
    admission: EmbeddingAdmission
    pool: EndpointPool
    counter: TokenCounter
    cutter: Cutter
    requests: EmbeddingRequests
    bulk: asyncio.Semaphore
    cache: LeastRecentCache[tuple[int, Text], Vectors]
    template: str
    max_tokens: int
    unrelated: tuple[Vectors, Vectors]


class HostedModel:
    """A model behind one or several OpenAI-compatible servers; `connect` makes one, for the event loop it runs in."""

    def __init__(self, connection: _Connection, dimensions: int, *, owns: bool) -> None:
        """Use `connect` and `resized`."""
        self._connection = connection
        self._owns = owns
        self._dimensions = dimensions
        self._model = _described(connection, dimensions)
        self._coalescer = Coalescer(
            lambda pieces: self._read(pieces, connection.config.query_budget_s),
            lambda: connection.pool.available,
            connection.config.batch_tokens,
            connection.config.batch_texts,
            connection.metrics,
        )

    @classmethod
    async def connect(cls, config: HostedConfig, metrics: EmbeddingMetrics | None = None) -> "HostedModel":
        """Ask the servers what they serve and measure what must be known of the model.

        Raises:
            BackendFailure: in a sentence, why the model cannot be used.
        """
        metrics = metrics or EmbeddingMetrics()
        admission = EmbeddingAdmission(config)
        async with AsyncExitStack() as undo:
            pool = EndpointPool(config, metrics, admission)
            undo.push_async_callback(pool.close)
            await pool.open()
            counter = await asyncio.to_thread(_counter, config, pool, admission.model.id)
            undo.callback(counter.close)
            connection = await _connected(config, metrics, admission, pool, counter)
            native = admission.dimensions
            model = cls(connection, checked(config.dimensions or native, native, admission.model.id), owns=True)
            undo.pop_all()
        return model

    @property
    def model(self) -> EmbeddingModel:
        """The model behind the vectors; `unrelated` and `spread` were measured when it was connected."""
        return self._model

    @property
    def config(self) -> HostedConfig:
        """What the model was connected with."""
        return self._connection.config

    @property
    def metrics(self) -> EmbeddingMetrics:
        """What the client counts about itself."""
        return self._connection.metrics

    @property
    def available(self) -> int:
        """How many servers take requests now."""
        return self._connection.pool.available

    def resized(self, dimensions: int) -> "HostedModel":
        """Return the same model with vectors of another size, over the same connections; closing it closes nothing.

        Raises:
            BackendFailure: the size is not between 32 and the model's own.
        """
        native = self._connection.admission.dimensions
        return HostedModel(self._connection, checked(dimensions, native, self._model.id), owns=False)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the length of each text; without a tokenizer of its own, a request a text that is not known yet."""
        return self._connection.counter.count(texts)

    def estimate_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return about the length of each text; without a tokenizer of its own, a request for some pages of text."""
        return self._connection.counter.estimate(texts)

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        """Return for each passage one vector per window.

        A passage with one window is embedded whole. The vector of each of several windows is half the passage's and
        half the window's own. A text without a visible character is not sent, its vector is zeros.
        """
        texts: list[Text] = []
        for passage in passages:
            texts += [Text(passage.text)] if passage.windows else []
            if len(passage.windows) > 1:
                texts += [Text(passage.text[start:stop]) for start, stop in passage.windows]
        vectors = iter(await self._embed(texts, self._read_passages))
        embedded = []
        for passage in passages:
            whole = [next(vectors)] if passage.windows else []
            own = [next(vectors) for _ in passage.windows] if len(passage.windows) > 1 else whole
            rows = unit(np.stack([(whole[0] + window) / 2 for window in own])) if own else self._zeros((0,))
            embedded.append(rows)
        return embedded

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        """Return one vector per question, sent in the model's query template; `instruction` is for this call."""
        began = time.perf_counter()
        default = self._connection.config.instruction
        before, after = around(self._connection.template, default if instruction is None else instruction)
        texts = [Text(question, before, after) for question in questions]
        cache = self._connection.cache
        known = {text: vector for text in texts if (vector := cache.get((self._dimensions, text))) is not None}
        self._connection.metrics.cache_hits.inc(sum(text in known for text in texts))
        unknown = [text for text in dict.fromkeys(texts) if text not in known]
        for text, vector in zip(unknown, await self._embed(unknown, self._read_queries), strict=True):
            known[text] = vector
            cache.put((self._dimensions, text), vector)
        self._connection.metrics.query_seconds.observe(time.perf_counter() - began)
        return np.stack([known[text] for text in texts]) if texts else self._zeros((0,))

    async def close(self) -> None:
        """Close the connections; of a resized model, only what is its own."""
        self._coalescer.close()
        if self._owns:
            self._connection.counter.close()
            await self._connection.pool.close()

    # Texts to vectors

    async def _embed(
        self, texts: Sequence[Text], read: Callable[[Sequence[Piece]], Awaitable[list[Vectors]]]
    ) -> list[Vectors]:
        parts = await self._connection.cutter.pieces(texts)
        self._connection.metrics.splits.inc(sum(len(part.pieces) > 1 for part in parts))
        vectors = iter(await read([piece for part in parts for piece in part.pieces]))
        return [
            averaged([next(vectors) for _ in part.pieces], part.weights) if part.pieces else self._zeros(())
            for part in parts
        ]

    async def _read_queries(self, pieces: Sequence[Piece]) -> list[Vectors]:
        if len(pieces) == 1:
            return [await self._coalescer.read(pieces[0])]
        return await gathered(self._coalescer.read(piece) for piece in pieces)

    async def _read_passages(self, pieces: Sequence[Piece]) -> list[Vectors]:
        config = self._connection.config
        batches = batched(pieces, config.batch_tokens, config.batch_texts)
        results = await gathered(self._read_bulk(batch) for batch in batches)
        vectors = [vector for result in results for vector in result]
        for vector in vectors:
            if isinstance(vector, BackendFailure):
                raise vector
        return [vector for vector in vectors if not isinstance(vector, BackendFailure)]

    async def _read_bulk(self, pieces: Sequence[Piece]) -> list[Vectors | BackendFailure]:
        # Passages never fill the servers' queues, or a question would wait behind all of them.
        async with self._connection.bulk:
            return await self._read(pieces, self._connection.config.passage_budget_s)

    async def _read(self, pieces: Sequence[Piece], budget_s: float) -> list[Vectors | BackendFailure]:
        deadline = asyncio.get_running_loop().time() + budget_s
        return await self._connection.requests.read(pieces, self._dimensions, deadline)

    def _zeros(self, shape: tuple[int, ...]) -> Vectors:
        return np.zeros((*shape, self._dimensions), np.float32)


def checked(dimensions: int, native: int, model: str) -> int:
    """Return the size of a vector; raises BackendFailure where the model has no such vectors."""
    smallest = min(SMALLEST_DIMENSIONS, native)
    if not smallest <= dimensions <= native:
        raise BackendFailure(f"{model} has vectors of {smallest} to {native} dimensions, not of {dimensions}")
    return dimensions


def batched(pieces: Sequence[Piece], most_tokens: int, most_texts: int) -> list[list[Piece]]:
    """Return the pieces in order, in groups within both limits; a piece that alone has more tokens is a group."""
    batches: list[list[Piece]] = []
    tokens = 0
    for piece in pieces:
        if not batches or tokens + piece.size > most_tokens or len(batches[-1]) >= most_texts:
            batches.append([])
            tokens = 0
        batches[-1].append(piece)
        tokens += piece.size
    return batches


def _counter(config: HostedConfig, pool: EndpointPool, model: str) -> TokenCounter:
    return LocalTokenizer(config.tokenizer) if config.tokenizer else ServerTokenizer(config, pool.endpoints, model)


async def _connected(
    config: HostedConfig,
    metrics: EmbeddingMetrics,
    admission: EmbeddingAdmission,
    pool: EndpointPool,
    counter: TokenCounter,
) -> _Connection:
    model, native = admission.model, admission.dimensions
    (probe,) = await asyncio.to_thread(counter.count, [PROBE])
    special_tokens = max(0, admission.probe_tokens - probe) if admission.probe_tokens is not None else 0

    def longest() -> int:
        return admission.longest_input - special_tokens - _FREE_TOKENS

    cutter = Cutter(counter, longest)
    requests = EmbeddingRequests(pool, counter, model.id, native, special_tokens, metrics)
    template = config.query_template or template_for(model.id, model.root)
    before, after = around(template, config.instruction)
    # An endpoint that joins later may read less, which only makes more parts of a text.
    max_tokens = longest()
    unrelated = []
    for texts in ([Text(text, before, after) for text in QUESTIONS], [Text(text) for text in PASSAGES]):
        pieces = [piece for part in await cutter.pieces(texts) for piece in part.pieces]
        vectors = []
        for batch in batched(pieces, config.batch_tokens, config.batch_texts):
            deadline = asyncio.get_running_loop().time() + config.query_budget_s
            for vector in await requests.read(batch, native, deadline):
                if isinstance(vector, BackendFailure):
                    raise vector
                vectors.append(vector)
        unrelated.append(np.stack(vectors))
    return _Connection(
        config=config,
        metrics=metrics,
        admission=admission,
        pool=pool,
        counter=counter,
        cutter=cutter,
        requests=requests,
        bulk=asyncio.Semaphore(config.passage_requests * len(config.endpoints)),
        cache=LeastRecentCache(config.cached_queries),
        template=template,
        max_tokens=max_tokens,
        unrelated=(unrelated[0], unrelated[1]),
    )


def _described(connection: _Connection, dimensions: int) -> EmbeddingModel:
    name = connection.admission.model.id
    questions, passages = (cut(vectors, dimensions) for vectors in connection.unrelated)
    similarities = questions @ passages.T
    return EmbeddingModel(
        id=name,
        dimensions=dimensions,
        max_tokens=connection.max_tokens,
        window_tokens=0,
        scheme=f"{name} | {connection.template} | {dimensions}",
        unrelated=round(float(similarities.mean()), _DIGITS),
        spread=max(_NARROWEST_SPREAD, round(float(similarities.std()), _DIGITS)),
    )
