"""Errors as problem details (RFC 9457): the error tree mapped to status codes, once."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from http_server.security_headers import COMMON, DEFAULT
from pincite import errors
from pincite.errors import PinciteError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
INTERNAL_ERROR = "internal_error"
OPENAI_PATHS = ("/v1/", "/api/chat/", "/api/embeddings")
_log = logging.getLogger("pincite.http")


class RequestTooLarge(errors.InvalidRequest):
    """The body has more bytes than this endpoint reads."""

    code = "request_too_large"


STATUS: Mapping[type[PinciteError], HTTPStatus] = {
    PinciteError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    RequestTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.AccessError: HTTPStatus.FORBIDDEN,
    errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.DocumentError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.DocumentTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedFormat: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.NameTaken: HTTPStatus.CONFLICT,
    errors.InvalidBackup: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.IndexMismatch: HTTPStatus.CONFLICT,
    errors.CatalogMismatch: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.IndexDamaged: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.CatalogDamaged: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DataFolderBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.BackendError: HTTPStatus.BAD_GATEWAY,
}


class ProblemResponse(JSONResponse):
    """Problem details; a message that quotes half of a surrogate pair is still written, as the escape it came as."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")


class InvalidValue(BaseModel):
    """One value of the request that cannot be used."""

    where: str = Field(examples=["body.k"])
    message: str = Field(examples=["Input should be a valid integer"])


class OpenAIError(BaseModel):
    """A problem as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None
    code: str


class Problem(BaseModel):
    """What failed, where, and what to do: problem details with a stable `code` for programs."""

    type: str = Field(
        description="A reference that names the kind of problem.", examples=["/api/problems/empty_question"]
    )
    title: str = Field(examples=["Empty question"])
    status: int = Field(examples=[422])
    detail: str = Field(description="A sentence for a person.")
    code: str = Field(description="Stable; tell errors apart by this.", examples=["empty_question"])
    errors: list[InvalidValue] | None = Field(
        None, description="The values that cannot be used, if that is the problem."
    )
    error: OpenAIError | None = Field(None, description="The same for OpenAI's clients, at their addresses.")


def status_of(error: PinciteError | type[PinciteError]) -> HTTPStatus:
    """Return the status of an error or of a class of errors."""
    kind = error if isinstance(error, type) else type(error)
    return next(STATUS[ancestor] for ancestor in kind.__mro__ if ancestor in STATUS)


def problem(error: PinciteError, extra: Mapping[str, Any] | None = None) -> ProblemResponse:
    """Return the answer that tells an error, with `extra` members."""
    status = status_of(error)
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return _response(status, error.code, error.message, extra, headers=headers)


def documented(*kinds: type[PinciteError]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can fail in these ways, each code with an example, for OpenAPI."""
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        status = status_of(kind)
        content = responses.setdefault(
            int(status),
            {"description": status.phrase, "content": {MEDIA_TYPE: {"schema": _SCHEMA_REFERENCE, "examples": {}}}},
        )
        example = _body(status, kind.code, _meaning(kind))
        content["content"][MEDIA_TYPE]["examples"][kind.code] = {"value": example}
    return responses


def explain(code: str) -> Problem:
    """Return the kind of problem a code stands for.

    Raises:
        NotFound: no error has this code.
    """
    kind = _kinds().get(code)
    if kind is None:
        raise errors.NotFound("No problem has this code.")
    return Problem.model_validate(_body(status_of(kind), code, _meaning(kind)))


def handle_problems(app: FastAPI) -> None:
    """Make every error of the app a problem: ours, invalid input, unknown addresses, and what nobody expected."""

    @app.exception_handler(PinciteError)
    async def ours(request: Request, error: PinciteError) -> ProblemResponse:
        if status_of(error) == HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("unmapped error %s", error.code)
        return problem(error, _for_openai(request, error.code, error.message))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> ProblemResponse:
        found = [
            {"where": ".".join(map(str, item["loc"])), "message": str(item["msg"]).removeprefix("Value error, ")}
            for item in error.errors()[:20]
        ]
        detail = "; ".join(f"{item['where']}: {item['message']}" for item in found)
        code = errors.InvalidRequest.code
        extra = {"errors": found, **_for_openai(request, code, detail)}
        return _response(HTTPStatus.UNPROCESSABLE_ENTITY, code, detail, extra)

    @app.exception_handler(HTTPException)
    async def protocol(_: Request, error: HTTPException) -> ProblemResponse:
        status = HTTPStatus(error.status_code)
        if status == HTTPStatus.BAD_REQUEST:  # a body that the framework could not read at all
            return problem(errors.InvalidRequest(str(error.detail)))
        code = status.phrase.lower().replace(" ", "_").replace("-", "_")
        return _response(status, code, str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> ProblemResponse:
        # Starlette raises it again for the server's log; the message may hold anything, so the caller does not get it.
        # It answers outside all middleware, so that the headers are set here.
        detail = "Something failed inside the server; its log has the reason."
        headers = {**COMMON, **DEFAULT}
        return _response(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL_ERROR, detail, headers=headers)


_SCHEMA_REFERENCE = {"$ref": "#/components/schemas/Problem"}


def _for_openai(request: Request, code: str, message: str) -> dict[str, Any]:
    """Return what OpenAI's clients look for in an error, at the addresses they call."""
    if not request.url.path.startswith(OPENAI_PATHS):
        return {}
    return {"error": OpenAIError(message=message, type=code, param=None, code=code).model_dump()}


def _kinds(root: type[PinciteError] = PinciteError) -> dict[str, type[PinciteError]]:
    """Return every class of the tree by its code; one that has no code of its own goes by its parent's."""
    kinds: dict[str, type[PinciteError]] = {}
    for kind in root.__subclasses__():
        kinds = _kinds(kind) | kinds
    return kinds | {root.code: root}


def _meaning(kind: type[PinciteError]) -> str:
    return (kind.__doc__ or f"{_title(kind.code)}.").split("\n")[0]


def _title(code: str) -> str:
    return code.replace("_", " ").capitalize()


def _body(status: HTTPStatus, code: str, detail: str) -> dict[str, Any]:
    kind = f"/api/problems/{code}"
    return {"type": kind, "title": _title(code), "status": int(status), "detail": detail, "code": code}


def _response(
    status: HTTPStatus,
    code: str,
    detail: str,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    content = _body(status, code, detail) | dict(extra or {})
    return ProblemResponse(content, status, dict(headers or {}))
