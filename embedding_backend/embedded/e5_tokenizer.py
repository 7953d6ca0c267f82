"""XLM-RoBERTa's tokenizer (Conneau et al. 2020, arXiv 1911.02116), which e5 reads with, from the weights' vocabulary.

The weights carry the pieces and their scores; how a text is normalised before is one of SentencePiece's own rules. In
SentencePiece the whole of it takes a quarter of the memory that the tokenizers library needs for it, and a tenth of
the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sentencepiece import SentencePieceNormalizer, SentencePieceProcessor
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]  # made by its import

from embedding_backend.embedded.e5_weights import E5Weights

_NORMALISATION = "nmt_nfkc"
# Marks a place to fill in while the model was trained; in a text it is nothing but these letters.
_MASK = "<mask>"


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text's tokens, and for each the range of the text's characters that it stands for."""

    ids: list[int]
    spans: list[tuple[int, int]]


class E5Tokenizer:
    """Texts to tokens, without the special ones around them."""

    def __init__(self, weights: E5Weights) -> None:
        """Build the tokenizer, in about a second."""
        self._processor = SentencePieceProcessor(model_proto=_model(weights))

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of each text's tokens."""
        return [len(ids) for ids in self._encoded(texts, int)]

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Return each text's tokens."""
        return [Tokens(found["ids"], found["offsets"]) for found in self._encoded(texts, "offset_mapping")]

    def _encoded(self, texts: Sequence[str], kind: Any) -> list[Any]:
        # One by one: given a list, the library starts a thread, which takes ten times as long as reading a question.
        return [self._processor.encode(text, return_type=kind) for text in texts]


def _model(weights: E5Weights) -> bytes:
    special = {weights.bos, weights.eos, weights.pad}
    model = ModelProto()
    kinds = ModelProto.SentencePiece
    for number, (piece, score) in enumerate(weights.vocabulary()):
        kind = kinds.CONTROL if number in special or piece == _MASK else kinds.NORMAL
        model.pieces.add(piece=piece, score=score, type=kinds.UNKNOWN if number == weights.unknown else kind)
    model.trainer_spec.unk_id = weights.unknown
    model.trainer_spec.bos_id, model.trainer_spec.eos_id = weights.bos, weights.eos
    model.trainer_spec.pad_id = weights.pad
    model.normalizer_spec.ParseFromString(
        SentencePieceNormalizer(rule_name=_NORMALISATION).serialized_normalizer_spec()
    )
    serialised: bytes = model.SerializeToString()
    return serialised
