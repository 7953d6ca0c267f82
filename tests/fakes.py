"""Stand-ins for the embedding models where the model is not the subject: quick, and the same on every machine."""

import asyncio
import hashlib
import math
from collections.abc import Sequence

import numpy as np

from embedding_backend import BackendFailure, EmbeddingModel, PassageText, Vectors

DIMENSIONS = 64
NGRAM = 3


class FakeEmbedder:
    """Hashes character n-grams into a few dimensions: texts that share words are similar, others are not."""

    def __init__(
        self,
        *,
        name: str = "fake",
        dimensions: int = DIMENSIONS,
        max_tokens: int = 512,
        scheme: str = "trigrams",
        key: bytes = b"",
    ) -> None:
        self._key = key  # models that hash with different keys make vectors that mean nothing to each other
        self.model = EmbeddingModel(
            id=name,
            dimensions=dimensions,
            max_tokens=max_tokens,
            window_tokens=0,
            scheme=scheme,
            unrelated=0.1,
            spread=0.1,
        )
        self.closed = False
        self.passages_embedded = 0
        self.asked: list[tuple[str, str | None]] = []

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return words plus Chinese characters."""
        return [len(text.split()) + sum("\u4e00" <= c <= "\u9fff" for c in text) for text in texts]

    def estimate_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the same."""
        return self.count_tokens(texts)

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        """Return one vector a window."""
        self.passages_embedded += len(passages)
        return [
            np.stack(
                [self._vector(passage.text[start:end]) for start, end in passage.windows or ((0, len(passage.text)),)]
            )
            for passage in passages
        ]

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        """Return one vector a question; the instruction is remembered in `asked`, and not read."""
        self.asked += [(question, instruction) for question in questions]
        return np.stack([self._vector(question) for question in questions])

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def _vector(self, text: str) -> Vectors:
        vector = np.zeros(self.model.dimensions, np.float32)
        folded = f" {' '.join(text.lower().split())} "
        for start in range(max(1, len(folded) - NGRAM + 1)):
            ngram = folded[start : start + NGRAM].encode("utf-8", "replace")
            number = int.from_bytes(hashlib.blake2b(ngram, digest_size=4, key=self._key).digest(), "big")
            vector[number % self.model.dimensions] += 1.0 if number & 0x8000_0000 else -1.0
        # The square root keeps a frequent n-gram from drowning the rest.
        vector = np.sign(vector) * np.sqrt(np.abs(vector))
        length = math.sqrt(float(vector @ vector)) or 1.0
        return (vector / length).astype(np.float32)


class HaltingEmbedder(FakeEmbedder):
    """Stops before it embeds passages, once told to, and says when it got there."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.go.set()
        self.arrived = asyncio.Event()
        self.broken = False
        self.left = 0

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        if not self.left:
            self.arrived.set()
            await self.go.wait()
        else:
            self.left -= 1
        if self.broken:
            raise BackendFailure("the model is gone")
        return await super().embed_passages(passages)

    def halt(self) -> None:
        """Stop at the next passages."""
        self.halt_after(0)

    def halt_after(self, documents: int) -> None:
        """Stop after the passages of so many more documents."""
        self.left = documents
        self.arrived.clear()
        self.go.clear()


class FakeHosted(FakeEmbedder):
    """A model behind a server: another than the embedded one, with more dimensions, to be had with fewer."""

    def __init__(self, *, name: str = "hosted-fake", dimensions: int = 128, scheme: str = "trigrams") -> None:
        super().__init__(name=name, dimensions=dimensions, scheme=scheme, key=b"hosted")
        self.taking = 1

    async def connect(self) -> "FakeHosted":
        """Be the server's answer."""
        return self

    @property
    def available(self) -> int:
        """Return how many servers take requests."""
        return self.taking

    def resized(self, dimensions: int) -> "FakeHosted":
        """Return the same model with fewer dimensions."""
        return FakeHosted(name=self.model.id, dimensions=dimensions, scheme=self.model.scheme)
