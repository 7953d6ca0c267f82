"""The client of embedding servers against a real vLLM: its vectors are the server's own, and nothing is lost."""

import numpy as np
import pytest
from tokenizers import Tokenizer

from embedding_backend import BackendFailure, PassageText, Vectors
from embedding_backend.hosted import DEFAULT_INSTRUCTION, HostedConfig, HostedModel
from tests.real.vllm.conftest import Servers, connect
from tests.real.vllm.servers import QWEN3_TOKENS

pytestmark = pytest.mark.anyio

TEXTS = [
    "Change the oil of the pump every four hundred hours of operation.",
    "Every employee may take thirty days of parental leave after one year of service.",
    "合同到期后三十日内退还保证金。",
    "Ω ≈ 3.5 kΩ\n\n| a | b |\n",
]
# Each is answered by the text in its place, in other words.
PARAPHRASES = [
    ("How often does the lubricant need replacing?", "Change the oil of the pump every four hundred hours."),
    ("How long may a new parent stay at home?", "Every employee may take thirty days of parental leave."),
    ("What must a tenant pay before moving in?", "A deposit of two months' rent is due at the beginning of the lease."),
    ("Where do I report a broken lift?", "Faults in elevators are to be notified to the caretaker."),
    ("Which animals hunt at night?", "Owls and bats look for their prey in the dark."),
]


def whole(text: str) -> PassageText:
    return PassageText(text, ((0, len(text)),))


async def passages(model: HostedModel, texts: list[str]) -> Vectors:
    return np.concatenate(await model.embed_passages([whole(text) for text in texts]))


def counted(model: HostedModel) -> list[float]:
    """Return the tokens given to the client and those it knows to have been embedded."""
    names = ("pincite_embed_tokens_in_total", "pincite_embed_tokens_embedded_total")
    return [model.metrics.registry.get_sample_value(name) or 0 for name in names]


async def test_passages_get_the_vectors_that_the_server_gives_without_us(qwen3: HostedModel, servers: Servers) -> None:
    np.testing.assert_allclose(await passages(qwen3, TEXTS), await servers.qwen3.vectors(TEXTS), atol=1e-4)


async def test_each_text_ends_with_the_end_token_whose_vector_it_gets(qwen3: HostedModel, servers: Servers) -> None:
    tokenizer = Tokenizer.from_file(str(servers.qwen3.folder / "tokenizer.json"))
    ids = tokenizer.encode(TEXTS[0], add_special_tokens=False).ids
    end = tokenizer.token_to_id("<|endoftext|>")
    assert end is not None
    without, ended = await servers.qwen3.vectors([ids, [*ids, end]])
    (vector,) = await passages(qwen3, TEXTS[:1])
    np.testing.assert_allclose(vector, ended, atol=1e-4)
    assert vector @ without < 0.9


async def test_a_question_is_sent_with_its_instruction_and_a_passage_bare(qwen3: HostedModel, servers: Servers) -> None:
    question = "保证金什么时候退还？"
    instructed = [
        f"Instruct: {DEFAULT_INSTRUCTION}\nQuery:{question}",
        f"Instruct: Find the clause of a contract\nQuery:{question}",
        question,
    ]
    default, other, bare = await servers.qwen3.vectors(instructed)
    (as_default,) = await qwen3.embed_queries([question])
    (as_other,) = await qwen3.embed_queries([question], "Find the clause of a contract")
    (as_passage,) = await passages(qwen3, [question])
    for vector, reference in ((as_default, default), (as_other, other), (as_passage, bare)):
        np.testing.assert_allclose(vector, reference, atol=1e-4)
    assert max(default @ other, default @ bare, other @ bare) < 0.999


@pytest.mark.parametrize("dimensions", [32, 100, 128])
async def test_fewer_dimensions_are_the_first_ones_normalised_again(
    qwen3: HostedModel, servers: Servers, dimensions: int
) -> None:
    native = await servers.qwen3.vectors(TEXTS)
    cut = native[:, :dimensions] / np.linalg.norm(native[:, :dimensions], axis=1, keepdims=True)
    by_server = await servers.qwen3.vectors(TEXTS, dimensions=dimensions)
    ours = await passages(qwen3.resized(dimensions), TEXTS)
    np.testing.assert_allclose(by_server, cut, atol=1e-3)
    np.testing.assert_allclose(ours, by_server, atol=1e-3)


async def test_a_server_that_refuses_fewer_dimensions_has_its_vectors_cut_here(
    minilm: HostedModel, servers: Servers
) -> None:
    assert (await servers.minilm.post("/v1/embeddings", input=TEXTS, dimensions=64)).status_code == 400
    native = await servers.minilm.vectors(TEXTS)
    cut = native[:, :64] / np.linalg.norm(native[:, :64], axis=1, keepdims=True)
    np.testing.assert_allclose(await passages(minilm.resized(64), TEXTS), cut, atol=1e-3)


@pytest.mark.parametrize("counts_here", [True, False])
async def test_a_text_too_long_for_the_model_is_read_whole_in_parts(servers: Servers, *, counts_here: bool) -> None:
    model = await connect(servers.qwen3, counts_here=counts_here)
    try:
        long = " ".join(f"Clause {number}: the deposit is {number * 7} euros; 保证金。" for number in range(60))
        assert (await servers.qwen3.post("/v1/embeddings", input=long)).status_code == 400
        (tokens,) = model.count_tokens([long])
        assert tokens > 3 * QWEN3_TOKENS
        before, read = counted(model), await servers.qwen3.tokens_read()
        vectors = await passages(model, ["short", long, "also short"])
        expected = sum(model.count_tokens(["short", long, "also short"]))
        assert [now - then for now, then in zip(counted(model), before, strict=True)] == [expected, expected]
        # The server's own count: the tokens and one end token a part, nothing lost and nothing twice.
        parts = await servers.qwen3.tokens_read() - read - expected
        assert 2 + tokens / QWEN3_TOKENS <= parts <= 2 + 2 * tokens / QWEN3_TOKENS
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(vectors[[0, 2]], await servers.qwen3.vectors(["short", "also short"]), atol=1e-4)
    finally:
        await model.close()


async def test_a_text_without_a_visible_character_is_not_sent(qwen3: HostedModel, servers: Servers) -> None:
    before = await servers.qwen3.tokens_read()
    vectors = await passages(qwen3, ["", " \n\t", "one"])
    assert await servers.qwen3.tokens_read() - before == sum(qwen3.count_tokens(["one"])) + 1
    assert not vectors[:2].any()
    assert np.linalg.norm(vectors[2]) == pytest.approx(1, abs=1e-5)


async def test_tokens_are_counted_alike_here_and_on_the_server(servers: Servers) -> None:
    for served in (servers.qwen3, servers.minilm):
        here, there = await connect(served), await connect(served, counts_here=False)
        assert here.count_tokens(TEXTS) == there.count_tokens(TEXTS)
        await here.close()
        await there.close()


async def test_a_window_of_a_passage_is_half_the_passages_and_half_its_own(qwen3: HostedModel) -> None:
    text = TEXTS[0] + " " + TEXTS[1]
    cut = len(TEXTS[0]) + 1
    (windows,) = await qwen3.embed_passages([PassageText(text, ((0, cut), (cut, len(text))))])
    passage, *own = await passages(qwen3, [text, text[:cut], text[cut:]])
    expected = np.stack([passage + window for window in own])
    np.testing.assert_allclose(windows, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-4)


async def test_a_question_finds_the_passage_that_answers_it_in_other_words(minilm: HostedModel) -> None:
    questions = await minilm.embed_queries([question for question, _ in PARAPHRASES])
    found = (questions @ (await passages(minilm, [text for _, text in PARAPHRASES])).T).argmax(axis=1)
    assert found.tolist() == list(range(len(PARAPHRASES)))


async def test_what_is_unrelated_is_measured_on_the_model_itself(minilm: HostedModel) -> None:
    questions = await minilm.embed_queries([question for question, _ in PARAPHRASES])
    similarities = questions @ (await passages(minilm, [text for _, text in PARAPHRASES])).T
    related = similarities.diagonal()
    unrelated = similarities[~np.eye(len(PARAPHRASES), dtype=bool)]
    model = minilm.model
    assert abs(unrelated.mean() - model.unrelated) < 2 * model.spread
    assert related.min() > model.unrelated + model.spread


async def test_a_model_that_the_server_does_not_have_is_named_with_those_it_has(servers: Servers) -> None:
    config = HostedConfig(endpoints=(servers.qwen3.url,), model="Qwen/Qwen3-Embedding-4B")
    with pytest.raises(BackendFailure, match=r"does not serve Qwen/Qwen3-Embedding-4B; it serves qwen3-embedding"):
        await HostedModel.connect(config)
