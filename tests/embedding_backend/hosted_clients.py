"""Connected clients of a test's server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from embedding_backend import PassageText
from embedding_backend.hosted import HostedConfig, HostedModel
from tests.embedding_backend.embedding_server import EmbeddingServer
from tests.serving import served


@asynccontextmanager
async def connected(server: EmbeddingServer, **config: Any) -> AsyncIterator[HostedModel]:
    """Serve, connect, and forget what was asked while connecting."""
    async with served(server.app) as address:
        model = await HostedModel.connect(HostedConfig(endpoints=(address,), **config))
        server.misbehave()
        try:
            yield model
        finally:
            server.released.set()
            await model.close()


def passage(text: str) -> PassageText:
    """Return a passage that is its only window."""
    return PassageText(text, ((0, len(text)),))


def metric(model: HostedModel, name: str, **labels: str) -> float:
    """Return a meter of the client, by its exposed name; 0 where nothing was counted yet."""
    return model.metrics.registry.get_sample_value(f"pincite_embed_{name}", labels) or 0.0
