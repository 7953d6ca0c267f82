"""What goes over the wire and what may come back: the OpenAI-compatible shapes of vLLM; any other is refused."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedding_backend.embedder import BackendFailure, Scores, Vectors
from embedding_backend.hosted.endpoint import Answer

# Both of vLLM's wordings hold this; it comes with status 400 and concerns one text of a request, it does not say which.
TOO_LONG = "maximum context length"
# Of vLLM's wordings for a size that the model was not started to give.
_DIMENSIONS_REFUSED = ("matryoshka", "dimension")
_BYTES_AROUND = 64 * 1024
# A number as base64 takes 5.4 bytes, as text up to 25.
_BYTES_A_NUMBER = 25
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model as a server lists it: `root` is the name or path it was loaded from."""

    id: str
    root: str
    max_tokens: int | None


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of one request: in the place of one that cannot be used, what is wrong with it.

    `tokens` is what the server says it read, special tokens included, where it says so.
    """

    vectors: list[Vectors | str]
    tokens: int | None


def embedding_request(model: str, texts: Sequence[str], dimensions: int | None) -> bytes:
    """Return the body of a request for vectors."""
    body: dict[str, Any] = {"model": model, "input": list(texts), "encoding_format": "base64"}
    if dimensions is not None:
        body["dimensions"] = dimensions
    return encoded(body)


def encoded(body: dict[str, Any]) -> bytes:
    """Return JSON; half a surrogate pair, of which no server knows what to make, becomes a question mark."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def embedding_answer_bytes(texts: int, dimensions: int) -> int:
    """Return the size above which an answer is none."""
    return _BYTES_AROUND + texts * (dimensions * _BYTES_A_NUMBER + 1024)


def embeddings(answer: Answer, count: int, sizes: Sequence[int]) -> Embedded:
    """Return the unit vectors of an answer to `count` texts, each of one of `sizes` numbers (any, if none is given).

    Raises:
        BackendFailure: the answer is not one, has another number of vectors or has them in another order.
    """
    body = parsed(answer)
    data = body.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise BackendFailure(f"{answer.endpoint} answered no list of vectors")
    if len(data) != count:
        raise BackendFailure(f"{answer.endpoint} answered {len(data)} vectors to {count} texts")
    order = [item.get("index") for item in data]
    if order != list(range(count)):
        place = next(place for place, index in enumerate(order) if index != place)
        raise BackendFailure(f"{answer.endpoint} answered with the wrong index at place {place + 1} of {count}")
    usage = body.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    vectors = [_vector(item.get("embedding"), sizes) for item in data]
    return Embedded(vectors, tokens if isinstance(tokens, int) else None)


def scores(answer: Answer, count: int) -> Scores:
    """Return a reranker's scores in the order of the texts.

    Raises:
        BackendFailure: a text has no score, or one that is not in [0, 1].
    """
    results = parsed(answer).get("results")
    if not isinstance(results, list) or not all(isinstance(item, dict) for item in results):
        raise BackendFailure(f"{answer.endpoint} answered no list of scores")
    found = {item["index"]: item.get("relevance_score") for item in results if isinstance(item.get("index"), int)}
    if len(results) != count or set(found) != set(range(count)):
        raise BackendFailure(f"{answer.endpoint} answered {len(results)} scores to {count} texts, or not one for each")
    for index, score in found.items():
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
            raise BackendFailure(
                f"{answer.endpoint} answered a score that does not lie between 0 and 1 for text {index + 1} of {count}"
            )
    return np.array([found[index] for index in range(count)], np.float32)


def served_models(answer: Answer) -> list[ServedModel]:
    """Return what a server lists.

    Raises:
        BackendFailure: it refuses the key, or is no OpenAI-compatible server.
    """
    refuse_key(answer)
    if answer.status >= 400:
        raise BackendFailure(
            f"{answer.endpoint} is not an OpenAI-compatible server: it answered {answer.status} to /v1/models"
        )
    data = parsed(answer).get("data")
    listed = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    models = []
    for item in listed:
        name, root, length = item.get("id"), item.get("root"), item.get("max_model_len")
        if isinstance(name, str):
            models.append(
                ServedModel(name, root if isinstance(root, str) else name, length if isinstance(length, int) else None)
            )
    if not models:
        raise BackendFailure(f"{answer.endpoint} lists no model")
    return models


def chosen(models: Sequence[ServedModel], name: str | None, endpoint: str) -> ServedModel:
    """Return the model of this name, or the only one.

    Raises:
        BackendFailure: there is no such model, or several to choose from.
    """
    names = ", ".join(model.id for model in models)
    if name is None:
        if len(models) > 1:
            raise BackendFailure(f"{endpoint} serves several models, so the settings must name one: {names}")
        return models[0]
    for model in models:
        if model.id == name:
            return model
    raise BackendFailure(f"{endpoint} does not serve {name}; it serves {names}")


def refuse_key(answer: Answer) -> None:
    """Raise BackendFailure where the server did not accept the key."""
    if answer.status in {401, 403}:
        raise BackendFailure(
            f"{answer.endpoint} refused the API key ({answer.status}); set the key that the server was started with"
        )


def is_too_long(answer: Answer) -> bool:
    """Say whether a text was longer than the model reads."""
    return answer.status == 400 and TOO_LONG in _complaint(answer)


def refuses_dimensions(answer: Answer) -> bool:
    """Say whether the server does not give vectors of the size asked for."""
    complaint = _complaint(answer).lower()
    return answer.status in {400, 422} and any(word in complaint for word in _DIMENSIONS_REFUSED)


def parsed(answer: Answer) -> dict[str, Any]:
    """Return the JSON object that was answered; raises BackendFailure."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        raise BackendFailure(f"{answer.endpoint} answered something that is not JSON") from None
    if not isinstance(body, dict):
        raise BackendFailure(f"{answer.endpoint} answered JSON that is not an object")
    return body


def _complaint(answer: Answer) -> str:
    """Return a refusal's text, to look for words in; it may quote what was sent, so it is never shown."""
    return answer.body.decode("utf-8", "replace")


def _vector(value: Any, sizes: Sequence[int]) -> Vectors | str:
    try:
        if isinstance(value, str):
            vector = np.frombuffer(base64.b64decode(value, validate=True), np.dtype("<f4")).astype(np.float64)
        else:
            vector = np.array(value, np.float64)
    except (binascii.Error, ValueError, TypeError):
        return "a vector that cannot be read"
    if vector.ndim != 1 or not vector.size:
        return "a vector that cannot be read"
    if sizes and vector.size not in sizes:
        return f"a vector of {vector.size} numbers instead of {sizes[0]}"
    # False for NaN as well.
    if not (np.abs(vector) <= _LARGEST).all():
        return "a vector with numbers that are none (NaN or infinite)"
    length = float(np.linalg.norm(vector))
    if not length:
        return "a vector of zeros"
    return (vector / length).astype(np.float32)
