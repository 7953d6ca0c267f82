"""The embedded default: two small multilingual encoders that need no GPU and no download, as one vector.

e5 knows a hundred languages and finds the right paragraph of its own language; the Universal Sentence Encoder is weaker
but maps sixteen languages onto each other. Side by side in one vector, with e5's language component removed, they find
across languages what neither finds alone (docs/decisions/0001-embedded-model.md has the figures).

Each window of a passage gets a vector that is half the passage's and half its own, so that one search over windows
scores "this sentence, in this context". e5 reads a passage once; a window's own vector is the mean over the window's
tokens in that reading (late chunking, Günther et al. 2024, arXiv 2409.04701).
"""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from embedding_backend.embedded.e5 import DIMENSIONS as E5_DIMENSIONS
from embedding_backend.embedded.e5 import E5, MAX_TOKENS
from embedding_backend.embedded.e5_weights import WeightsError
from embedding_backend.embedded.languages import Languages
from embedding_backend.embedded.sentence_encoder import DIMENSIONS as USE_DIMENSIONS
from embedding_backend.embedded.sentence_encoder import SentenceEncoder
from embedding_backend.embedder import BackendFailure, EmbeddingModel, PassageText, Vectors

# Languages are told apart in this many dimensions; two that share one count as the same language.
_LANGUAGE_DIMENSIONS = 64
# A passage in the question's own language is this much more similar than an equally good one in another: its words
# look alike. The language dimensions take it back.
_OWN_LANGUAGE_BONUS = 0.07
# e5's share of the similarity; the sentence encoder is weaker within a language and stronger across.
_E5_SHARE = 2 / 3
_WINDOW_TOKENS = 80
_PREFIX_TOKENS = 8

_Result = TypeVar("_Result")


class EmbeddedModel:
    """An Embedder that runs in this process, on `threads` cores; the weights are loaded at first use."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1
        # One thread does all the work: the runtime below spreads it over the cores by itself.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed")
        self._loading = threading.Lock()

    @property
    def model(self) -> EmbeddingModel:
        """The model behind the vectors; `unrelated` and `spread` were measured over questions and passages of XQuAD."""
        return EmbeddingModel(
            id="pincite-embedded-1",
            dimensions=E5_DIMENSIONS + USE_DIMENSIONS + _LANGUAGE_DIMENSIONS,
            max_tokens=MAX_TOKENS - _PREFIX_TOKENS,
            window_tokens=_WINDOW_TOKENS,
            scheme="e5-neutral+use+language/1",
            unrelated=0.1,
            spread=0.065,
        )

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the length of each text in e5's tokens."""
        return self._e5.count_tokens(texts)

    def estimate_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the length of each text."""
        return self.count_tokens(texts)

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        """Return for each passage one vector per window."""
        return await self._run(lambda: self.passages(passages))

    async def embed_queries(self, questions: Sequence[str], instruction: str | None = None) -> Vectors:
        """Return one vector per question; the model takes no instruction."""
        return await self._run(lambda: self.queries(questions))

    async def close(self) -> None:
        """End the thread; what it is doing is finished first."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def queries(self, questions: Sequence[str]) -> Vectors:
        """Return (n, dimensions), computed in the calling thread."""
        e5 = self._e5.encode(questions)
        languages = self._languages.of(questions)
        neutral = self._languages.neutral(e5, languages, "query")
        meaning = _side_by_side(neutral, self._sentence_encoder.encode(questions))
        return np.concatenate((meaning, -_language_part(languages)), axis=1)

    def passages(self, passages: Sequence[PassageText]) -> list[Vectors]:
        """Return (windows, dimensions) for each, computed in the calling thread."""
        e5 = self._e5.encode_windows([passage.text for passage in passages], [p.windows for p in passages])
        texts = [text for p in passages for text in (p.text, *(p.text[start:stop] for start, stop in p.windows))]
        use = self._sentence_encoder.encode(texts)
        languages = self._languages.of([passage.text for passage in passages])
        vectors: list[Vectors] = []
        done = 0
        for readings, language in zip(e5, languages, strict=True):
            neutral = self._languages.neutral(readings, language[None], "passage")
            meaning = _side_by_side(neutral, use[done : done + len(readings)])
            done += len(readings)
            in_context = (meaning[:1] + meaning[1:]) / 2
            part = np.broadcast_to(_language_part(language[None]), (len(in_context), _LANGUAGE_DIMENSIONS))
            vectors.append(np.concatenate((in_context, part), axis=1))
        return vectors

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    @cached_property
    def _languages(self) -> Languages:
        return Languages()

    @cached_property
    def _sentence_encoder(self) -> SentenceEncoder:
        with self._loading:
            return SentenceEncoder()

    @cached_property
    def _e5(self) -> E5:
        with self._loading:
            try:
                return E5(self._threads)
            except WeightsError as error:
                raise BackendFailure(f"the embedded model cannot be loaded: {error}") from error


def _side_by_side(e5: Vectors, use: Vectors) -> Vectors:
    shares = np.sqrt(np.array([_E5_SHARE, 1 - _E5_SHARE], np.float32))
    return np.concatenate((e5 * shares[0], use * shares[1]), axis=1)


def _language_part(languages: npt.NDArray[np.intp]) -> Vectors:
    part = np.zeros((len(languages), _LANGUAGE_DIMENSIONS), np.float32)
    part[np.arange(len(languages)), languages % _LANGUAGE_DIMENSIONS] = np.sqrt(_OWN_LANGUAGE_BONUS)
    return part
