"""Vectors of length one: their inner product is the similarity of what they stand for."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from embedding_backend.embedder import Vectors


def unit(vectors: npt.NDArray[np.floating]) -> Vectors:
    """Return vectors (…, dimensions) at length one; a vector of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32, copy=False)


def averaged(vectors: Sequence[Vectors], weights: Sequence[int]) -> Vectors:
    """Return the mean of unit vectors (dimensions,), each counted by its weight, as a unit vector."""
    if len(vectors) == 1:
        return vectors[0]
    return unit(np.average(np.stack(vectors), axis=0, weights=np.maximum(weights, 1)))
