"""The OpenAI-compatible embedding server, over the real embedded model."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette

from embedding_backend import BackendFailure, EmbeddedModel, Embedder, PassageText, Vectors
from embedding_backend.openai_api import MAX_TEXTS, create_app

pytestmark = pytest.mark.anyio

MODEL = "pincite-embedded-1"
QUESTION = "How often is the oil of the pump changed?"
PASSAGE = "Change the oil of the pump every four hundred hours of operation."
OTHER = "Every employee may take thirty days of parental leave."


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return EmbeddedModel()


@pytest.fixture
async def client(embedder: Embedder) -> AsyncIterator[httpx.AsyncClient]:
    async with talk_to(create_app(embedder)) as client:
        yield client


def talk_to(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server", timeout=60)


async def embed(client: httpx.AsyncClient, given: Any, **fields: Any) -> Vectors:
    answer = await client.post("/v1/embeddings", json={"model": MODEL, "input": given} | fields)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert [item["index"] for item in data] == list(range(len(data)))
    return np.array([item["embedding"] for item in data], np.float32)


async def test_documents_and_questions_get_the_models_own_vectors(
    client: httpx.AsyncClient, embedder: Embedder
) -> None:
    (passage,) = await embedder.embed_passages([PassageText(PASSAGE, ((0, len(PASSAGE)),))])
    question = await embedder.embed_queries([QUESTION])
    for own, given in (
        (passage, await embed(client, PASSAGE)),
        (passage, await embed(client, [PASSAGE], input_type="document")),
        (question, await embed(client, [QUESTION], input_type="query")),
    ):
        np.testing.assert_allclose(given, own / np.linalg.norm(own, axis=1, keepdims=True), atol=1e-5)


async def test_a_prefix_says_what_a_text_is_and_is_not_part_of_it(client: httpx.AsyncClient) -> None:
    mixed = await embed(client, [f"query: {QUESTION}", f"passage: {PASSAGE}", PASSAGE])
    np.testing.assert_allclose(mixed[:1], await embed(client, [QUESTION], input_type="query"), atol=1e-5)
    np.testing.assert_allclose(mixed[1], mixed[2], atol=1e-5)


async def test_where_the_kind_is_said_a_prefix_is_text(client: httpx.AsyncClient) -> None:
    said = await embed(client, [f"query: {QUESTION}", QUESTION], input_type="document")
    assert np.abs(said[0] - said[1]).max() > 1e-3


async def test_the_passage_that_answers_is_nearest(client: httpx.AsyncClient) -> None:
    question, passage, other = await embed(client, [f"query: {QUESTION}", PASSAGE, OTHER])
    assert question @ passage > question @ other


# A thousand characters, as Open WebUI cuts documents where nobody sets another size: too many tokens to read at once.
DELIVERY = "供应商应当在收到订单后三十日内交付全部货物，并承担运输过程中发生的一切费用和风险。" * 23
LONG = DELIVERY + "液压泵每运行四百小时换油。" * 6


async def test_a_text_that_is_too_long_to_read_at_once_is_read_in_parts(
    client: httpx.AsyncClient, embedder: Embedder
) -> None:
    assert embedder.count_tokens([LONG])[0] > embedder.model.max_tokens
    long, passage, delivery = await embed(client, [LONG, PASSAGE, DELIVERY])
    assert np.linalg.norm(long) == pytest.approx(1, abs=1e-5)
    assert passage @ (await embed(client, PASSAGE))[0] > 0.98  # each text has its own vector
    # What stands past the end of the first reading counts as well, in a document and in a question.
    assert passage @ long > passage @ delivery + 0.03
    (question,) = await embed(client, [LONG], input_type="query")
    assert passage @ question > passage @ (await embed(client, [DELIVERY], input_type="query"))[0] + 0.03


async def test_base64_holds_the_same_numbers(client: httpx.AsyncClient) -> None:
    body = {"model": MODEL, "input": [PASSAGE, OTHER], "encoding_format": "base64"}
    data = (await client.post("/v1/embeddings", json=body)).json()["data"]
    decoded = [np.frombuffer(base64.b64decode(item["embedding"]), "<f4") for item in data]
    np.testing.assert_array_equal(decoded, await embed(client, [PASSAGE, OTHER]))


async def test_the_tokens_are_counted_as_tokenize_counts_them(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/v1/embeddings", json={"model": MODEL, "input": [PASSAGE, "query: " + OTHER]})).json()
    counts = [
        (await client.post("/tokenize", json={"model": MODEL, "prompt": text})).json()["count"]
        for text in (PASSAGE, OTHER)
    ]
    assert answer["usage"]["prompt_tokens"] == sum(counts) > 10


async def test_the_native_size_may_be_asked_for(client: httpx.AsyncClient) -> None:
    assert (await embed(client, PASSAGE, dimensions=960, user="someone", truncate=None)).shape == (1, 960)


@pytest.mark.parametrize(
    ("body", "status", "parameter", "message"),
    [
        ({"model": "other", "input": "a"}, 404, "model", "does not exist"),
        ({"input": "a"}, 400, "model", "string"),
        ({"model": MODEL}, 400, "input", "string or a list"),
        ({"model": MODEL, "input": []}, 400, "input", "not empty"),
        ({"model": MODEL, "input": ""}, 400, "input", r"input\[0\] is empty"),
        ({"model": MODEL, "input": ["a", " \n"]}, 400, "input", r"input\[1\] is empty"),
        ({"model": MODEL, "input": "query: "}, 400, "input", r"input\[0\] is empty"),
        ({"model": MODEL, "input": ["a", 1]}, 400, "input", r"input\[1\] is not a string"),
        ({"model": MODEL, "input": [1, 2]}, 400, "input", "must be text"),
        ({"model": MODEL, "input": {"a": 1}}, 400, "input", "string or a list"),
        ({"model": MODEL, "input": ["a"] * (MAX_TEXTS + 1)}, 400, "input", "2,049"),
        ({"model": MODEL, "input": "word " * 9000}, 400, "input", "maximum context length is 8192"),
        ({"model": MODEL, "input": ["word " * 6000] * 200}, 400, "input", "parts of the 504 tokens"),
        ({"model": MODEL, "input": "a", "dimensions": 256}, 400, "dimensions", "960"),
        ({"model": MODEL, "input": "a", "encoding_format": "hex"}, 400, "encoding_format", "base64"),
        ({"model": MODEL, "input": "a", "encoding_format": ["float"]}, 400, "encoding_format", "base64"),
        ({"model": MODEL, "input": "a", "dimensions": [960]}, 400, "dimensions", "960"),
        ({"model": MODEL, "input": "a", "input_type": "poem"}, 400, "input_type", "query or document"),
        ([1], 400, None, "JSON object"),
    ],
)
async def test_bad_input_gets_an_error_object_that_says_what_is_wrong(
    client: httpx.AsyncClient, body: Any, status: int, parameter: str | None, message: str
) -> None:
    answer = await client.post("/v1/embeddings", json=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["param"] == parameter
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(error["message"])


async def test_what_is_no_json_is_refused(client: httpx.AsyncClient) -> None:
    for content in (b"{", b"\xff", b"[" * 100_000):
        answer = await client.post("/v1/embeddings", content=content)
        assert answer.status_code == 400
        assert "JSON" in answer.json()["error"]["message"]


async def test_a_body_without_an_end_is_refused(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * (1 << 20)

    assert (await client.post("/v1/embeddings", content=endless())).status_code == 413


async def test_text_in_any_script_or_none_is_embedded(client: httpx.AsyncClient) -> None:
    given = json.dumps({"model": MODEL, "input": ["保证金", "\ud800", "\x00", "🛢️"]})  # half a surrogate pair
    answer = await client.post("/v1/embeddings", content=given)
    vectors = np.array([item["embedding"] for item in answer.json()["data"]])
    assert np.isfinite(vectors).all()


async def test_with_a_key_everything_but_health_asks_for_it(embedder: Embedder) -> None:
    async with talk_to(create_app(embedder, "a key")) as client:
        assert (await client.get("/health")).status_code == 200
        body = {"model": MODEL, "input": "a"}
        for key in ("", "Bearer", "Bearer wrong", "Bearer ä"):
            headers = {b"Authorization": key.encode()}
            answer = await client.post("/v1/embeddings", json=body, headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"]["type"] == "authentication_error"
            assert (await client.get("/v1/models", headers=headers)).status_code == 401
            assert (await client.post("/tokenize", json=body, headers=headers)).status_code == 401
        headers = {b"Authorization": b"Bearer a key"}
        assert (await client.post("/v1/embeddings", json=body, headers=headers)).status_code == 200


async def test_a_backend_that_fails_is_a_503_that_may_be_tried_again(embedder: Embedder) -> None:
    class Failing(EmbeddedModel):
        async def embed_passages(self, passages: Any) -> list[Vectors]:
            raise BackendFailure("main:8000 cannot be reached")

        count_tokens = staticmethod(embedder.count_tokens)

    async with talk_to(create_app(Failing())) as client:
        answer = await client.post("/v1/embeddings", json={"model": MODEL, "input": "a"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "main:8000" in answer.json()["error"]["message"]


async def test_a_path_that_is_not_there_gets_an_error_object_too(client: httpx.AsyncClient) -> None:
    for answer, status in ((await client.get("/v2/embed"), 404), (await client.get("/v1/embeddings"), 405)):
        assert answer.status_code == status
        assert answer.json()["error"]["type"] in {"not_found_error", "invalid_request_error"}
