"""An embedding server that answers like vLLM, with vectors made of its words, and misbehaves when it is told to.

`python -m tests.embedding_backend.embedding_server PORT` runs it as a process that can be killed.
"""

import asyncio
import base64
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from embedding_backend import Vectors
from tests.serving import Serving

ROOT = Path(__file__).parents[2]
MODEL = "Qwen/Qwen3-Embedding-Test"
DIMENSIONS = 64
SPECIAL_TOKENS = 1
SCORE = 0.75

Act = Callable[[Any], Awaitable[Response | None] | Response | None]


def tokenizer() -> Tokenizer:
    """Return a tokenizer whose tokens are words, marks and Chinese characters."""
    made = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\u4e00-\u9fff]|\w+|[^\w\s]"), "removed", invert=True)
    # As many files on the hub do, this one asks for what would hide a text's length.
    made.enable_truncation(8)
    return made


_TOKENIZER = tokenizer()
_TOKENIZER.no_truncation()


def tokens_of(text: str) -> list[str]:
    return [text[start:end] for start, end in _TOKENIZER.encode(text).offsets]


def vector_of(text: str, dimensions: int = DIMENSIONS) -> Vectors:
    """Return the unit mean of the vectors of the text's tokens."""
    total = np.zeros(dimensions)
    for token in tokens_of(text) or ["nothing"]:
        total += _token_vector(token, dimensions)
    return (total / np.linalg.norm(total)).astype(np.float32)


@lru_cache(maxsize=10_000)
def _token_vector(token: str, dimensions: int) -> npt.NDArray[np.float64]:
    seed = int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest())
    return np.random.default_rng(seed).standard_normal(dimensions)


class EmbeddingServer:
    """The server; what a test changes of it, and what it remembers.

    `acts` are done in turn, one for each request to /v1/embeddings or /v1/rerank after `misbehave` was called: a
    response to give, or a function of the request's body that returns one, or None to answer as usual.
    """

    def __init__(self, *, model: str = MODEL, dimensions: int = DIMENSIONS, max_tokens: int = 200) -> None:
        self.models = [model]
        self.dimensions = dimensions
        self.max_tokens: int | None = max_tokens
        self.key: str | None = None
        self.matryoshka = True
        self.embeds = True
        self.counts_tokens = True
        self.salt = ""
        self.healthy = True
        self.released = asyncio.Event()
        self.acts: deque[Response | Act] = deque()
        self.requests: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.app = Starlette(
            routes=[
                Route("/health", self._health),
                Route("/v1/models", self._models),
                Route("/v1/embeddings", self._embeddings, methods=["POST"]),
                Route("/v1/rerank", self._rerank, methods=["POST"]),
                Route("/tokenize", self._tokenize, methods=["POST"]),
            ]
        )

    @property
    def texts(self) -> list[str]:
        """All texts that were sent to be embedded."""
        return [text for request in self.requests for text in request.get("input", ())]

    async def never(self, body: Any) -> None:
        """Act: answer only when the test is over (`released` is set)."""
        await self.released.wait()

    def misbehave(self, *acts: Response | Act) -> None:
        """Forget the past and do these in turn."""
        self.requests.clear()
        self.acts = deque(acts)

    async def _health(self, request: Request) -> Response:
        self.calls["/health"] += 1
        return Response(status_code=200 if self.healthy else 503)

    async def _models(self, request: Request) -> Response:
        self.calls["/v1/models"] += 1
        if refusal := self._refusal(request):
            return refusal
        listed = [
            {"id": name, "object": "model", "root": name, "max_model_len": self.max_tokens} for name in self.models
        ]
        return JSONResponse({"object": "list", "data": listed})

    async def _tokenize(self, request: Request) -> Response:
        self.calls["/tokenize"] += 1
        if not self.counts_tokens:
            return Response(status_code=404)
        body = await request.json()
        assert body["model"] in self.models
        count = len(tokens_of(body["prompt"])) + (SPECIAL_TOKENS if body.get("add_special_tokens", True) else 0)
        return JSONResponse({"count": count, "max_model_len": self.max_tokens, "tokens": list(range(count))})

    async def _embeddings(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        body = await request.json()
        self.requests.append(body)
        if (acted := await self._acted(body)) is not None:
            return acted
        if not self.embeds:
            return _error(404, "The model does not support Embeddings API")
        if body["model"] not in self.models:
            return _error(404, f"The model `{body['model']}` does not exist.")
        texts = body["input"]
        lengths = [len(tokens_of(text)) + SPECIAL_TOKENS for text in texts]
        if self.max_tokens is not None and max(lengths) > self.max_tokens:
            return _error(400, f"This model's maximum context length is {self.max_tokens} tokens.")
        size = body.get("dimensions")
        if size is not None and not self.matryoshka:
            return _error(
                400, "Model does not support matryoshka representation, changing output dimensions will fail."
            )
        vectors = [vector_of(self.salt + text, self.dimensions)[:size] for text in texts]
        return embeddings_response(vectors, sum(lengths), body["encoding_format"])

    async def _rerank(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        body = await request.json()
        self.requests.append(body)
        if (acted := await self._acted(body)) is not None:
            return acted
        query = set(tokens_of(body["query"]))
        scores = [len(query & set(tokens_of(text))) / len(query) for text in body["documents"]]
        return rerank_response(scores)

    async def _acted(self, body: dict[str, Any]) -> Response | None:
        if not self.acts:
            return None
        act = self.acts.popleft()
        if isinstance(act, Response):
            return act
        done = act(body)
        return done if done is None or isinstance(done, Response) else await done

    def _refusal(self, request: Request) -> Response | None:
        if self.key is None or request.headers.get("authorization") == f"Bearer {self.key}":
            return None
        return JSONResponse({"error": "Unauthorized"}, 401)


def embeddings_response(vectors: list[npt.NDArray[Any]], tokens: int, encoding: str = "base64") -> Response:
    """Return vLLM's answer."""
    data = [
        {
            "index": index,
            "object": "embedding",
            "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode()
            if encoding == "base64"
            else vector.tolist(),
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JSONResponse({"id": "embd-1", "object": "list", "model": MODEL, "data": data, "usage": usage})


def rerank_response(scores: list[float]) -> Response:
    """Return vLLM's answer: the best first."""
    results = [{"index": index, "relevance_score": score} for index, score in enumerate(scores)]
    results.sort(key=lambda result: -result["relevance_score"])
    return Response(json.dumps({"id": "rerank-1", "results": results}), media_type="application/json")


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "BadRequestError", "code": status}}, status)


class ServerProcess:
    """The server that a module runs, as a process, on one port that it keeps when it is started again."""

    def __init__(self, module: str = "tests.embedding_backend.embedding_server") -> None:
        self._module = module
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module, str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


@contextmanager
def server_process() -> Iterator[ServerProcess]:
    """Run a server process for the time of the block."""
    process = ServerProcess()
    try:
        yield process
    finally:
        process.kill()


async def serve(served: EmbeddingServer, port: int) -> None:
    """Run a server on a port, or on a free one where that is 0, and write which to the standard output."""
    server = Serving(served.app, port)
    running = asyncio.create_task(server.serve())
    await server.listens.wait()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    await running


if __name__ == "__main__":
    asyncio.run(serve(EmbeddingServer(), int(sys.argv[1])))
