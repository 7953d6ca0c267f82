"""An embedding model that costs next to nothing, where ingestion is measured and not the model.

`python -m benchmarks.quick_model serve` is the command line with it in place of the embedded model.
"""

import asyncio
import hashlib
import os
from collections.abc import Sequence

import numpy as np

from embedding_backend import Embedder, EmbeddingModel, PassageText, Vectors
from pincite.settings import Settings

# Seconds that each document's passages take, for a model that is to be interrupted.
PAUSE = "QUICK_MODEL_PAUSE_S"
_DIMENSIONS = 64


class QuickModel:
    """Makes of each text a random vector, the same each time; words find what vectors then do not."""

    def __init__(self, pause_s: float = 0.0, dimensions: int = _DIMENSIONS, max_tokens: int = 512) -> None:
        self._pause_s = pause_s
        self.model = EmbeddingModel(
            id="quick",
            dimensions=dimensions,
            max_tokens=max_tokens,
            window_tokens=0,
            scheme="random",
            unrelated=0.1,
            spread=0.1,
        )
        self.passages_embedded = 0

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the words of each text."""
        return [len(text.split()) for text in texts]

    def estimate_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the same."""
        return self.count_tokens(texts)

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        """Return one vector a window."""
        await asyncio.sleep(self._pause_s)
        self.passages_embedded += len(passages)
        return [np.stack([self._vector(passage.text) for _ in passage.windows or (None,)]) for passage in passages]

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        """Return one vector a question."""
        return np.stack([self._vector(question) for question in questions])

    async def close(self) -> None:
        """There is nothing to close."""

    def _vector(self, text: str) -> Vectors:
        seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
        vector = np.random.default_rng(seed).standard_normal(self.model.dimensions).astype(np.float32)
        return vector / np.linalg.norm(vector)


def _quick_model(settings: Settings) -> Embedder:
    return QuickModel(float(os.environ.get(PAUSE, "0")))


if __name__ == "__main__":
    import pincite.assembly
    from pincite.cli import main

    pincite.assembly._embedded_model = _quick_model
    main()
