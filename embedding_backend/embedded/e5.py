"""multilingual-e5-small (Wang et al. 2024, arXiv 2402.05672) on ONNX Runtime, 8-bit, from weights inside a package."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

# ONNX Runtime reports its use to its makers unless it is told not to before it is loaded. Nothing leaves this machine.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from embedding_backend.embedded.e5_tokenizer import E5Tokenizer
from embedding_backend.embedded.e5_weights import BLOCK, E5Weights, Float32, dequantise
from embedding_backend.unit_vectors import unit

MAX_TOKENS = 512
DIMENSIONS = 384
# The model was trained with these in front; without them its vectors mean something else (model card).
QUERY_PREFIX = "query: "
PASSAGE_PREFIX = "passage: "
# The encoder's graph, without weights; built by `e5_graph.py`.
GRAPH = Path(__file__).with_name("e5.onnx")
# Tokens in one call of the session, padding included: larger batches gain nothing on a CPU and cost memory.
BATCH_TOKENS = 2048
# Padding in one call: reading so many tokens takes longer than another call does.
PADDING_TOKENS = 16


Windows = tuple[tuple[int, int], ...]


class E5:
    """Texts to unit vectors of 384 numbers; loading takes about a second."""

    def __init__(self, threads: int) -> None:
        """Load the weights; raises WeightsError."""
        weights = E5Weights()
        self._tokenizer = E5Tokenizer(weights)
        self._bos, self._eos, self._pad = weights.bos, weights.eos, weights.pad
        self._words = weights.blocks("emb.word").reshape(weights.sizes.vocabulary, DIMENSIONS // BLOCK, -1)
        self._positions = weights.tensor("emb.pos").reshape(-1, DIMENSIONS) + weights.tensor("emb.type")[:DIMENSIONS]
        self._scale, self._shift = weights.tensor("emb.ln.w").copy(), weights.tensor("emb.ln.b").copy()
        self._session = _session(weights, threads)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return each text's length in tokens, without prefix and special tokens."""
        return self._tokenizer.count(texts)

    def encode(self, texts: Sequence[str], prefix: str = QUERY_PREFIX) -> Float32:
        """Return (n, 384) unit vectors; what is past 512 tokens, prefix included, is not read."""
        return np.concatenate(self._read([prefix + text for text in texts], [()] * len(texts)))

    def encode_windows(self, texts: Sequence[str], windows: Sequence[Windows]) -> list[Float32]:
        """Return for each passage (1 + windows, 384) unit vectors: of the whole, then of each range of its text."""
        skip = len(PASSAGE_PREFIX)
        shifted = [tuple((start + skip, stop + skip) for start, stop in ranges) for ranges in windows]
        return self._read([PASSAGE_PREFIX + text for text in texts], shifted)

    def _read(self, texts: list[str], windows: Sequence[Windows]) -> list[Float32]:
        tokens = self._tokenizer.encode(texts)
        ids = [[self._bos, *text.ids[: MAX_TOKENS - 2], self._eos] for text in tokens]
        vectors: list[Float32] = [np.empty((0, DIMENSIONS), np.float32)] * len(ids)
        for batch in batches([len(row) for row in ids]):
            for i, states in zip(batch, self._encode_batch([ids[i] for i in batch]), strict=True):
                whole = states[: len(ids[i])]
                parts = [whole.mean(axis=0)]
                if windows[i]:
                    spans = np.array(tokens[i].spans[: MAX_TOKENS - 2])
                    readings = whole[1:-1]
                    for start, stop in windows[i]:
                        inside = readings[(spans[:, 0] < stop) & (spans[:, 1] > start)]
                        # A window past what the model reads has only its passage's meaning.
                        parts.append(inside.mean(axis=0) if len(inside) else parts[0])
                vectors[i] = unit(np.stack(parts))
        return vectors

    def _encode_batch(self, rows: list[list[int]]) -> Float32:
        length = max(len(row) for row in rows)
        ids = np.full((len(rows), length), self._pad, np.int64)
        mask = np.zeros((len(rows), length), np.int32)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        x = dequantise(self._words[ids]).reshape(len(rows), length, DIMENSIONS)
        x += self._positions[:length]
        x -= x.mean(axis=-1, keepdims=True)
        x /= np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + 1e-12)
        x *= self._scale
        x += self._shift
        (y,) = self._session.run(None, {"x": x, "mask": mask})
        states: Float32 = y
        return states


def batches(lengths: list[int]) -> Iterator[list[int]]:
    """Yield the texts' indices, longest first, so that each batch is padded little and bounded in size."""
    batch: list[int] = []
    padding = 0
    for i in np.argsort(lengths)[::-1].tolist():
        longest = lengths[batch[0]] if batch else lengths[i]
        padding += longest - lengths[i]
        if padding > PADDING_TOKENS or (len(batch) + 1) * longest > BATCH_TOKENS:
            yield batch
            batch, padding = [], 0
        batch.append(i)
    if batch:
        yield batch


def _session(weights: E5Weights, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Waiting threads must not burn the cores that parsing and the index need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    tensors = dict(_tensors(weights))
    values = [ort.OrtValue.ortvalue_from_numpy(tensor) for tensor in tensors.values()]
    options.add_external_initializers(list(tensors), values)
    return ort.InferenceSession(GRAPH.read_bytes(), options, providers=["CPUExecutionProvider"])


def _tensors(weights: E5Weights) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
    sizes = weights.sizes
    for layer in range(sizes.layers):
        p = f"l{layer}"
        for name in ("q", "k", "v", "ao", "fi", "fo"):
            inputs = sizes.feed_forward if name == "fo" else sizes.hidden
            matrix = weights.tensor(f"{p}.{name}.w").reshape(-1, inputs).T
            scales = np.abs(matrix).max(axis=0) / 127
            yield f"{p}.{name}.w", np.ascontiguousarray(np.rint(matrix / scales).astype(np.int8))
            yield f"{p}.{name}.s", scales.astype(np.float32)
            yield f"{p}.{name}.b", weights.tensor(f"{p}.{name}.b").copy()
        for name in ("aln", "oln"):
            for part in ("w", "b"):
                yield f"{p}.{name}.{part}", weights.tensor(f"{p}.{name}.{part}").copy()
