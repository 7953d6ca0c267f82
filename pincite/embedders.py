"""The embedding models of this process: which one a knowledge base asks for, and which one an index was built with."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol

from embedding_backend import BackendFailure, Embedder, EmbeddingModel
from pincite.errors import BackendError, IndexMismatch, InvalidSettings
from pincite.settings import KnowledgeBaseSettings

NO_SERVER = (
    "embedding_model is “hosted”, but no embedding server is configured; set PINCITE_EMBEDDING_URL and restart, "
    "or set embedding_model=embedded"
)


class HostedEmbedder(Embedder, Protocol):
    """An embedder behind a server, whose vectors can be had with fewer dimensions."""

    def resized(self, dimensions: int) -> Embedder:
        """Return the same model with this many dimensions; closing the model closes it too."""
        ...


Connect = Callable[[], Coroutine[Any, Any, HostedEmbedder]]


class Embedders:
    """The embedded model and, if there is a way to `connect` to one, the hosted model, connected to at first need."""

    def __init__(self, embedded: Embedder, connect: Connect | None = None) -> None:
        self._embedded = embedded
        self._connect = connect
        self._connecting: asyncio.Task[HostedEmbedder] | None = None
        self._resized: dict[int, Embedder] = {}

    @property
    def default(self) -> Literal["embedded", "hosted"]:
        """The model that a new knowledge base takes."""
        return "embedded" if self._connect is None else "hosted"

    async def wanted(self, settings: KnowledgeBaseSettings) -> Embedder:
        """Return the model that a knowledge base's settings ask for.

        Raises:
            InvalidSettings: no server is configured, or its model has fewer dimensions.
            BackendError: the server does not answer.
        """
        if settings.embedding_model == "embedded":
            return self._embedded
        if self._connect is None:
            raise InvalidSettings(NO_SERVER)
        hosted = await self.hosted(self._connect)
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
        if self._connect is not None and built_with.id != self._embedded.model.id:
            hosted = await self.hosted(self._connect)
            available.append(self._with_dimensions(hosted, min(built_with.dimensions, hosted.model.dimensions)))
        for embedder in available:
            if embedder.model.identity == built_with.identity:
                return embedder
        there_is = " and ".join(embedder.model.id for embedder in available)
        raise IndexMismatch(
            f"the index was built with {built_with.id} ({built_with.dimensions} dimensions, {built_with.scheme}), and "
            f"cannot be searched with {there_is}; serve that model again, or let the documents be indexed anew: adding "
            "to the knowledge base or restarting the server does it"
        )

    async def hosted(self, connect: Connect) -> HostedEmbedder:
        """Return the hosted model; who asks while a connection is being made waits for the same one."""
        connecting = self._connecting
        if connecting is None:
            connecting = self._connecting = asyncio.create_task(connect())
        try:
            return await asyncio.shield(connecting)
        except BackendFailure as failure:
            if self._connecting is connecting:  # the next one tries again
                self._connecting = None
            raise BackendError(str(failure)) from failure

    async def close(self) -> None:
        """Close the connection to the server; the embedded model belongs to someone else."""
        if self._connecting is not None:
            self._connecting.cancel()
            [connected] = await asyncio.gather(self._connecting, return_exceptions=True)
            if not isinstance(connected, BaseException):
                await connected.close()

    def _with_dimensions(self, hosted: HostedEmbedder, dimensions: int) -> Embedder:
        if dimensions == hosted.model.dimensions:
            return hosted
        if dimensions not in self._resized:
            self._resized[dimensions] = hosted.resized(dimensions)
        return self._resized[dimensions]
