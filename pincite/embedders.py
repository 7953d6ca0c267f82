"""The embedding models of this process: which one a knowledge base asks for, and which one an index was built with."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol

from embedding_backend import BackendFailure, BackendUnreachable, Embedder, EmbeddingModel
from pincite.connection import Connection
from pincite.errors import BackendError, IndexMismatch, InvalidSettings
from pincite.settings import KnowledgeBaseSettings

NO_SERVER = (
    "embedding_model is “hosted”, but no embedding server is configured; set PINCITE_EMBEDDING_URL and restart, "
    "or set embedding_model=embedded"
)


BETWEEN_ATTEMPTS_S = 1.0
SHORTEST_ATTEMPT_S = 5.0

log = logging.getLogger(__name__)


class HostedEmbedder(Embedder, Protocol):
    """An embedder behind a server, whose vectors can be had with fewer dimensions."""

    def resized(self, dimensions: int) -> Embedder:
        """Return the same model with this many dimensions, over the same connections."""
        ...

    @property
    def available(self) -> int:
        """How many servers take requests now."""
        ...


ConnectEmbedder = Callable[[], Coroutine[Any, Any, HostedEmbedder]]


class Embedders:
    """The embedded model and, where there is a server to `connect` to, its hosted model."""

    def __init__(self, embedded: Embedder, connect: ConnectEmbedder | None = None) -> None:
        self._embedded = embedded
        self._connection = Connection(connect) if connect is not None else None
        self._resized: dict[int, Embedder] = {}

    @property
    def default(self) -> Literal["embedded", "hosted"]:
        """The model that a new knowledge base takes."""
        return "embedded" if self._connection is None else "hosted"

    async def wanted(self, settings: KnowledgeBaseSettings) -> Embedder:
        """Return the model that a knowledge base's settings ask for.

        Raises:
            InvalidSettings: no server is configured, or its model has fewer dimensions.
            BackendError: the server does not answer.
        """
        if settings.embedding_model == "embedded":
            return self._embedded
        hosted = await self._hosted()
        if hosted is None:
            raise InvalidSettings(NO_SERVER)
        if settings.dimensions is not None and settings.dimensions > hosted.model.dimensions:
            raise InvalidSettings(
                f"dimensions is {settings.dimensions}, more than the {hosted.model.dimensions} of {hosted.model.id}; "
                "choose fewer, or none for all"
            )
        return self._with_dimensions(hosted, settings.dimensions or hosted.model.dimensions)

    async def of(self, built_with: EmbeddingModel) -> Embedder:
        """Return the model that an index was built with.

        Raises:
            IndexMismatch: it is none of the configured ones.
            BackendError: it may be the hosted one, and its server does not answer.
        """
        available = [self._embedded]
        if built_with.id != self._embedded.model.id and (hosted := await self._hosted()) is not None:
            of_its_size = built_with.id == hosted.model.id and built_with.dimensions < hosted.model.dimensions
            available.append(self._with_dimensions(hosted, built_with.dimensions) if of_its_size else hosted)
        for embedder in available:
            if embedder.model == built_with:
                return embedder
        there_is = " or ".join(_named(embedder.model) for embedder in available)
        another = ", prefixed otherwise," if _named(built_with) in there_is else ""
        raise IndexMismatch(
            f"the index was built with {_named(built_with)}{another} and cannot be searched with {there_is}; serve "
            "that model again, or let the documents be indexed anew: adding to the knowledge base or a restart does it"
        )

    async def wait(self, seconds: float) -> None:
        """Wait until the server, if there is one, answers.

        Raises:
            BackendError: it does not, or not as it should; the message says why.
        """
        if self._connection is None:
            return
        now = asyncio.get_running_loop().time
        deadline = now() + seconds
        problem = "it does not answer"
        while True:
            try:
                async with asyncio.timeout(max(deadline - now(), SHORTEST_ATTEMPT_S)):
                    await self._connection.get()
                return
            except BackendUnreachable as failure:
                if problem != str(failure):
                    problem = str(failure)
                    log.info("waiting up to %g s for the embedding server: %s", seconds, problem)
            except BackendFailure as failure:  # such as a wrong key: waiting would not help
                raise BackendError(f"the embedding server cannot be used: {failure}") from failure
            except TimeoutError:
                pass
            if now() + BETWEEN_ATTEMPTS_S >= deadline:
                raise BackendError(
                    f"the embedding server cannot be used: {problem}; waited {seconds:g} s (PINCITE_EMBEDDING_WAIT_S)"
                )
            await asyncio.sleep(BETWEEN_ATTEMPTS_S)

    @property
    def available(self) -> bool:
        """Whether the hosted model was connected to and a server of it takes requests now."""
        hosted = self._connection.made if self._connection is not None else None
        return hosted is not None and hosted.available > 0

    async def close(self) -> None:
        """Close the connection to the server; the embedded model belongs to someone else."""
        for view in self._resized.values():
            await view.close()
        if self._connection is not None:
            await self._connection.close()

    async def _hosted(self) -> HostedEmbedder | None:
        if self._connection is None:
            return None
        try:
            return await self._connection.get()
        except BackendFailure as failure:
            raise BackendError(str(failure)) from failure

    def _with_dimensions(self, hosted: HostedEmbedder, dimensions: int) -> Embedder:
        if dimensions == hosted.model.dimensions:
            return hosted
        if dimensions not in self._resized:
            self._resized[dimensions] = hosted.resized(dimensions)
        return self._resized[dimensions]


def _named(model: EmbeddingModel) -> str:
    return f"{model.id} ({model.dimensions} dimensions)"
