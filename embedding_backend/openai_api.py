"""The embedding half of OpenAI's API over any Embedder, in vLLM's dialect: what a client of vLLM sends works here too.

A model that reads questions and documents differently needs to be told which a text is, and OpenAI's API cannot say it.
Two ways: `"input_type": "query"` or `"document"` beside `input`; or, where that field is absent, `query: ` or
`passage: ` at the beginning of a text, which is then not part of it. A text without either is a document.

A text that is longer than what the model reads at once is read in parts, and its vector is the mean of theirs: programs
cut documents by characters, and a thousand of them are 250 tokens of English and 620 of Chinese.
"""

import asyncio
import base64
import json
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from embedding_backend.embedder import BackendFailure, Embedder, PassageText, Vectors
from embedding_backend.splitting import split
from embedding_backend.unit_vectors import averaged, unit

# OpenAI's own limits. Parts of texts are counted as texts, so that a request costs as much at the most.
MAX_TEXTS = 2048
MAX_TOKENS = 8192
MAX_BODY_BYTES = 16 << 20
_RETRY_AFTER_S = 1
# Work on so little takes less time than handing it to a thread and back: writing an answer, counting tokens.
_QUICK_TEXTS = 4
_QUICK_CHARACTERS = 2000

_Handler = Callable[[Request], Awaitable[Response]]

# Cohere's words and e5's as well as the plain ones; the value says whether it is a question.
_INPUT_TYPES = {"query": True, "search_query": True, "document": False, "search_document": False, "passage": False}
_PREFIXES = (("query: ", True), ("passage: ", False))


class Refusal(Exception):
    """A request that is answered with one of OpenAI's error objects."""

    def __init__(
        self, message: str, status: int = 400, *, parameter: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.parameter = parameter
        self.code = code

    def response(self) -> JSONResponse:
        """Return the answer."""
        kind = {401: "authentication_error", 404: "not_found_error"}.get(
            self.status, "invalid_request_error" if self.status < 500 else "server_error"
        )
        error = {"message": str(self), "type": kind, "param": self.parameter, "code": self.code}
        headers = {"Retry-After": str(_RETRY_AFTER_S)} if self.status == 503 else None
        return JSONResponse({"error": error}, self.status, headers)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A checked request: the texts without their prefixes, and which of them are questions."""

    texts: list[str]
    are_questions: list[bool]
    as_base64: bool


async def embed(body: dict[str, Any], embedder: Embedder, model: str, *, counts_here: bool = False) -> bytes:
    """Return the JSON that answers a request for the vectors of `model`; raises Refusal and BackendFailure.

    `counts_here` says that the embedder counts tokens in this process, without asking a server.
    """
    wanted = _checked(body, model, embedder.model.dimensions)
    if counts_here and sum(map(len, wanted.texts)) <= _QUICK_CHARACTERS:
        counts = embedder.count_tokens(wanted.texts)
    else:
        counts = await asyncio.to_thread(embedder.count_tokens, wanted.texts)
    _refuse_too_long(counts, embedder.model.max_tokens)
    if max(counts) <= embedder.model.max_tokens:
        vectors = await _embed(embedder, wanted.texts, wanted.are_questions)
    else:
        vectors = await _embed_in_parts(embedder, wanted, counts)
    if len(vectors) <= _QUICK_TEXTS:
        return _answer(vectors, model, sum(counts), wanted.as_base64)
    return await asyncio.to_thread(_answer, vectors, model, sum(counts), wanted.as_base64)


def create_app(embedder: Embedder, api_key: str | None = None) -> Starlette:
    """Return a server of one model in this process: `/v1/embeddings`, `/v1/models`, `/tokenize`, `/health`.

    With a key, all but `/health` ask for `Authorization: Bearer …`. The embedder is closed when the server ends.
    """
    model = embedder.model

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # The weights are loaded before the first question has to wait for them.
        await embedder.embed_queries(["warm"])
        yield
        await embedder.close()

    async def embeddings(request: Request) -> Response:
        answer = await embed(await _body(request), embedder, model.id, counts_here=True)
        return Response(answer, media_type="application/json")

    async def models(request: Request) -> Response:
        listed = {"id": model.id, "object": "model", "created": 0, "owned_by": "pincite", "root": model.id}
        return JSONResponse({"object": "list", "data": [listed | {"max_model_len": model.max_tokens}]})

    async def tokenize(request: Request) -> Response:
        """Return the length of a text in the model's tokens, special tokens not counted."""
        prompt = (await _body(request)).get("prompt")
        if not isinstance(prompt, str):
            raise Refusal("prompt must be a string.", parameter="prompt")
        (count,) = await asyncio.to_thread(embedder.count_tokens, [prompt])
        return JSONResponse({"count": count, "max_model_len": model.max_tokens})

    async def health(request: Request) -> Response:
        """Answer once the model is loaded."""
        return Response()

    def guarded(handle: _Handler) -> _Handler:
        async def checked(request: Request) -> Response:
            given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
            if api_key and not secrets.compare_digest(given, api_key.encode()):
                raise Refusal("The API key is missing or wrong; send it as Authorization: Bearer …", 401)
            return await handle(request)

        return checked

    # Starlette without FastAPI, whose layers cost a sixth of a millisecond a request: as much as the rest of HTTP.
    return Starlette(
        routes=[
            Route("/health", health),
            Route("/v1/models", guarded(models)),
            Route("/v1/embeddings", guarded(embeddings), methods=["POST"]),
            Route("/tokenize", guarded(tokenize), methods=["POST"]),
        ],
        exception_handlers={Refusal: _refused, BackendFailure: _failed, HTTPException: _misdirected},
        lifespan=lifespan,
    )


def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return refusal.response()


def _failed(request: Request, failure: Exception) -> Response:
    return Refusal(str(failure), 503).response()


def _misdirected(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = Refusal(error.detail, error.status_code).response()
    response.headers.update(error.headers or {})
    return response


async def _body(request: Request) -> dict[str, Any]:
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > MAX_BODY_BYTES:
            raise Refusal(f"The request has more than {MAX_BODY_BYTES >> 20} MiB; send the texts in several.", 413)
    try:
        body = json.loads(received)
    except (ValueError, RecursionError):
        raise Refusal("The request is not JSON.") from None
    if not isinstance(body, dict):
        raise Refusal("The request must be a JSON object.")
    return body


def _checked(body: dict[str, Any], model: str, dimensions: int) -> _Wanted:
    asked = body.get("model")
    if not isinstance(asked, str):
        raise Refusal("model must be a string.", parameter="model")
    if asked != model:
        message = f"The model {asked[:100]} does not exist; this server has {model}."
        raise Refusal(message, 404, parameter="model", code="model_not_found")
    if body.get("dimensions") not in (None, dimensions):
        message = f"{model} gives vectors of {dimensions} numbers and of no other size."
        raise Refusal(message, parameter="dimensions")
    form = body.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise Refusal("encoding_format must be float or base64.", parameter="encoding_format")
    texts = _texts(body.get("input"))
    kind = body.get("input_type")
    if kind is not None:
        if not isinstance(kind, str) or kind not in _INPUT_TYPES:
            raise Refusal("input_type must be query or document.", parameter="input_type")
        return _Wanted(texts, [_INPUT_TYPES[kind]] * len(texts), form == "base64")
    parts = [_without_prefix(text) for text in texts]
    return _Wanted([text for text, _ in parts], [is_question for _, is_question in parts], form == "base64")


def _texts(given: Any) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise Refusal("input must be a string or a list of strings that is not empty.", parameter="input")
    if isinstance(texts[0], int | list):
        raise Refusal("input must be text: this server has a tokenizer of its own.", parameter="input")
    if len(texts) > MAX_TEXTS:
        raise Refusal(f"input has {len(texts):,} texts; at most {MAX_TEXTS:,} go in one request.", parameter="input")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise Refusal(f"input[{number}] is not a string.", parameter="input")
        if not _without_prefix(text)[0].strip():
            raise Refusal(f"input[{number}] is empty.", parameter="input")
    return [text.encode("utf-8", "replace").decode() for text in texts]  # half a surrogate pair is no text


def _without_prefix(text: str) -> tuple[str, bool]:
    for prefix, is_question in _PREFIXES:
        if text.startswith(prefix):
            return text.removeprefix(prefix), is_question
    return text, False


def _refuse_too_long(counts: Sequence[int], at_once: int) -> None:
    limit = max(at_once, MAX_TOKENS)
    for number, count in enumerate(counts):
        if count > limit:
            raise Refusal(
                f"This server's maximum context length is {limit} tokens, and input[{number}] has {count}. "
                "Nothing is cut off silently: send it in parts.",
                parameter="input",
                code="context_length_exceeded",
            )
    parts = sum(math.ceil(count / at_once) for count in counts)
    if len(counts) < parts > MAX_TEXTS:
        raise Refusal(
            f"input makes {parts:,} parts of the {at_once} tokens that the model reads at once; at most {MAX_TEXTS:,} "
            "go in one request.",
            parameter="input",
        )


async def _embed(embedder: Embedder, texts: Sequence[str], are_questions: Sequence[bool]) -> Vectors:
    """Return (n, dimensions) unit vectors in the order of the texts."""
    vectors = np.empty((len(texts), embedder.model.dimensions), np.float32)
    questions = [place for place, is_question in enumerate(are_questions) if is_question]
    documents = [place for place, is_question in enumerate(are_questions) if not is_question]
    if questions:
        vectors[questions] = await embedder.embed_queries([texts[place] for place in questions])
    if documents:
        whole = [PassageText(text, ((0, len(text)),)) for text in (texts[place] for place in documents)]
        vectors[documents] = np.concatenate(await embedder.embed_passages(whole))
    return unit(vectors)


async def _embed_in_parts(embedder: Embedder, wanted: _Wanted, counts: Sequence[int]) -> Vectors:
    """Return (n, dimensions) unit vectors, of a text in parts their mean, each counted by its tokens."""
    limit = embedder.model.max_tokens

    def cut() -> tuple[list[list[str]], list[int]]:
        cut_texts = [
            [text] if count <= limit else split(text, limit, embedder.count_tokens)
            for text, count in zip(wanted.texts, counts, strict=True)
        ]
        return cut_texts, embedder.count_tokens([part for parts in cut_texts for part in parts])

    cut_texts, weights = await asyncio.to_thread(cut)
    are_questions = [is_one for is_one, parts in zip(wanted.are_questions, cut_texts, strict=True) for _ in parts]
    vectors = await _embed(embedder, [part for parts in cut_texts for part in parts], are_questions)
    read = iter(zip(vectors, weights, strict=True))
    return np.stack([averaged(*zip(*islice(read, len(parts)), strict=True)) for parts in cut_texts])


def _answer(vectors: Vectors, model: str, tokens: int, as_base64: bool) -> bytes:
    little = vectors.astype("<f4")
    data = [
        {
            "object": "embedding",
            "index": number,
            "embedding": base64.b64encode(vector.tobytes()).decode() if as_base64 else vector.tolist(),
        }
        for number, vector in enumerate(little)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json.dumps({"object": "list", "model": model, "data": data, "usage": usage}).encode()
