"""An embedder in this process whose concurrent callers are served together, as a server's are."""

import math
from collections.abc import Sequence

import numpy as np

from embedding_backend.embedder import BackendFailure, Embedder, EmbeddingModel, PassageText, Vectors
from embedding_backend.hosted.coalescing import Coalescer
from embedding_backend.hosted.concurrency import gathered
from embedding_backend.hosted.metrics import EmbeddingMetrics
from embedding_backend.hosted.pieces import Piece, Text

# Reading more at once gains nothing on a processor, and whoever comes next waits for all of it.
_TEXTS = 32
_TOKENS = 4096
_CHARACTERS_A_TOKEN = 3


class Coalesced:
    """An Embedder that reads what several callers ask at the same time in one batch."""

    def __init__(self, embedder: Embedder, metrics: EmbeddingMetrics | None = None) -> None:
        self._embedder = embedder
        metrics = metrics or EmbeddingMetrics()
        # One batch is read after the other, so nothing is gained by sending a small one before its turn.
        self._questions = Coalescer(self._read_questions, lambda: 1, _TOKENS, _TEXTS, metrics, math.inf)
        self._passages = Coalescer(self._read_passages, lambda: 1, _TOKENS, _TEXTS, metrics, math.inf)

    @property
    def model(self) -> EmbeddingModel:
        """The model behind the vectors."""
        return self._embedder.model

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the length of each text in the model's tokens."""
        return self._embedder.count_tokens(texts)

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        """Return (n, dimensions) vectors; questions with an instruction of their own go alone."""
        if instruction is not None:
            return await self._embedder.embed_queries(questions, instruction)
        if not questions:
            return np.zeros((0, self.model.dimensions), np.float32)
        return np.stack(await _all(self._questions, questions))

    def estimate_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return about the length of each text."""
        return self._embedder.estimate_tokens(texts)

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        """Return for each passage (windows, dimensions) vectors; only whole passages go together with others'."""
        if any(passage.windows != ((0, len(passage.text)),) for passage in passages):
            return await self._embedder.embed_passages(passages)
        return await _all(self._passages, [passage.text for passage in passages])

    async def close(self) -> None:
        """Give up what is under way, and close the embedder."""
        self._questions.close()
        self._passages.close()
        await self._embedder.close()

    async def _read_questions(self, pieces: Sequence[Piece]) -> list[Vectors | BackendFailure]:
        return list(await self._embedder.embed_queries([piece.sent for piece in pieces]))

    async def _read_passages(self, pieces: Sequence[Piece]) -> list[Vectors | BackendFailure]:
        whole = [PassageText(piece.sent, ((0, len(piece.sent)),)) for piece in pieces]
        return list(await self._embedder.embed_passages(whole))


async def _all(coalescer: Coalescer, texts: Sequence[str]) -> list[Vectors]:
    pieces = [Piece(Text(text), None, len(text) // _CHARACTERS_A_TOKEN + 1, "") for text in texts]
    if len(pieces) == 1:  # most often, and without a task of its own
        return [await coalescer.read(pieces[0])]
    return await gathered(coalescer.read(piece) for piece in pieces)
