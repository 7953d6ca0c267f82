"""A reranker on a server: vLLM's `/v1/rerank`."""

import asyncio
from collections.abc import Sequence

import numpy as np

from embedding_backend.embedder import BackendFailure, Scores
from embedding_backend.hosted import wire
from embedding_backend.hosted.admission import served_model
from embedding_backend.hosted.config import ServerConfig
from embedding_backend.hosted.endpoint import Answer, Endpoint
from embedding_backend.hosted.metrics import RerankMetrics
from embedding_backend.hosted.pool import EndpointPool
from embedding_backend.hosted.token_counting import clean

_PROBE = ("When does the library open?", "The library opens at nine.")
_BYTES_A_TOKEN = 3
# An answer repeats each document; JSON may take six bytes for one of its characters.
_BYTES_A_CHARACTER = 6
_BYTES_AROUND = 64 * 1024


class HostedReranker:
    """A Reranker behind one or several servers; `connect` makes one, for the event loop it runs in."""

    def __init__(self, pool: EndpointPool, model: str, metrics: RerankMetrics) -> None:
        """Use `connect`."""
        self._pool = pool
        self._model = model
        self._metrics = metrics

    @classmethod
    async def connect(cls, config: ServerConfig, metrics: RerankMetrics | None = None) -> "HostedReranker":
        """Ask the servers what they serve.

        Raises:
            BackendFailure: in a sentence, why the reranker cannot be used.
        """
        metrics = metrics or RerankMetrics()
        names: list[str] = []

        async def admit(endpoint: Endpoint) -> None:
            model = await served_model(endpoint, config.model or (names[0] if names else None))
            answer = await endpoint.request("POST", "/v1/rerank", _body(model.id, _PROBE[0], _PROBE[1:]))
            wire.refuse_key(answer)
            if answer.status >= 400:
                raise BackendFailure(
                    f"{endpoint.name} serves {model.id}, which is not a reranker: "
                    f"it answered {answer.status} to /v1/rerank"
                )
            wire.scores(answer, 1)
            names.append(model.id)

        pool = EndpointPool(config, metrics, admit)
        try:
            await pool.open()
        except BaseException:
            await pool.close()
            raise
        return cls(pool, names[0], metrics)

    @property
    def model(self) -> str:
        """The reranker's name."""
        return self._model

    async def rerank(self, question: str, texts: Sequence[str], timeout_s: float) -> Scores:
        """Return (n,) how well each text answers, in [0, 1]; a text without a visible character gets 0.

        Raises:
            BackendFailure: the time was up, the server failed or refused, or its answer is none.
        """
        scores = np.zeros(len(texts), np.float32)
        filled = [index for index, text in enumerate(texts) if text.strip()]
        if not filled or not question.strip():
            return scores
        sent = [clean(texts[index]) for index in filled]
        characters = sum(map(len, sent)) + len(question) * len(sent)
        answer = await self._pool.post(
            "/v1/rerank",
            _body(self._model, clean(question), sent),
            work=characters // _BYTES_A_TOKEN,
            deadline=asyncio.get_running_loop().time() + timeout_s,
            max_bytes=_BYTES_AROUND + 1024 * len(sent) + _BYTES_A_CHARACTER * characters,
        )
        self._refuse(answer)
        scores[filled] = wire.scores(answer, len(sent))
        self._metrics.texts.observe(len(sent))
        return scores

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    def _refuse(self, answer: Answer) -> None:
        wire.refuse_key(answer)
        if wire.is_too_long(answer):
            raise BackendFailure(
                f"{answer.endpoint} cannot judge these texts: one of them and the question are longer than "
                f"{self._model} reads; give it smaller passages or start it with a longer context"
            )
        if answer.status >= 400:
            raise BackendFailure(f"{answer.endpoint} answered {answer.status} to /v1/rerank")


def _body(model: str, question: str, texts: Sequence[str]) -> bytes:
    return wire.encoded({"model": model, "query": question, "documents": list(texts)})
