"""What makes two models the same."""

from dataclasses import replace

from embedding_backend import EmbeddingModel

MODEL = EmbeddingModel("a", 64, max_tokens=512, window_tokens=0, scheme="bare | 64", unrelated=0.1, spread=0.05)


def test_models_whose_vectors_can_be_compared_are_equal() -> None:
    restarted = replace(MODEL, max_tokens=8192, unrelated=0.10001, spread=0.04999)
    assert restarted == MODEL
    assert repr(restarted) == repr(MODEL)


def test_models_whose_vectors_cannot_be_compared_differ() -> None:
    others = [replace(MODEL, id="b"), replace(MODEL, dimensions=32), replace(MODEL, scheme="other | 64")]
    assert all(other != MODEL and repr(other) != repr(MODEL) for other in others)
