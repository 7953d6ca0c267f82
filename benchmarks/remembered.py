"""An embedded model that remembers vectors in a folder, so that a measurement run again embeds only what is new."""

import hashlib
import shelve
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from embedding_backend import EmbeddedModel, PassageText, Vectors


class RememberingModel(EmbeddedModel):
    """The embedded model; the vectors of passages are kept in `folder`, outside of the project."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self._kept = shelve.open(str(folder / self.model.scheme.replace("/", "-")))  # noqa: SIM115 - closed below

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        """Return the vectors, from memory where they are known."""
        keys = [hashlib.sha256(repr((p.text, p.windows)).encode("utf-8", "replace")).hexdigest() for p in passages]
        new = [place for place, key in enumerate(keys) if key not in self._kept]
        made = await super().embed_passages([passages[place] for place in new]) if new else []
        for place, vectors in zip(new, made, strict=True):
            self._kept[keys[place]] = vectors.astype(np.float16)
        return [np.asarray(self._kept[key], np.float32) for key in keys]

    async def close(self) -> None:
        """Close the memory too."""
        self._kept.close()
        await super().close()
