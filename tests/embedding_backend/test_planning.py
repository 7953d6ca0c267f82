"""Plans: the arithmetic is the models' own, what is promised to fit fits, and advice that is followed helps."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_backend.cards import Card
from embedding_backend.embedder import BackendFailure
from embedding_backend.model_shape import QWEN3_EMBEDDING, model_shape
from embedding_backend.planning import DoesNotFit, Plan, plan

GIB = 1 << 30
SIZES = [model.id for model in QWEN3_EMBEDDING]
# Parameters as the model cards state them, and the operations of a forward pass.
PUBLISHED = {"0.6B": (0.596e9, 0.88e9), "4B": (4.02e9, 7.27e9), "8B": (7.57e9, 13.89e9)}


def cards(gib: float, count: int = 1, **properties: float) -> list[Card]:
    return [Card("a card", int(gib * GIB), **properties)] * count  # type: ignore[arg-type]


def option(made: Plan, name: str) -> str | None:
    command = made.command()
    return command[command.index(name) + 1] if name in command else None


@pytest.mark.parametrize("size", PUBLISHED)
def test_the_shapes_multiply_out_to_the_published_parameters(size: str) -> None:
    shape = model_shape(size)
    parameters, operations = PUBLISHED[size]
    assert shape.linear_parameters + shape.embedding_parameters == pytest.approx(parameters, rel=0.01)
    assert shape.flop_per_token == pytest.approx(operations, rel=0.01)


def test_a_long_input_to_4b_takes_four_and_a_half_gib_of_kv_cache() -> None:
    assert model_shape("4B").kv_bytes_per_token(2) * 32_768 == 4.5 * GIB


@pytest.mark.parametrize(
    ("gib", "size", "precision", "context"),
    [
        (6, "0.6B", "bfloat16", 16_384),
        (8, "4B", "fp8 weights", 8_192),
        (12, "4B", "bfloat16", 8_192),
        (16, "4B", "bfloat16", 32_768),
        (24, "4B", "bfloat16", 32_768),
        (48, "8B", "bfloat16", 32_768),
        (80, "8B", "bfloat16", 32_768),
        (141, "8B", "bfloat16", 32_768),
    ],
)
def test_each_usual_card_gets_a_plan(gib: int, size: str, precision: str, context: int) -> None:
    made = plan(cards(gib))
    assert (made.model.id, made.precision.name, made.context) == (f"Qwen/Qwen3-Embedding-{size}", precision, context)
    assert option(made, "--max-model-len") == str(context)
    assert option(made, "--quantization") == ("fp8" if precision.startswith("fp8") else None)


@given(gib=st.floats(3.5, 200), count=st.integers(1, 9), used=st.floats(0, 0.5))
def test_a_plan_divides_the_whole_card_and_holds_one_input_of_full_length(gib: float, count: int, used: float) -> None:
    total = int(gib * GIB)
    try:
        made = plan([Card("a card", total, int(total * used))] * count)
    except DoesNotFit:
        return
    memory = made.memory
    parts = memory.kept_free + memory.weights + memory.activations + memory.runtime + memory.kv_cache
    assert parts == memory.total == total
    assert memory.kv_tokens >= made.context
    assert made.utilisation <= 1 - used
    assert made.tensor_parallel * made.data_parallel <= count


@given(smaller=st.floats(4, 200), more=st.floats(0, 50))
def test_a_larger_card_never_gets_a_smaller_model(smaller: float, more: float) -> None:
    first, second = plan(cards(smaller)), plan(cards(smaller + more))
    assert SIZES.index(second.model.id) >= SIZES.index(first.model.id)


@pytest.mark.parametrize("page", ["choosing-a-model.md", "choosing-a-model.zh.md"])
def test_the_docs_say_what_the_plan_says(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text("utf-8")
    rows = re.findall(r"^\| (\d+) GiB \| (\S+) \| ([^|]+) \| (\S+) \| ([\d,]+) ", text, re.MULTILINE)
    assert len(rows) == 8
    for gib, model, precision, context, tokens in rows:
        made = plan(cards(int(gib)))
        assert made.model.id == f"Qwen/{model}"
        assert (made.precision.name, f"{made.context:,}", f"{made.memory.kv_tokens:,}") == (precision, context, tokens)


def test_several_cards_hold_a_copy_each_while_one_can_hold_the_model() -> None:
    made = plan(cards(12, 2))
    assert (made.tensor_parallel, made.data_parallel) == (1, 2)
    assert option(made, "--data-parallel-size") == "2"
    assert option(made, "--tensor-parallel-size") is None


def test_a_model_is_split_over_cards_only_when_none_holds_it() -> None:
    made = plan(cards(12, 4), model_shape("8B"), 32_768)
    assert (made.tensor_parallel, made.data_parallel) == (2, 2)
    assert any("one card cannot hold" in reason for reason in made.reasons)


def test_a_longer_context_is_paid_for_with_precision() -> None:
    made = plan(cards(12), model_shape("4B"), 32_768)
    assert made.precision.name == "fp8 weights"


def test_what_other_programs_hold_is_left_to_them() -> None:
    made = plan(cards(24, used_bytes=4 * GIB))
    assert made.utilisation == 0.81
    assert option(made, "--gpu-memory-utilization") == "0.81"
    assert any("4.0 GiB" in reason for reason in made.reasons)


def test_a_card_without_bfloat16_gets_float32_since_float16_overflows() -> None:
    made = plan(cards(16, compute_capability=7.5))
    assert option(made, "--dtype") == "float32"


@pytest.mark.parametrize("gib", [4, 8])
def test_following_the_advice_of_a_plan_that_does_not_fit_makes_it_fit(gib: int) -> None:
    with pytest.raises(DoesNotFit) as refused:
        plan(cards(gib), model_shape("8B"), 32_768)
    advice = str(refused.value)
    needed = re.search(r"a card of ([\d.]+) GiB", advice)
    assert needed
    assert plan(cards(float(needed[1]) + 0.05), model_shape("8B"), 32_768).context == 32_768
    count = re.search(r"(\d) such cards", advice)
    assert count
    assert plan(cards(gib, int(count[1])), model_shape("8B"), 32_768).tensor_parallel == int(count[1])


def test_a_context_beyond_the_model_is_refused() -> None:
    with pytest.raises(DoesNotFit, match="at most 32,768"):
        plan(cards(80), model_shape("4B"), 40_000)


def test_a_model_in_a_folder_is_computed_from_its_configuration(tmp_path: Path) -> None:
    config = {
        "model_type": "qwen3",
        "hidden_size": 1024,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 3072,
        "vocab_size": 151_669,
        "max_position_embeddings": 32_768,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert model_shape(str(tmp_path)).linear_parameters == model_shape("0.6B").linear_parameters
    assert plan(cards(8), model_shape(str(tmp_path))).command()[2] == str(tmp_path)


@pytest.mark.parametrize("content", ["{}", "[]", "no json"])
def test_a_folder_without_a_decoder_says_what_is_missing(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(BackendFailure, match="holds no decoder"):
        model_shape(str(tmp_path))


def test_an_unknown_name_says_which_are_known() -> None:
    with pytest.raises(BackendFailure, match="Qwen3-Embedding-4B"):
        model_shape("Qwen3-Embedding-5B")
