"""Texts to vectors: the embedded model, and what every embedding backend offers."""

from embedding_backend.embedded.model import EmbeddedModel
from embedding_backend.embedder import BackendFailure, Embedder, EmbeddingModel, PassageText, Vectors

__all__ = ["BackendFailure", "EmbeddedModel", "Embedder", "EmbeddingModel", "PassageText", "Vectors"]
