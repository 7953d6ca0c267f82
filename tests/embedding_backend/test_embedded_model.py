"""The embedded model, from the packages' real weights."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedding_backend import PassageText
from embedding_backend.embedded import e5_graph
from embedding_backend.embedded.e5 import BATCH_TOKENS, GRAPH, MAX_TOKENS, PADDING_TOKENS, batches
from embedding_backend.embedded.e5_weights import E5Weights, WeightsError
from embedding_backend.embedded.model import EmbeddedModel

FRENCH_CAPITAL = "Paris is the capital and the largest city of France."
FRENCH_CAPITAL_ZH = "巴黎是法国的首都和最大城市。"
WATERING = "Water the roses early in the morning, before the sun is high."
WATERING_ZH = "清晨太阳升高之前给玫瑰浇水。"


@pytest.fixture(scope="module")
def model() -> EmbeddedModel:
    return EmbeddedModel(threads=1)


def whole(text: str) -> PassageText:
    return PassageText(text, ((0, len(text)),))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is the capital of France?", FRENCH_CAPITAL),
        ("法国的首都是哪里？", FRENCH_CAPITAL_ZH),
        ("When should roses be watered?", WATERING),
        ("什么时候给玫瑰浇水？", WATERING_ZH),
    ],
)
def test_a_question_is_closest_to_its_answer(model: EmbeddedModel, question: str, answer: str) -> None:
    texts = [FRENCH_CAPITAL, FRENCH_CAPITAL_ZH, WATERING, WATERING_ZH]
    passages = np.concatenate(model.passages([whole(text) for text in texts]))
    similar = model.queries([question])[0] @ passages.T
    in_either_language = {texts[i] for i in np.argsort(-similar)[:2]}
    assert answer in in_either_language


def test_a_chinese_question_prefers_an_english_answer_to_chinese_text_about_something_else(
    model: EmbeddedModel,
) -> None:
    answer, other = model.passages([whole(FRENCH_CAPITAL), whole(WATERING_ZH)])
    question = model.queries(["法国的首都是哪里？"])[0]
    assert question @ answer[0] > question @ other[0]


def test_each_window_gets_a_vector_and_the_one_that_answers_is_closest(model: EmbeddedModel) -> None:
    text = f"{WATERING} {FRENCH_CAPITAL}"
    windows = ((0, len(WATERING)), (len(WATERING) + 1, len(text)))
    (vectors,) = model.passages([PassageText(text, windows)])
    assert vectors.shape == (2, model.model.dimensions)
    assert np.isfinite(vectors).all()
    similar = vectors @ model.queries(["What is the capital of France?"])[0]
    assert similar[1] > similar[0]


def test_vectors_do_not_depend_on_what_else_is_in_the_batch(model: EmbeddedModel) -> None:
    # About as long, and so read in one call.
    other = whole(WATERING)
    (alone,) = model.passages([whole(FRENCH_CAPITAL)])
    together = model.passages([other, whole(FRENCH_CAPITAL), other])[1]
    # 8-bit activations are scaled over a batch, so equal to about a hundredth, not to the last bit.
    assert float((alone @ together.T)[0, 0] / (alone @ alone.T)[0, 0]) == pytest.approx(1, abs=0.02)


@settings(deadline=None)
@given(st.lists(st.integers(2, MAX_TOKENS)))
def test_texts_of_like_length_are_read_together(lengths: list[int]) -> None:
    read = list(batches(lengths))
    assert sorted(i for batch in read for i in batch) == list(range(len(lengths)))
    for batch in read:
        tokens = len(batch) * max(lengths[i] for i in batch)
        assert tokens <= BATCH_TOKENS
        assert tokens - sum(lengths[i] for i in batch) <= PADDING_TOKENS


def test_text_beyond_what_the_model_reads_still_embeds(model: EmbeddedModel) -> None:
    text = "word " * 2000
    (vectors,) = model.passages([PassageText(text, ((0, 100), (9000, 9100)))])
    assert np.isfinite(vectors).all()


def test_tokens_are_counted_without_prefix(model: EmbeddedModel) -> None:
    assert model.count_tokens(["", "the world", "你好，世界"]) == [0, 2, 4]


def test_the_graph_in_the_repository_is_the_one_its_code_builds() -> None:
    assert GRAPH.read_bytes() == e5_graph.serialised()


def test_weights_that_were_tampered_with_are_refused(tmp_path: Path) -> None:
    forged = tmp_path / "e5-small-q4.bin"
    forged.write_bytes(b"E5S1" + bytes(1000))
    with pytest.raises(WeightsError, match="not the expected one"):
        E5Weights(forged)


async def _roundtrip(model: EmbeddedModel) -> tuple[int, int]:
    passages = await model.embed_passages([whole(WATERING)])
    queries = await model.embed_queries(["roses?"])
    return len(passages), len(queries)


def test_the_async_side_gives_the_same_shapes() -> None:
    assert asyncio.run(_roundtrip(EmbeddedModel(threads=1))) == (1, 1)
