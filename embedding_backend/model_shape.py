"""The shape of a decoder that embeds: what its weights, its activations and its KV cache are computed from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedding_backend.embedder import BackendFailure


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What a model's config.json says; `id` is what vLLM is told to load.

    `retrieval` is the mean over the retrieval tasks of MTEB, multilingual (model card), where it is known.
    """

    id: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    is_matryoshka: bool = False
    retrieval: float | None = None

    @property
    def linear_parameters(self) -> int:
        """Parameters of the layers' matrices, which a quantisation makes smaller."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the token table, which stays as it is; an embedding model has no output head."""
        return self.vocabulary * self.hidden

    @property
    def flop_per_token(self) -> int:
        """Floating point operations of a forward pass, attention's own left out: two for each parameter used."""
        return 2 * self.linear_parameters

    def kv_bytes_per_token(self, bytes_per_value: int) -> int:
        """Return what one token holds in the KV cache: a key and a value in each layer."""
        return 2 * self.layers * self.kv_heads * self.head_dim * bytes_per_value


def _qwen3(size: str, layers: int, hidden: int, intermediate: int, heads: int, retrieval: float) -> ModelShape:
    vocabulary = 151_669 if size == "0.6B" else 151_665
    name = f"Qwen/Qwen3-Embedding-{size}"
    return ModelShape(name, layers, hidden, intermediate, heads, 8, 128, vocabulary, 32_768, True, retrieval)


# The config.json and the model card of each.
QWEN3_EMBEDDING = (
    _qwen3("0.6B", 28, 1024, 3072, 16, 64.64),
    _qwen3("4B", 36, 2560, 9728, 32, 69.60),
    _qwen3("8B", 36, 4096, 12288, 32, 70.88),
)


def model_shape(name: str) -> ModelShape:
    """Return the shape of a model that is known by name (`4B` and `Qwen3-Embedding-4B` do), or of one in a folder.

    Raises:
        BackendFailure: the name is not known, or the folder holds no model that can be computed.
    """
    for shape in QWEN3_EMBEDDING:
        if name.lower() in {shape.id.lower(), shape.id.lower().removeprefix("qwen/"), shape.id.lower().rsplit("-")[-1]}:
            return shape
    if not Path(name).is_dir():
        known = ", ".join(shape.id for shape in QWEN3_EMBEDDING)
        raise BackendFailure(
            f"The shape of {name} is not known. Known are {known}; give the model's folder for another."
        )
    try:
        config = json.loads((Path(name) / "config.json").read_text(encoding="utf-8"))
        return _from_config(name, config)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"config.json lacks {error}" if isinstance(error, KeyError) else str(error)
        raise BackendFailure(f"{name} holds no decoder whose memory can be computed: {reason}") from error


def _from_config(name: str, config: Mapping[str, Any]) -> ModelShape:
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    return ModelShape(
        name,
        layers=int(config["num_hidden_layers"]),
        hidden=hidden,
        intermediate=int(config["intermediate_size"]),
        heads=heads,
        kv_heads=int(config["num_key_value_heads"]),
        head_dim=int(config.get("head_dim") or hidden // heads),
        vocabulary=int(config["vocab_size"]),
        context=int(config["max_position_embeddings"]),
        is_matryoshka=config.get("model_type") == "qwen3",
    )
