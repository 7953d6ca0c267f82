"""Every error of the tree has a status of its own choosing, and is told as a problem detail."""

import json

import httpx
import pytest
from fastapi import FastAPI

from http_server.problems import RequestTooLarge, explain, handle_problems, problem, status_of
from pincite import errors


def tree(root: type[errors.PinciteError]) -> list[type[errors.PinciteError]]:
    return [root] + [kind for child in root.__subclasses__() for kind in tree(child)]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.EmptyQuestion, 422),
        (errors.QuestionTooLong, 422),
        (errors.NotAuthenticated, 401),
        (errors.NotPermitted, 403),
        (errors.UnknownDocument, 404),
        (errors.UnknownJob, 404),
        (errors.EncryptedDocument, 422),
        (errors.UnsupportedFormat, 415),
        (errors.DocumentTooLarge, 413),
        (errors.IndexMismatch, 409),
        (errors.NameTaken, 409),
        (errors.CatalogMismatch, 503),
        (errors.DataFolderBusy, 503),
        (errors.Overloaded, 429),
        (errors.BackendError, 502),
        (RequestTooLarge, 413),
    ],
)
def test_an_error_has_the_status_of_its_kind(kind: type[errors.PinciteError], status: int) -> None:
    assert status_of(kind) == status


def test_every_error_but_the_root_is_the_callers_or_a_named_failure_and_none_is_a_plain_500() -> None:
    assert [kind for kind in tree(errors.PinciteError)[1:] if status_of(kind) == 500] == []


def test_every_code_belongs_to_one_kind_of_error_and_is_explained() -> None:
    kinds = tree(errors.PinciteError)
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert [explain(kind.code).status for kind in kinds] == [status_of(kind) for kind in kinds]
    with pytest.raises(errors.NotFound):
        explain("no_such_code")


def test_a_problem_says_what_failed_and_how_to_tell_it_apart() -> None:
    answer = problem(errors.UnknownPage("the document has no page 99; it has 3 pages"))
    assert answer.media_type == "application/problem+json"
    assert json.loads(bytes(answer.body)) == {
        "type": "/api/problems/unknown_page",
        "title": "Unknown page",
        "status": 404,
        "detail": "the document has no page 99; it has 3 pages",
        "code": "unknown_page",
    }


def test_who_must_wait_or_identify_is_told_how() -> None:
    assert problem(errors.Overloaded("later")).headers["retry-after"] == "5"
    assert problem(errors.NotAuthenticated("who?")).headers["www-authenticate"] == "Bearer"


@pytest.mark.anyio
async def test_an_unexpected_failure_tells_nothing_of_its_message() -> None:
    app = FastAPI()
    handle_problems(app)

    @app.get("/")
    async def fail() -> None:
        raise RuntimeError("the secret clause")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.get("/")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
