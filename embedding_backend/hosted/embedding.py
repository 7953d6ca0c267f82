"""One request for vectors and what may come of it: vectors, a text that is too long after all, a refusal."""

import asyncio
from collections.abc import Sequence

from embedding_backend.embedder import BackendFailure, Vectors
from embedding_backend.hosted import wire
from embedding_backend.hosted.concurrency import gathered
from embedding_backend.hosted.endpoint import Answer
from embedding_backend.hosted.metrics import EmbeddingMetrics
from embedding_backend.hosted.pieces import Piece, Text
from embedding_backend.hosted.pool import EndpointPool
from embedding_backend.hosted.token_counting import TokenCounter
from embedding_backend.splitting import halves
from embedding_backend.unit_vectors import averaged, unit

# Refusals that may be one text's fault alone, so that the others of its request are asked for again.
_TEXT_REFUSED = frozenset({400, 413, 422})


class EmbeddingRequests:
    """Sends pieces to the pool; `special_tokens` is how many the server adds to each."""

    def __init__(
        self,
        pool: EndpointPool,
        counter: TokenCounter,
        model: str,
        dimensions: int,
        special_tokens: int,
        metrics: EmbeddingMetrics,
    ) -> None:
        self._pool = pool
        self._counter = counter
        self._model = model
        self._native = dimensions
        self._special_tokens = special_tokens
        self._metrics = metrics
        # Sizes that the server was not started to give: its own vectors are cut here instead.
        self._cut_here: set[int] = set()

    async def read(self, pieces: Sequence[Piece], dimensions: int, deadline: float) -> list[Vectors | BackendFailure]:
        """Return a unit vector for each piece, or why there is none.

        Raises:
            BackendFailure: the request as a whole failed.
        """
        asked = None if dimensions == self._native or dimensions in self._cut_here else dimensions
        answer = await self._pool.post(
            "/v1/embeddings",
            wire.embedding_request(self._model, [piece.sent for piece in pieces], asked),
            work=sum(piece.size for piece in pieces),
            deadline=deadline,
            max_bytes=wire.embedding_answer_bytes(len(pieces), self._native),
        )
        if asked is not None and wire.refuses_dimensions(answer):
            self._cut_here.add(dimensions)
            return await self.read(pieces, dimensions, deadline)
        if answer.status >= 400:
            return await self._refused(answer, pieces, dimensions, deadline)
        # A server that does not know the field answers vectors of its own size.
        embedded = wire.embeddings(answer, len(pieces), (asked or self._native, self._native))
        self._metrics.batch_texts.observe(len(pieces))
        self._count_tokens(answer, pieces, embedded.tokens)
        return [
            BackendFailure(f"{answer.endpoint} answered {vector} for {piece.name}")
            if isinstance(vector, str)
            else cut(vector, dimensions)
            for piece, vector in zip(pieces, embedded.vectors, strict=True)
        ]

    def _count_tokens(self, answer: Answer, pieces: Sequence[Piece], tokens: int | None) -> None:
        """Compare what was sent with what the server says it read, and refuse what it did not read whole."""
        if tokens is None:
            return
        read = tokens - self._special_tokens * len(pieces)
        counted = [piece.tokens for piece in pieces if piece.tokens is not None]
        sent = sum(counted) if len(counted) == len(pieces) else read
        self._counter.learn([piece.sent for piece in pieces if piece.tokens is None], max(0, read - sum(counted)))
        self._metrics.tokens_in.inc(sent)
        self._metrics.tokens_embedded.inc(max(0, read))
        if read != sent:
            raise BackendFailure(
                f"{answer.endpoint} read {read:,} tokens where {sent:,} were sent: it cuts its inputs, "
                "or the tokenizer in the settings is not its model's"
            )

    async def _refused(
        self, answer: Answer, pieces: Sequence[Piece], dimensions: int, deadline: float
    ) -> list[Vectors | BackendFailure]:
        wire.refuse_key(answer)
        if answer.status not in _TEXT_REFUSED:
            raise BackendFailure(
                f"{answer.endpoint} answered {answer.status}; check that it still serves {self._model}"
            )
        if len(pieces) > 1:
            middle = len(pieces) // 2
            parts = await gathered(self.read(part, dimensions, deadline) for part in (pieces[:middle], pieces[middle:]))
            return [vector for part in parts for vector in part]
        if not wire.is_too_long(answer) or len(pieces[0].text.text) < 2:
            return [BackendFailure(f"{answer.endpoint} refused {pieces[0].name} ({answer.status})")]
        return [await self._in_halves(pieces[0], dimensions, deadline)]

    async def _in_halves(self, piece: Piece, dimensions: int, deadline: float) -> Vectors | BackendFailure:
        """Embed a text that the server finds too long although it was thought to fit."""
        self._metrics.splits.inc()
        texts = await asyncio.to_thread(halves, piece.text.text, self._counter.count)
        weights = await asyncio.to_thread(self._counter.count, texts)
        pieces = [
            Piece(Text(text, piece.text.before, piece.text.after), None, piece.size // 2 + 1, piece.name)
            for text in texts
        ]
        vectors = []
        for (vector,) in await gathered(self.read([half], dimensions, deadline) for half in pieces):
            if isinstance(vector, BackendFailure):
                return vector
            vectors.append(vector)
        return averaged(vectors, weights)


def cut(vector: Vectors, dimensions: int) -> Vectors:
    """Return the first numbers of a vector as a unit vector (Matryoshka representation, arXiv 2205.13147)."""
    return vector if vector.shape[-1] == dimensions else unit(vector[..., :dimensions])
