"""What a server must show before it gets requests: the right model, and the same vectors as the others."""

import numpy as np

from embedding_backend.embedder import BackendFailure, Vectors
from embedding_backend.hosted import wire
from embedding_backend.hosted.config import HostedConfig
from embedding_backend.hosted.endpoint import Endpoint

# A short sentence that no model finds hard; every endpoint must put it in about the same place.
PROBE = "The library opens at nine."
# Four-bit weights and the original agree to 0.97 and better; other weights or another pooling do not.
_SAME_MODEL = 0.9
_LARGEST_DIMENSIONS = 65_536
# A server that hangs must not keep the others waiting; the first text of a fresh one may take it some seconds.
_LISTING_S = 10.0
_PROBING_S = 30.0


async def served_model(endpoint: Endpoint, name: str | None) -> wire.ServedModel:
    """Return the model of this name, or the only one, as the endpoint lists it.

    Raises:
        AttemptFailed: the endpoint cannot be reached or is not ready.
        BackendFailure: it refuses the key, is no such server or does not serve the model.
    """
    answer = await endpoint.request("GET", "/v1/models", limit_s=_LISTING_S)
    return wire.chosen(wire.served_models(answer), name, endpoint.name)


class EmbeddingAdmission:
    """Lets endpoints in that serve one and the same embedding model; the first one says which."""

    def __init__(self, config: HostedConfig) -> None:
        self._config = config
        self._model: wire.ServedModel | None = None
        self._vector: Vectors | None = None
        self._limits: dict[str, int] = {}
        self._probe_tokens: int | None = None

    @property
    def model(self) -> wire.ServedModel:
        """The model of all endpoints."""
        assert self._model is not None
        return self._model

    @property
    def dimensions(self) -> int:
        """The numbers in a vector of the model."""
        assert self._vector is not None
        return int(self._vector.size)

    @property
    def probe_tokens(self) -> int | None:
        """The tokens of the probe, special tokens included, if the server says."""
        return self._probe_tokens

    @property
    def longest_input(self) -> int:
        """The tokens of the longest input that every endpoint reads, special tokens included."""
        return min(self._limits.values())

    async def __call__(self, endpoint: Endpoint) -> None:
        """Admit an endpoint.

        Raises:
            AttemptFailed: it cannot be reached or is not ready.
            BackendFailure: it serves something else than it should.
        """
        model = await served_model(endpoint, self._config.model or (self._model.id if self._model else None))
        embedded = await self._probed(endpoint, model.id)
        (vector,) = embedded.vectors
        if isinstance(vector, str):
            raise BackendFailure(f"{endpoint.name} answered {vector} for a test sentence")
        if self._vector is not None and vector.size != self._vector.size:
            raise BackendFailure(
                f"{endpoint.name} serves {model.id} with {vector.size} dimensions, the other endpoints with "
                f"{self._vector.size}; all must serve the same model"
            )
        if self._vector is not None and float(np.dot(vector, self._vector)) < _SAME_MODEL:
            raise BackendFailure(
                f"{endpoint.name} answers other vectors under the name {model.id} than the other endpoints do; "
                "all must serve the same weights"
            )
        limit = model.max_tokens or self._config.max_tokens
        if limit is None:
            raise BackendFailure(
                f"{endpoint.name} does not say how many tokens {model.id} reads; set max_tokens in the settings"
            )
        self._limits[endpoint.name] = min(limit, self._config.max_tokens or limit)
        if self._vector is None:
            self._model, self._vector, self._probe_tokens = model, vector, embedded.tokens

    async def _probed(self, endpoint: Endpoint, model: str) -> wire.Embedded:
        body = wire.embedding_request(model, [PROBE], None)
        limit = wire.embedding_answer_bytes(1, _LARGEST_DIMENSIONS)
        answer = await endpoint.request("POST", "/v1/embeddings", body, limit_s=_PROBING_S, max_bytes=limit)
        wire.refuse_key(answer)
        if answer.status >= 400:
            raise BackendFailure(
                f"{endpoint.name} serves {model}, which is not an embedding model: "
                f"it answered {answer.status} to /v1/embeddings"
            )
        return wire.embeddings(answer, 1, ())
