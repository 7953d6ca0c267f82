"""A stand-in for the embedding model where the model is not the subject: quick, and the same on every machine."""

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from embedding_backend import EmbeddingModel, PassageText, Vectors

DIMENSIONS = 64
NGRAM = 3


class FakeEmbedder:
    """Hashes character n-grams into 64 dimensions: texts that share words are similar, others are not."""

    def __init__(self, *, max_tokens: int = 512, scheme: str = "trigrams") -> None:
        self.model = EmbeddingModel(
            id="fake",
            dimensions=DIMENSIONS,
            max_tokens=max_tokens,
            window_tokens=0,
            scheme=scheme,
            unrelated=0.1,
            spread=0.1,
        )
        self.closed = False
        self.passages_embedded = 0

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return words plus Chinese characters."""
        return [len(text.split()) + sum("\u4e00" <= c <= "\u9fff" for c in text) for text in texts]

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        """Return one vector a window."""
        self.passages_embedded += len(passages)
        return [
            np.stack([_vector(passage.text[start:end]) for start, end in passage.windows or ((0, len(passage.text)),)])
            for passage in passages
        ]

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        """Return one vector a question; the instruction is not read."""
        return np.stack([_vector(question) for question in questions])

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


def _vector(text: str) -> Vectors:
    vector = np.zeros(DIMENSIONS, np.float32)
    folded = f" {' '.join(text.lower().split())} "
    for start in range(max(1, len(folded) - NGRAM + 1)):
        digest = hashlib.blake2b(folded[start : start + NGRAM].encode("utf-8", "replace"), digest_size=4).digest()
        number = int.from_bytes(digest, "big")
        vector[number % DIMENSIONS] += 1.0 if number & 0x8000_0000 else -1.0
    # The square root keeps a frequent n-gram from drowning the rest.
    vector = np.sign(vector) * np.sqrt(np.abs(vector))
    length = math.sqrt(float(vector @ vector)) or 1.0
    return (vector / length).astype(np.float32)
