"""XLM-RoBERTa's tokens, from the packages' real vocabulary."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedding_backend.embedded.e5_tokenizer import E5Tokenizer
from embedding_backend.embedded.e5_weights import E5Weights


@pytest.fixture(scope="module")
def weights() -> E5Weights:
    return E5Weights()


@pytest.fixture(scope="module")
def tokenizer(weights: E5Weights) -> E5Tokenizer:
    return E5Tokenizer(weights)


def test_a_text_has_the_ids_that_the_model_was_trained_with(tokenizer: E5Tokenizer) -> None:
    # As published with xlm-roberta-base, special tokens left out.
    (tokens,) = tokenizer.encode(["Hello world"])
    assert tokens.ids == [35378, 8999]
    assert tokens.spans == [(0, 5), (5, 11)]


def test_a_token_s_range_is_of_the_text_as_it_was_before_it_was_normalised(
    tokenizer: E5Tokenizer, weights: E5Weights
) -> None:
    text = "\ufeff甲方  ﬁne print"
    pieces = [piece for piece, _ in weights.vocabulary()]
    (tokens,) = tokenizer.encode([text])
    read = {
        text[start:end].strip(): pieces[token].strip("▁")
        for token, (start, end) in zip(tokens.ids, tokens.spans, strict=True)
    }
    assert read["ﬁne"] == "fine"
    assert read["print"] == "print"


@pytest.mark.parametrize("text", ["<s>", "</s>", "<pad>", "<mask>", "<unk>"])
def test_a_document_cannot_write_special_tokens(tokenizer: E5Tokenizer, weights: E5Weights, text: str) -> None:
    special = {number for number, (piece, _) in enumerate(weights.vocabulary()) if piece == text}
    assert special
    (tokens,) = tokenizer.encode([f"before {text} after"])
    assert special.isdisjoint(tokens.ids)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60), max_size=5))
def test_every_text_is_counted_as_it_is_read_and_its_ranges_lie_in_it(tokenizer: E5Tokenizer, texts: list[str]) -> None:
    encoded = tokenizer.encode(texts)
    assert tokenizer.count(texts) == [len(tokens.ids) for tokens in encoded]
    for text, tokens in zip(texts, encoded, strict=True):
        assert len(tokens.ids) == len(tokens.spans)
        ends = [end for _, end in tokens.spans]
        assert ends == sorted(ends)
        assert all(0 <= start <= end <= len(text) for start, end in tokens.spans)
