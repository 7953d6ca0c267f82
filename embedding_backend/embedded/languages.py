"""Which language a text is in, and its vector without that language.

e5 vectors carry a large language component: in a mixed collection a question finds passages of its own language only.
Subtracting the mean vector of the text's language removes it. The means are constants, computed by `language_means.py`
from the translated messages of a program, a neutral parallel text.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from embedding_backend.embedder import Vectors
from embedding_backend.unit_vectors import unit

CONSTANTS = Path(__file__).with_name("languages.npz")
# More of a text than this says nothing new about its language.
_READ_CHARACTERS = 1000

Role = Literal["query", "passage"]


class Languages:
    """The languages that have a mean; any other text counts as the nearest of them."""

    def __init__(self, constants: Path = CONSTANTS) -> None:
        with np.load(constants, allow_pickle=False) as arrays:
            self.names: tuple[str, ...] = tuple(arrays["names"].tolist())
            self._means = {role: arrays[role].astype(np.float32) for role in ("query", "passage")}

    def of(self, texts: Sequence[str]) -> npt.NDArray[np.intp]:
        """Return for each text the index of its language in `names`."""
        return np.array([self.names.index(self._identifier.classify(t[:_READ_CHARACTERS])[0]) for t in texts], np.intp)

    def neutral(self, vectors: Vectors, languages: npt.NDArray[np.intp], role: Role) -> Vectors:
        """Return unit vectors (n, 384) of e5 without the mean of their language, at length one again."""
        return unit(vectors - self._means[role][languages])

    @cached_property
    def _identifier(self) -> LanguageIdentifier:
        identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
        identifier.set_languages(list(self.names))
        return identifier
