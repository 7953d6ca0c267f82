"""What every embedding backend offers: texts to vectors, their length in tokens, a second reading of what was found."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """What an index must remember of the model it was built with.

    `max_tokens` is the longest passage the model reads, its own prefix not counted. `window_tokens` is how fine the
    model wants a passage cut into windows, each with a vector of its own (0: the whole passage is its only window).
    `scheme` names how texts are prefixed and transformed, so that vectors of another scheme are never compared.
    `unrelated` and `spread` are the mean and the standard deviation of the similarity of a question and a passage that
    have nothing to do with each other: the scale on which other evidence is weighed against the vectors'.

    Two models are equal when their vectors can be compared. How much a server reads at once and what was measured of
    its vectors may differ from one start to the next, and leave an index as good as it was.
    """

    id: str
    dimensions: int
    max_tokens: int = field(compare=False, repr=False)
    window_tokens: int
    scheme: str
    unrelated: float = field(compare=False, repr=False)
    spread: float = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class PassageText:
    """A passage to embed; `windows` are ranges of `text` that each get a vector, in the context of the whole."""

    text: str
    windows: tuple[tuple[int, int], ...]


class Embedder(Protocol):
    """A source of vectors whose inner product is the similarity of a question and a window of a passage."""

    @property
    def model(self) -> EmbeddingModel:
        """The model behind the vectors."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the length of each text in the model's tokens, special tokens not counted.

        May wait for a server, so call it from a thread; raises BackendFailure.
        """
        ...

    def estimate_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return about the length of each text, together as long as they are: texts that follow each other, to be cut.

        Costs little also where a server counts; may wait for it as `count_tokens` does; raises BackendFailure.
        """
        ...

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        """Return for each passage (windows, dimensions) vectors; raises BackendFailure."""
        ...

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        """Return (n, dimensions) vectors; `instruction` is for models that take one; raises BackendFailure."""
        ...

    async def close(self) -> None:
        """Give back what the embedder holds."""
        ...


class Reranker(Protocol):
    """A model that reads a question and a text together: slower than vectors, and a better judge of a few."""

    async def rerank(self, question: str, texts: Sequence[str], timeout_s: float) -> Scores:
        """Return (n,) how well each text answers, in [0, 1]; raises BackendFailure, at the latest after the timeout."""
        ...

    async def close(self) -> None:
        """Give back what the reranker holds."""
        ...


class BackendFailure(Exception):
    """The backend could not embed; the message says which backend and why."""


class BackendUnreachable(BackendFailure):
    """No server of the backend could be reached; a little later one may be."""
