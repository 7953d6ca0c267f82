"""A hosted model against a server that really listens: what is sent, what comes back, and what is refused."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedding_backend import BackendFailure, PassageText
from embedding_backend.hosted import HostedModel
from tests.embedding_backend.embedding_server import (
    DIMENSIONS,
    MODEL,
    EmbeddingServer,
    embeddings_response,
    tokenizer,
    tokens_of,
    vector_of,
)
from tests.embedding_backend.hosted_clients import connected, metric, passage

pytestmark = pytest.mark.anyio
QUERY = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:{}"


async def test_it_describes_the_model_that_is_served() -> None:
    server = EmbeddingServer()
    async with connected(server) as model:
        assert model.model.id == MODEL
        assert model.model.dimensions == DIMENSIONS
        assert model.model.max_tokens == 200 - 1 - 1
        assert model.model.window_tokens == 0
        assert MODEL in model.model.scheme
        assert "Query:{query}" in model.model.scheme
        assert abs(model.model.unrelated) < 0.5
        assert 0 < model.model.spread < 0.5
        again = await HostedModel.connect(model.config)
        await again.close()
        assert again.model == model.model
        assert (again.model.unrelated, again.model.spread) == (model.model.unrelated, model.model.spread)


async def test_a_question_is_sent_in_the_template_and_a_passage_bare() -> None:
    server = EmbeddingServer()
    async with connected(server) as model:
        vectors = await model.embed_queries(["Who pays?"])
        (embedded,) = await model.embed_passages([passage("The buyer pays.")])
        await model.embed_queries(["Who pays?"], instruction="Find the clause")
    assert server.texts == [QUERY.format("Who pays?"), "The buyer pays.", "Instruct: Find the clause\nQuery:Who pays?"]
    assert vectors.shape == (1, DIMENSIONS)
    np.testing.assert_allclose(vectors[0], vector_of(server.texts[0]), atol=1e-6)
    np.testing.assert_allclose(embedded, vector_of("The buyer pays.")[None], atol=1e-6)


@pytest.mark.parametrize(("template", "sent"), [(None, "Who pays?"), ("query: {query}", "query: Who pays?")])
async def test_another_model_gets_its_question_bare_unless_told_otherwise(template: str | None, sent: str) -> None:
    server = EmbeddingServer(model="all-MiniLM-L6-v2")
    async with connected(server, query_template=template) as model:
        await model.embed_queries(["Who pays?"])
    assert server.texts == [sent]


async def test_braces_in_an_instruction_or_a_question_are_sent_as_they_are() -> None:
    server = EmbeddingServer()
    async with connected(server) as model:
        await model.embed_queries(["what is {instruction}?"], instruction="explain {query}")
    assert server.texts == ["Instruct: explain {query}\nQuery:what is {instruction}?"]


async def test_half_a_character_is_sent_as_a_question_mark() -> None:
    server = EmbeddingServer()
    async with connected(server) as model:
        await model.embed_passages([passage("half \ud83d a character")])
    assert server.texts == ["half ? a character"]


async def test_questions_asked_at_once_share_the_requests_that_may_be_under_way() -> None:
    server = EmbeddingServer()
    async with connected(server) as model:
        questions = [f"What does clause {number} say?" for number in range(32)]
        answers = await asyncio.gather(*(model.embed_queries([question]) for question in questions))
    assert [len(request["input"]) for request in server.requests] == [16, 16]
    for question, vectors in zip(questions, answers, strict=True):
        np.testing.assert_allclose(vectors[0], vector_of(QUERY.format(question)), atol=1e-6)


async def test_requests_their_sizes_and_what_questions_waited_are_in_the_histograms() -> None:
    def counted(model: HostedModel) -> list[float]:
        metrics = model.metrics
        histograms = metrics.batch_texts, metrics.queue_seconds, metrics.query_seconds, metrics.request_seconds
        samples = [[sample for found in histogram.collect() for sample in found.samples] for histogram in histograms]
        return [sum(sample.value for sample in each if sample.name.endswith("_count")) for each in samples]

    async with connected(EmbeddingServer()) as model:
        before, texts = counted(model), metric(model, "batch_texts_sum")
        await asyncio.gather(*(model.embed_queries([f"What does clause {number} say?"]) for number in range(32)))
        assert [after - start for after, start in zip(counted(model), before, strict=True)] == [2, 32, 32, 2]
        assert metric(model, "batch_texts_sum") - texts == 32


async def test_a_lone_question_is_sent_while_others_are_under_way() -> None:
    server = EmbeddingServer()
    held, release = asyncio.Event(), asyncio.Event()

    async def hold(body: Any) -> None:
        held.set()
        await release.wait()

    async with connected(server) as model:
        server.misbehave(hold)
        first = asyncio.create_task(model.embed_queries(["first"]))
        await held.wait()
        await model.embed_queries(["second"])
        assert not first.done()
        release.set()
        await first


async def test_a_question_asked_again_costs_no_request() -> None:
    server = EmbeddingServer()
    async with connected(server) as model:
        first = await model.embed_queries(["Who pays?", "Who pays?"])
        again = await model.embed_queries(["Who pays?"])
        np.testing.assert_array_equal(first, np.concatenate((again, again)))
        assert metric(model, "cache_hits_total") == 1
    assert len(server.texts) == 1


async def test_passages_go_in_requests_of_a_bounded_size() -> None:
    server = EmbeddingServer()
    texts = [f"Passage {number} " + "word " * number for number in range(40)]
    async with connected(server, batch_tokens=100, batch_texts=5) as model:
        vectors = await model.embed_passages([passage(text) for text in texts])
    assert sorted(server.texts) == sorted(texts)
    assert max(len(request["input"]) for request in server.requests) <= 5
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(vector[0], vector_of(text), atol=1e-6)


async def test_an_empty_text_is_never_sent_and_is_like_nothing() -> None:
    server = EmbeddingServer()
    async with connected(server) as model:
        vectors = await model.embed_passages([passage("One."), passage(""), passage(" \n")])
        questions = await model.embed_queries(["", "Who?"])
    assert server.texts == ["One.", QUERY.format("Who?")]
    assert not vectors[1].any()
    assert not vectors[2].any()
    assert not questions[0].any()
    assert questions[1].any()


async def test_each_of_several_windows_has_a_vector_of_its_own() -> None:
    text = "Buyers pay. Sellers deliver."
    async with connected(EmbeddingServer()) as model:
        (vectors,) = await model.embed_passages([PassageText(text, ((0, 11), (12, 28)))])
        (none,) = await model.embed_passages([PassageText(text, ())])
    assert none.shape == (0, DIMENSIONS)
    for vector, window in zip(vectors, (text[:11], text[12:]), strict=True):
        both = vector_of(text) + vector_of(window)
        np.testing.assert_allclose(vector, both / np.linalg.norm(both), atol=1e-6)


# Long texts


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.json"
    tokenizer().save(str(path))
    return path


@pytest.fixture(params=["local", "server"])
def counting(request: pytest.FixtureRequest, tokenizer_file: Path) -> dict[str, Any]:
    return {"tokenizer": tokenizer_file} if request.param == "local" else {}


async def test_tokens_are_counted_as_the_model_does(counting: dict[str, Any]) -> None:
    async with connected(EmbeddingServer(), **counting) as model:
        counted = await asyncio.to_thread(model.count_tokens, ["", "two words", "漢字 and more", "two words"])
    assert counted == [0, 2, 4, 2]


async def test_lengths_that_the_server_told_are_remembered() -> None:
    server = EmbeddingServer()
    async with connected(server) as model:
        asked = server.calls["/tokenize"]
        await asyncio.to_thread(model.count_tokens, ["two words", "three more words"])
        await asyncio.to_thread(model.count_tokens, ["three more words", "two words"])
    assert server.calls["/tokenize"] == asked + 2


async def test_lengths_are_estimated_by_what_many_texts_count_together(counting: dict[str, Any]) -> None:
    server = EmbeddingServer()
    sentences = [f"Sentence {number} has its words, " + "and more " * (number % 7) for number in range(400)]
    async with connected(server, **counting) as model:
        counted = await asyncio.to_thread(model.count_tokens, sentences)
    async with connected(server, **counting) as model:
        asked = server.calls["/tokenize"]
        estimated = await asyncio.to_thread(model.estimate_tokens, sentences)
        assert server.calls["/tokenize"] - asked < 20
        assert await asyncio.to_thread(model.estimate_tokens, ["", "two words"]) == [0, 2]
    assert sum(estimated) == sum(counted)
    assert all(abs(one - other) <= 1 + other / 3 for one, other in zip(estimated, counted, strict=True))


async def test_an_edit_changes_only_the_estimates_near_it() -> None:
    sentences = [f"Sentence {number} has its words, " + "and more " * (number % 7) for number in range(400)]
    edited = [*sentences[:40], "Another one.", *sentences[41:]]
    async with connected(EmbeddingServer()) as model:
        before = await asyncio.to_thread(model.estimate_tokens, sentences)
        after = await asyncio.to_thread(model.estimate_tokens, edited)
    assert before[200:] == after[200:]


async def test_what_the_server_read_is_known_without_asking() -> None:
    server = EmbeddingServer()
    texts = [f"Passage {number} " + "word " * (number % 8) for number in range(40)]
    async with connected(server, batch_texts=16) as model:
        asked = server.calls["/tokenize"]
        await model.embed_passages([passage(text) for text in texts])
        estimated = await asyncio.to_thread(model.estimate_tokens, texts)
        assert server.calls["/tokenize"] == asked
        assert sum(estimated) == sum(await asyncio.to_thread(model.count_tokens, texts))


async def test_no_token_of_a_long_text_is_lost(counting: dict[str, Any]) -> None:
    server = EmbeddingServer()
    long = "".join(f"Sentence {number} has its words. 第{number}句话到此为止。\n" for number in range(100))
    async with connected(server, **counting) as model:
        before = metric(model, "tokens_in_total")
        vectors = await model.embed_passages([passage("Short."), passage(long), passage("Another.")])
        tokens_in = metric(model, "tokens_in_total") - before
        assert metric(model, "tokens_in_total") == metric(model, "tokens_embedded_total")
        assert metric(model, "splits_total") == 1
    assert tokens_in == sum(len(tokens_of(text)) for text in ("Short.", long, "Another."))
    parts = [text for text in server.texts if text not in {"Short.", "Another."}]
    assert len(parts) >= 5
    assert sorted("".join(parts)) == sorted(long)
    expected = sum(vector_of(part) * len(tokens_of(part)) for part in parts)
    np.testing.assert_allclose(vectors[1][0], expected / np.linalg.norm(expected), atol=1e-5)
    np.testing.assert_allclose(vectors[2][0], vector_of("Another."), atol=1e-6)


async def test_every_part_of_a_long_question_has_the_instruction(counting: dict[str, Any]) -> None:
    server = EmbeddingServer()
    async with connected(server, **counting) as model:
        await model.embed_queries(["why is that so? " * 100])
    assert len(server.texts) > 2
    assert all(text.startswith(QUERY.format("")) for text in server.texts)
    assert "".join(text.removeprefix(QUERY.format("")) for text in server.texts) == "why is that so? " * 100


async def test_an_instruction_that_leaves_no_room_is_refused() -> None:
    async with connected(EmbeddingServer()) as model:
        with pytest.raises(BackendFailure, match="the instruction takes"):
            await model.embed_queries(["why? " * 300], instruction="find " * 195)


async def test_a_text_that_the_server_finds_too_long_is_cut_and_the_others_stay(tokenizer_file: Path) -> None:
    server = EmbeddingServer()
    long = "word and another word, " * 20
    async with connected(server, tokenizer=tokenizer_file) as model:
        server.max_tokens = 50
        vectors = await model.embed_passages([passage("One."), passage(long), passage("Two."), passage("Three.")])
        assert metric(model, "tokens_in_total") == metric(model, "tokens_embedded_total")
        assert metric(model, "splits_total") >= 1
    np.testing.assert_allclose(vectors[2][0], vector_of("Two."), atol=1e-6)
    assert vectors[1][0] @ vector_of(long) > 0.95


async def test_a_server_that_cuts_its_inputs_is_refused(tokenizer_file: Path) -> None:
    server = EmbeddingServer()

    def truncating(body: Any) -> Any:
        return embeddings_response([vector_of(text) for text in body["input"]], 3)

    async with connected(server, tokenizer=tokenizer_file) as model:
        server.misbehave(truncating)
        with pytest.raises(BackendFailure, match=r"read 2 tokens where 7 were sent"):
            await model.embed_passages([passage("These are more than three tokens.")])


# Sizes


@pytest.mark.parametrize("matryoshka", [True, False])
@pytest.mark.parametrize("dimensions", [32, 48, DIMENSIONS])
async def test_a_resized_model_gives_vectors_of_that_size(matryoshka: bool, dimensions: int) -> None:
    server = EmbeddingServer()
    server.matryoshka = matryoshka
    async with connected(server) as model:
        small = model.resized(dimensions)
        (vectors,) = await small.embed_passages([passage("The buyer pays.")])
        questions = await small.embed_queries(["Who pays?"])
        assert small.model.dimensions == dimensions
        assert (small.model == model.model) == (dimensions == DIMENSIONS)
        await small.close()
        assert (await model.embed_queries(["Who pays?"])).shape == (1, DIMENSIONS)
    for vector, text in ((vectors[0], "The buyer pays."), (questions[0], QUERY.format("Who pays?"))):
        whole = vector_of(text)[:dimensions]
        np.testing.assert_allclose(vector, whole / np.linalg.norm(whole), atol=1e-3)


async def test_a_server_is_asked_once_for_a_size_it_does_not_give() -> None:
    server = EmbeddingServer()
    server.matryoshka = False
    async with connected(server, dimensions=32) as model:
        await model.embed_queries(["one"])
        await model.embed_queries(["two"])
    assert [request.get("dimensions") for request in server.requests] == [32, None, None]


@pytest.mark.parametrize("dimensions", [0, 31, 65])
async def test_a_size_that_the_model_does_not_have_is_refused(dimensions: int) -> None:
    async with connected(EmbeddingServer()) as model:
        with pytest.raises(BackendFailure, match="32 to 64 dimensions"):
            model.resized(dimensions)
