"""Everything an embedding server can do wrong, and the sentence that says so."""

import asyncio
import socket
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr, ValidationError
from starlette.responses import JSONResponse, Response

from embedding_backend import BackendFailure
from embedding_backend.hosted import HostedConfig, HostedModel
from tests.embedding_backend.embedding_server import (
    DIMENSIONS,
    MODEL,
    EmbeddingServer,
    embeddings_response,
    vector_of,
)
from tests.embedding_backend.hosted_clients import connected, metric, passage
from tests.serving import served

pytestmark = pytest.mark.anyio
GOOD = vector_of("good")
SECRET = "sk-not-to-be-seen-anywhere"


def with_vector(bad: Any) -> Response:
    return embeddings_response([GOOD, np.asarray(bad), GOOD], 3)


def reordered() -> Response:
    data = [{"index": index, "embedding": GOOD.tolist()} for index in (0, 2, 1)]
    return JSONResponse({"data": data, "usage": {"prompt_tokens": 3}})


def unreadable(value: Any) -> Response:
    data = [{"index": index, "embedding": value if index == 1 else GOOD.tolist()} for index in range(3)]
    return JSONResponse({"data": data})


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (with_vector(GOOD * np.nan), r"numbers that are none .* for input 2 of 3 \(9 characters\)"),
        (with_vector(GOOD * np.inf), r"numbers that are none .* for input 2 of 3 \(9 characters\)"),
        (with_vector(GOOD[:50]), r"a vector of 50 numbers instead of 64 for input 2 of 3 \(9 characters\)"),
        (with_vector(GOOD * 0), r"a vector of zeros for input 2 of 3"),
        (unreadable("%%%"), r"a vector that cannot be read for input 2 of 3"),
        (unreadable("AAAA"), r"a vector that cannot be read for input 2 of 3"),
        (unreadable(None), r"a vector that cannot be read for input 2 of 3"),
        (unreadable([1.0, [2.0]]), r"a vector that cannot be read for input 2 of 3"),
        (unreadable({"a": 1}), r"a vector that cannot be read for input 2 of 3"),
        (unreadable([1e300] * DIMENSIONS), r"for input 2 of 3"),
        (embeddings_response([GOOD] * 2, 3), "2 vectors to 3 texts"),
        (embeddings_response([GOOD] * 4, 3), "4 vectors to 3 texts"),
        (reordered(), "wrong index at place 2 of 3"),
        (Response("<html>"), "not JSON"),
        (Response(b"\xff\xfe"), "not JSON"),
        (Response("[]"), "not an object"),
        (JSONResponse({"data": [1, 2, 3]}), "no list of vectors"),
        (JSONResponse({"error": "no"}), "no list of vectors"),
        (Response("x" * 300_000), "more than"),
        (JSONResponse({"message": "input: private words"}, 404), "answered 404; check that it still serves"),
        (Response(status_code=403), "refused the API key"),
    ],
)
async def test_a_wrong_answer_is_refused_by_name(answer: Response, problem: str) -> None:
    server = EmbeddingServer()
    async with connected(server) as model:
        server.misbehave(answer)
        with pytest.raises(BackendFailure, match=problem) as caught:
            await model.embed_passages([passage("private 1"), passage("private 2"), passage("private 3")])
        assert "private" not in str(caught.value)
        assert str(caught.value).startswith("127.0.0.1:")
        assert len(server.requests) == 1
        await model.embed_passages([passage("the next one is answered")])


async def test_one_bad_vector_fails_only_its_question() -> None:
    server = EmbeddingServer()

    def second_is_nan(body: Any) -> Response:
        vectors = [vector_of(text) * (np.nan if "second" in text else 1) for text in body["input"]]
        return embeddings_response(vectors, 100)

    async with connected(server) as model:
        server.misbehave(second_is_nan)
        asked = (model.embed_queries([question]) for question in ("first", "second", "third"))
        first, second, third = await asyncio.gather(*asked, return_exceptions=True)
    assert len(server.requests) == 1
    assert isinstance(first, np.ndarray)
    assert isinstance(second, BackendFailure)
    assert isinstance(third, np.ndarray)


async def test_one_refused_text_fails_only_its_question() -> None:
    server = EmbeddingServer()

    def without_second(body: Any) -> Response | None:
        return Response(status_code=400) if any("second" in text for text in body["input"]) else None

    async with connected(server) as model:
        server.misbehave(*[without_second] * 10)
        asked = (model.embed_queries([question]) for question in ("first", "second", "third"))
        results = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(result, BackendFailure) for result in results] == [False, True, False]
    assert r"refused input 1 of 1 (6 characters) (400)" in str(results[1])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_failure_that_passes_is_tried_again(status: int) -> None:
    server = EmbeddingServer()
    async with connected(server) as model:
        server.misbehave(Response(status_code=status), Response(status_code=status))
        (vectors,) = await model.embed_passages([passage("one")])
        (name,) = (endpoint.name for endpoint in model._connection.pool.endpoints)
        assert metric(model, "requests_total", endpoint=name, outcome=str(status)) == 2
    np.testing.assert_allclose(vectors[0], vector_of("one"), atol=1e-6)
    assert len(server.requests) == 3


async def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    server = EmbeddingServer()
    times = []
    now = asyncio.get_running_loop().time

    def note(body: Any) -> None:
        times.append(now())

    async with connected(server) as model:
        asked = now()
        server.misbehave(Response(status_code=429, headers={"Retry-After": "1"}), note)
        await model.embed_passages([passage("one")])
    assert times[0] - asked >= 1


async def test_a_pause_longer_than_the_time_left_fails_at_once() -> None:
    server = EmbeddingServer()
    async with connected(server) as model:
        server.misbehave(Response(status_code=429, headers={"Retry-After": "Fri, 31 Dec 2999 23:59:59 GMT"}))
        with pytest.raises(BackendFailure, match=r"answered 429 .* asks to wait longer"):
            await model.embed_queries(["one"])


async def test_a_server_that_fails_for_good_is_given_up() -> None:
    server = EmbeddingServer()
    async with connected(server, attempts=3) as model:
        server.misbehave(*[Response(status_code=500)] * 10)
        with pytest.raises(BackendFailure, match="answered 500 to /v1/embeddings; gave up after 3 attempts"):
            await model.embed_passages([passage("one")])
    assert len(server.requests) == 3


async def test_a_server_that_never_answers_is_given_up() -> None:
    server = EmbeddingServer()
    async with connected(server, attempts=2, request_timeout_s=0.2) as model:
        server.misbehave(server.never, server.never)
        with pytest.raises(BackendFailure, match=r"did not answer within 0\.2 s"):
            await model.embed_passages([passage("one")])


# Connecting


async def refused(server: EmbeddingServer, **config: Any) -> str:
    async with served(server.app) as address:
        with pytest.raises(BackendFailure) as caught:
            await HostedModel.connect(HostedConfig(endpoints=(address,), **config))
    return str(caught.value)


async def test_connecting_to_nothing_says_so() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        with pytest.raises(BackendFailure, match=r"nothing listens at 127\.0\.0\.1:\d+ \(connection refused\)"):
            await HostedModel.connect(HostedConfig(endpoints=(address,)))


async def test_connecting_with_a_wrong_key_says_so_and_does_not_show_it() -> None:
    server = EmbeddingServer()
    server.key = "the right one"
    message = await refused(server, api_key=SecretStr(SECRET))
    assert "refused the API key (401)" in message
    assert SECRET not in message
    assert SECRET not in repr(HostedConfig(endpoints=("http://a",), api_key=SecretStr(SECRET)))


async def test_the_right_key_opens_everything() -> None:
    server = EmbeddingServer()
    server.key = SECRET
    async with connected(server, api_key=SecretStr(SECRET)) as model:
        assert (await model.embed_queries(["one"])).shape == (1, DIMENSIONS)


async def test_connecting_to_a_model_that_is_not_served_names_those_that_are() -> None:
    server = EmbeddingServer()
    server.models.append("another")
    assert f"does not serve mine; it serves {MODEL}, another" in await refused(server, model="mine")
    assert f"the settings must name one: {MODEL}, another" in await refused(server)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embeds": False}, "which is not an embedding model: it answered 404 to /v1/embeddings"),
        ({"models": []}, "lists no model"),
        ({"max_tokens": None}, "set max_tokens in the settings"),
        ({"counts_tokens": False}, "name the model's tokenizer.json in the settings"),
    ],
)
async def test_connecting_to_a_server_that_cannot_serve_says_why(change: dict[str, Any], message: str) -> None:
    server = EmbeddingServer()
    for name, value in change.items():
        setattr(server, name, value)
    assert message in await refused(server)


async def test_connecting_to_another_kind_of_server_says_so() -> None:
    async def hello(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await Response("hello", 404 if scope["path"] == "/v1/models" else 200)(scope, receive, send)

    async with served(hello) as address:
        with pytest.raises(BackendFailure, match="is not an OpenAI-compatible server: it answered 404 to /v1/models"):
            await HostedModel.connect(HostedConfig(endpoints=(address,)))


async def test_a_tokenizer_of_another_model_is_refused(tmp_path: Any) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    other = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    other.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    other.save(str(tmp_path / "tokenizer.json"))
    message = await refused(EmbeddingServer(), tokenizer=tmp_path / "tokenizer.json")
    assert "the tokenizer in the settings is not its model's" in message


async def test_a_broken_tokenizer_is_refused(tmp_path: Any) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    assert "is not a tokenizer.json" in await refused(EmbeddingServer(), tokenizer=tmp_path / "tokenizer.json")
    assert "cannot be read" in await refused(EmbeddingServer(), tokenizer=tmp_path / "none.json")


@pytest.mark.parametrize(
    "endpoints",
    [
        (),
        ("host:8000",),
        ("ftp://host",),
        ("http://user:word@host",),
        ("http://host:99999",),
        ("http://a", "http://a/v1/"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(endpoints: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        HostedConfig(endpoints=endpoints)
    assert "word" not in str(caught.value).replace("a password", "")


@pytest.mark.parametrize("template", ["Query:", "{query} {query}"])
def test_a_template_without_a_place_for_the_question_is_refused(template: str) -> None:
    with pytest.raises(ValidationError, match="once"):
        HostedConfig(endpoints=("http://a",), query_template=template)
