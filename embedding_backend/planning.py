"""Which model, precision and context fit some graphics cards, and the command that serves them: pure arithmetic.

The memory of one card is divided as vLLM does it: a share (`utilisation`) is vLLM's; of it the weights, the activations
of the largest batch and the runtime are taken first, and what is left is the KV cache, which must hold at least one
input of full length. Nothing here was measured on a GPU; the figures are the models' shapes multiplied out.
"""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from embedding_backend.cards import Card
from embedding_backend.embedder import BackendFailure
from embedding_backend.model_shape import QWEN3_EMBEDDING, ModelShape

GIB = 1 << 30

# vLLM's own default share. Never the whole card: the driver, a desktop and other programs hold some.
_UTILISATION = 0.90
# The CUDA context, the libraries' workspaces and the CUDA graphs. An allowance, not a measurement.
_RUNTIME_BYTES = GIB
# Tokens calculated at once. More makes the activations larger, and no card faster that is busy already.
_BATCH_TOKENS = 8192
# From the largest to the smallest that is worth it: a passage has at most 2,048 tokens, and one vector of a much longer
# text says little (PosIR, arXiv 2601.08363).
_CONTEXTS = (32_768, 16_384, 8_192)
_PASSAGE_TOKENS = 512
_BFLOAT16_FROM = 8.0
_TENSOR_PARALLEL = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Precision:
    """How many bytes a weight takes, and what vLLM is told for it."""

    name: str
    linear_bytes: int
    value_bytes: int
    flags: tuple[str, ...]


BFLOAT16 = Precision("bfloat16", 2, 2, ("--dtype", "bfloat16"))
# Quantised while it loads, from the same checkpoint. Cards before Ada (8.9) only hold it so, and calculate in bfloat16.
FP8 = Precision("fp8 weights", 1, 2, ("--dtype", "bfloat16", "--quantization", "fp8"))
# float16 is no way out on old cards: Qwen3-Embedding overflows in it (QwenLM/Qwen3-Embedding#164).
FLOAT32 = Precision("float32", 4, 4, ("--dtype", "float32"))

# What is tried, best first. 8B gains 1.3 points over 4B at half the speed, so it is for cards that it fills by less
# than a third. fp8 comes after the same model in bfloat16 and before a smaller one, which costs five points.
_QWEN3_06B, _QWEN3_4B, _QWEN3_8B = QWEN3_EMBEDDING
_LARGEST_SHARE_OF_8B = 1 / 3


@dataclass(frozen=True, slots=True)
class Memory:
    """How one card's memory is divided, in bytes; `kv_cache` is what is left over, below zero if nothing is."""

    total: int
    kept_free: int
    weights: int
    activations: int
    runtime: int
    kv_cache: int
    kv_bytes_per_token: int

    @property
    def kv_tokens(self) -> int:
        """Tokens that the KV cache holds."""
        return max(0, self.kv_cache // self.kv_bytes_per_token)


@dataclass(frozen=True, slots=True)
class Plan:
    """A model that fits, how it is laid out over the cards, and why."""

    model: ModelShape
    precision: Precision
    context: int
    tensor_parallel: int
    data_parallel: int
    utilisation: float
    memory: Memory
    reasons: tuple[str, ...]

    def command(self, host: str = "127.0.0.1", port: int = 8000) -> list[str]:
        """Return the command that serves it."""
        command = ["vllm", "serve", self.model.id, "--runner", "pooling", "--convert", "embed", *self.precision.flags]
        command += ["--max-model-len", str(self.context), "--max-num-batched-tokens", str(_BATCH_TOKENS)]
        command += ["--gpu-memory-utilization", f"{self.utilisation:.2f}"]
        if self.model.is_matryoshka:
            command += ["--hf-overrides", '{"is_matryoshka": true}']
        if self.tensor_parallel > 1:
            command += ["--tensor-parallel-size", str(self.tensor_parallel)]
        if self.data_parallel > 1:
            command += ["--data-parallel-size", str(self.data_parallel)]
        return [*command, "--host", host, "--port", str(port)]

    def shape(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "model": self.model.id,
            "precision": self.precision.name,
            "context": self.context,
            "dimensions": self.model.hidden,
            "tensor_parallel": self.tensor_parallel,
            "data_parallel": self.data_parallel,
            "gpu_memory_utilization": self.utilisation,
            "memory_of_one_card": asdict(self.memory) | {"kv_tokens": self.memory.kv_tokens},
            "flop_per_token": self.model.flop_per_token,
            "reasons": list(self.reasons),
            "command": shlex.join(self.command()),
        }


class DoesNotFit(BackendFailure):
    """No plan fits the cards; the message says what would."""


def plan(cards: Sequence[Card], model: ModelShape | None = None, context: int | None = None) -> Plan:
    """Return the best plan for the cards; `model` and `context` hold it to one.

    Raises:
        DoesNotFit: nothing fits; the message says what would.
    """
    if not cards:
        raise DoesNotFit("There is no graphics card.")
    card = min(cards, key=lambda card: card.total_bytes - card.used_bytes)
    utilisation = _utilisation(card)
    if model is not None and context is not None and context > model.context:
        raise DoesNotFit(f"{model.id} reads at most {model.context:,} tokens; --context {context} is more.")
    contexts = [context] if context else [size for size in _CONTEXTS if model is None or size <= model.context]
    if model is not None and not contexts:
        contexts = [model.context]
    models = [model] if model else [_QWEN3_8B, _QWEN3_4B, _QWEN3_06B]
    # Splitting a model over cards costs traffic between them at every layer: only for one that no card holds alone.
    splits = [size for size in _TENSOR_PARALLEL if size <= len(cards)] if model else [1]
    for candidate in models:
        for split in splits:
            for precision in _precisions(card):
                for size in contexts:
                    memory = divide(card, utilisation, candidate, precision, split)
                    if not _fits(memory, size, candidate, split):
                        continue
                    if model is None and candidate is _QWEN3_8B and not _has_room_to_spare(memory, precision):
                        continue
                    reasons = _reasons(cards, card, candidate, precision, size, split, memory, chosen=model is None)
                    replicas = len(cards) // split
                    return Plan(candidate, precision, size, split, replicas, utilisation, memory, reasons)
    raise DoesNotFit(_what_would_fit(cards, card, utilisation, model or _QWEN3_06B, min(contexts)))


def divide(card: Card, utilisation: float, model: ModelShape, precision: Precision, split: int) -> Memory:
    """Return how the memory of one card is divided when the model is split over `split` of them."""
    weights = (
        model.linear_parameters * precision.linear_bytes + model.embedding_parameters * precision.value_bytes
    ) // split
    activations = _activation_bytes(model, precision, split)
    share = int(card.total_bytes * utilisation)
    return Memory(
        card.total_bytes,
        card.total_bytes - share,
        weights,
        activations,
        _RUNTIME_BYTES,
        share - weights - activations - _RUNTIME_BYTES,
        model.kv_bytes_per_token(precision.value_bytes) // split,
    )


def _activation_bytes(model: ModelShape, precision: Precision, split: int) -> int:
    """Return the most that one layer holds for a full batch.

    That is in the MLP: both halves of its first product and what they make, beside the residual, the layer's input and
    its output; or in the attention: queries, keys, values and the result, beside the same.
    """
    mlp = 3 * model.intermediate // split
    attention = model.head_dim * (2 * model.heads + 2 * model.kv_heads) // split
    return _BATCH_TOKENS * precision.value_bytes * (max(mlp, attention) + 3 * model.hidden)


def _fits(memory: Memory, context: int, model: ModelShape, split: int) -> bool:
    return memory.kv_tokens >= max(context, _BATCH_TOKENS) and model.heads % split == model.kv_heads % split == 0


def _has_room_to_spare(memory: Memory, precision: Precision) -> bool:
    return precision is BFLOAT16 and memory.weights <= _LARGEST_SHARE_OF_8B * memory.total


def _utilisation(card: Card) -> float:
    """Return vLLM's share: of a card in use no more than is free, since vLLM refuses to start with less."""
    free = (card.total_bytes - card.used_bytes) / card.total_bytes
    return min(_UTILISATION, int((free - 0.02) * 100) / 100) if card.used_bytes else _UTILISATION


def _precisions(card: Card) -> tuple[Precision, ...]:
    return (BFLOAT16, FP8) if card.compute_capability >= _BFLOAT16_FROM else (FLOAT32,)


def _reasons(
    cards: Sequence[Card],
    card: Card,
    model: ModelShape,
    precision: Precision,
    context: int,
    split: int,
    memory: Memory,
    *,
    chosen: bool,
) -> tuple[str, ...]:
    reasons = []
    if chosen:
        reasons.append(_why_model(model))
    if precision is FP8:
        reasons.append("fp8 weights: in bfloat16 the weights leave no room for the KV cache.")
    elif precision is FLOAT32:
        reasons.append("float32: the card cannot calculate in bfloat16, and Qwen3-Embedding overflows in float16.")
    else:
        reasons.append("bfloat16: as the model was published; nothing is lost to quantisation.")
    reasons.append(
        f"Context {context:,}: the KV cache takes {memory.kv_bytes_per_token / 1024:.0f} KiB a token and has room for "
        f"{memory.kv_tokens:,}, that is {memory.kv_tokens // context} of the longest inputs or "
        f"{memory.kv_tokens // _PASSAGE_TOKENS:,} passages of {_PASSAGE_TOKENS} at once."
    )
    if split > 1:
        reasons.append(f"Tensor parallel over {split} cards: one card cannot hold the model.")
    if len(cards) // split > 1:
        each = "each card holds the whole model" if split == 1 else f"{split} cards hold one copy"
        reasons.append(f"Data parallel, {len(cards) // split} copies: {each}, and the copies share no work.")
    if len({one.total_bytes for one in cards}) > 1:
        reasons.append("The cards differ; the plan fits the smallest.")
    if card.used_bytes:
        reasons.append(f"Other programs hold {card.used_bytes / GIB:.1f} GiB of the card; vLLM gets a smaller share.")
    reasons.append(
        f"{model.flop_per_token / 1e9:.2f} GFLOP a token: a card that really does 100 TFLOP/s embeds at most "
        f"{1e14 / model.flop_per_token:,.0f} tokens/s. Arithmetic, not measured."
    )
    return tuple(reasons)


def _why_model(model: ModelShape) -> str:
    gains = {
        _QWEN3_8B.id: "the best of its family, and the card holds it with two thirds to spare",
        _QWEN3_4B.id: "5 points of retrieval better than 0.6B; 8B would gain 1 more at half the speed",
        _QWEN3_06B.id: "the largest of its family that fits",
    }
    return f"{model.id}: {gains[model.id]} (MTEB multilingual retrieval {model.retrieval})."


def _what_would_fit(cards: Sequence[Card], card: Card, utilisation: float, model: ModelShape, context: int) -> str:
    """Return what is missing, and each change that alone makes it fit."""
    split = max(size for size in _TENSOR_PARALLEL if size <= len(cards) and model.kv_heads % size == 0)
    smallest = _precisions(card)[-1]
    memory = divide(card, utilisation, model, smallest, split)
    needed_kv = max(context, _BATCH_TOKENS) * memory.kv_bytes_per_token
    missing = needed_kv - memory.kv_cache
    needed = (memory.weights + memory.activations + memory.runtime + needed_kv) / _UTILISATION
    over = f" over {split} cards" if split > 1 else ""
    ways = [f"a card of {needed / GIB:.1f} GiB with nothing else on it" + (" each" if split > 1 else "")]
    ways += [f"--context {size}" for size in _CONTEXTS if size < context and _fits(memory, size, model, split)][:1]
    ways += [
        f"{size} such cards, the model split over them"
        for size in _TENSOR_PARALLEL
        if size > split and _fits(divide(card, utilisation, model, smallest, size), context, model, size)
    ][:1]
    ways += [
        f"--model {other.id}"
        for other in reversed(QWEN3_EMBEDDING)
        if other.linear_parameters < model.linear_parameters
        and context <= other.context
        and _fits(divide(card, utilisation, other, smallest, 1), context, other, 1)
    ][:1]
    return (
        f"{model.id} with {context:,} tokens of context does not fit {card.total_bytes / GIB:.1f} GiB{over}, "
        f"not even in {smallest.name}: {memory.weights / GIB:.1f} GiB of weights, "
        f"{memory.activations / GIB:.1f} of activations, {memory.runtime / GIB:.1f} of runtime and "
        f"{needed_kv / GIB:.1f} of KV cache are {missing / GIB:.1f} GiB more than vLLM's share of {utilisation:.0%}. "
        f"What would fit: {'; '.join(ways)}. "
        "Without any of it the embedded model serves on the processor."
    )
