"""What the clients of embedding and reranking servers count about themselves, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ServerMetrics:
    """The meters of requests to one kind of server; an endpoint is named by host and port alone."""

    def __init__(self, registry: CollectorRegistry | None, subject: str) -> None:
        """Register under `pincite_<subject>_…`, in a registry of its own where none is given."""
        self.registry = registry if registry is not None else CollectorRegistry()
        self._prefix = f"pincite_{subject}_"
        self.requests = self._counter("requests", "Requests sent, by how they ended.", "endpoint", "outcome")
        self.request_seconds = self._histogram("request_seconds", "Seconds a request took.", _SECONDS, "endpoint")
        self.failovers = self._counter("failovers", "Requests sent anew to another endpoint than the one that failed.")
        self.up = Gauge(
            f"{self._prefix}endpoint_up", "Whether the endpoint takes requests.", ("endpoint",), registry=self.registry
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(self._prefix + name, meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(self._prefix + name, meaning, labels, buckets=buckets, registry=self.registry)


class EmbeddingMetrics(ServerMetrics):
    """The meters of a hosted embedding model; share one between the models of a process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry, "embed")
        self.tokens_in = self._counter("tokens_in", "Tokens of the texts sent, special tokens not counted.")
        self.tokens_embedded = self._counter(
            "tokens_embedded", "Tokens the server says it read, special tokens not counted."
        )
        self.batch_texts = self._histogram("batch_texts", "Texts in a request.", _SIZES)
        self.queue_seconds = self._histogram("queue_seconds", "Seconds a question waited for company.", _SECONDS)
        self.query_seconds = self._histogram("query_seconds", "Seconds from a question to its vector.", _SECONDS)
        self.cache_hits = self._counter("cache_hits", "Questions whose vector was still known.")
        self.splits = self._counter("splits", "Texts cut in parts because the model does not read them whole.")


class RerankMetrics(ServerMetrics):
    """The meters of a hosted reranker; share one between the rerankers of a process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry, "rerank")
        self.texts = self._histogram("texts", "Texts judged with one question.", _SIZES)
