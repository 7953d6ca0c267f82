"""Clients of embedding and reranking servers that speak the OpenAI-compatible protocol of vLLM."""

from embedding_backend.hosted.config import DEFAULT_INSTRUCTION, HostedConfig, RerankerConfig, ServerConfig
from embedding_backend.hosted.metrics import EmbeddingMetrics, RerankMetrics
from embedding_backend.hosted.model import HostedModel
from embedding_backend.hosted.reranker import HostedReranker

__all__ = [
    "DEFAULT_INSTRUCTION",
    "EmbeddingMetrics",
    "HostedConfig",
    "HostedModel",
    "HostedReranker",
    "RerankMetrics",
    "RerankerConfig",
    "ServerConfig",
]
