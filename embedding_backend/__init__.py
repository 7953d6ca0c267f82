"""Texts to vectors: the embedded model, a client of embedding servers, and what every embedding backend offers."""

from typing import TYPE_CHECKING, Any

from embedding_backend.embedder import (
    BackendFailure,
    BackendUnreachable,
    Embedder,
    EmbeddingModel,
    PassageText,
    Reranker,
    Scores,
    Vectors,
)

if TYPE_CHECKING:
    from embedding_backend.embedded.model import EmbeddedModel

__all__ = [
    "BackendFailure",
    "BackendUnreachable",
    "EmbeddedModel",
    "Embedder",
    "EmbeddingModel",
    "PassageText",
    "Reranker",
    "Scores",
    "Vectors",
]


def __getattr__(name: str) -> Any:
    # Imported at first use: its runtime is of no use to a process whose vectors come from a server.
    if name == "EmbeddedModel":
        from embedding_backend.embedded.model import EmbeddedModel

        return EmbeddedModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
