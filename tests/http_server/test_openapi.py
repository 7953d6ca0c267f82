"""The published description is valid, its examples too, and every error it documents really occurs."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from embedding_backend import BackendFailure
from http_server.body_limit import MAX_BODY_BYTES
from pincite import records
from pincite.access import Principal
from pincite.connection import Connection
from pincite.errors import BackendError, IndexMismatch, Overloaded, PinciteError
from pincite.records import Source
from tests.http_server.sample_workspace import Served

pytestmark = pytest.mark.anyio

OPEN = {"/healthz", "/readyz", "/api/problems/{code}"}
METHODS = {"get", "post", "patch", "delete"}
Operations = dict[tuple[str, str], dict[str, Any]]


async def published(served: Served) -> dict[str, Any]:
    answer = await served.anonymous().get("/api/openapi.json")
    description: dict[str, Any] = answer.json()
    return description


def operations(description: dict[str, Any]) -> Operations:
    return {(method, path): op for path, ops in description["paths"].items() for method, op in ops.items()}


def validator(description: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": description["components"]})


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for item in value.values() for found in references(item)]
    return [found for item in value for found in references(item)] if isinstance(value, list) else []


async def test_the_description_is_whole_and_its_schemas_are_schemas(library: Served) -> None:
    description = await published(library)
    assert re.fullmatch(r"3\.1\.\d", description["openapi"])
    schemas = description["components"]["schemas"]
    for reference in references(description):
        assert reference.removeprefix("#/components/schemas/") in schemas, reference
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
        for shape in schema.get("properties", {}).values():
            for example in shape.get("examples", []):
                validator(description, shape).validate(example)


async def test_every_operation_says_what_it_does_and_its_error_examples_are_problems(library: Served) -> None:
    description = await published(library)
    problem = validator(description, {"$ref": "#/components/schemas/Problem"})
    for (method, path), operation in operations(description).items():
        assert method in METHODS
        assert operation["description"], path
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/problem+json", {})
            for code, example in content.get("examples", {}).items():
                problem.validate(example["value"])
                assert (example["value"]["code"], str(example["value"]["status"])) == (code, status)


async def test_nothing_but_health_and_explanations_opens_without_a_key(library: Served) -> None:
    description = await published(library)
    for method, path in operations(description):
        if path not in OPEN:
            answer = await library.anonymous().request(method, re.sub(r"\{\w+\}", "1", path))
            assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated"), (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"
    wrong = {"Authorization": "Bearer not-a-key-of-this-server"}
    assert (await library.http.get("/api/knowledge-bases", headers=wrong)).status_code == 401


Trigger = Callable[[Served, dict[str, str]], Awaitable[httpx.Response]]
SEARCH = "/api/search"
CHECK = "/api/check"
BASES = "/api/knowledge-bases"
BASE_PATH = "/api/knowledge-bases/{kb}"
DOCUMENTS = "/api/knowledge-bases/{kb}/documents"
DOCUMENT = "/api/knowledge-bases/{kb}/documents/{document_id}"
TEXT = "/api/documents/{document_id}/text"
OCCURRENCES = "/api/documents/{document_id}/occurrences"
PAGE = "/api/documents/{document_id}/pages/{number}"
IMAGE = "/api/documents/{document_id}/pages/{number}/image"
JOB = "/api/jobs/{job_id}"
ACCOUNT = "/api/knowledge-bases/{kb}/account"
SOURCES = "/api/knowledge-bases/{kb}/sources"
SOURCE = "/api/knowledge-bases/{kb}/sources/{source_id}"
REPAIR = "/api/knowledge-bases/{kb}/repair"
BACKUP = "/api/backup"
SYNC = "/api/knowledge-bases/{kb}/sources/{source_id}/sync"


def ask(
    method: str, path: str, values: dict[str, str] | None = None, *, reader: bool = False, **arguments: Any
) -> Trigger:
    """Return a request to `path`, its places filled from the library's own ids unless `values` names others."""

    async def send(served: Served, own: dict[str, str]) -> httpx.Response:
        headers = await served.key({"read"}) if reader else {}
        address = path.format(**{**own, **(values or {})})
        return await served.http.request(method, address, headers=headers, **arguments)

    return send


def overloaded(request: Trigger) -> Trigger:
    """Return a request that is sent while the queue of jobs is full."""

    def full() -> None:
        raise Overloaded("Too many jobs are waiting; try again when one has finished.")

    async def send(served: Served, own: dict[str, str]) -> httpx.Response:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(served.workspace._opened.jobs, "check_capacity", full)
            return await request(served, own)

    return send


def with_no_model(request: Trigger, kind: type[PinciteError]) -> Trigger:
    """Return a request that is sent while the index cannot be opened."""

    def gone(*_: Any) -> Any:
        raise kind("the index was built with a model that is not there")

    async def send(served: Served, own: dict[str, str]) -> httpx.Response:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(served.workspace._opened.generations, "use", gone)
            return await request(served, own)

    return send


def with_a_source(request: Trigger) -> Trigger:
    """Return a request that is sent while the library follows the source `src_1`."""

    async def send(served: Served, own: dict[str, str]) -> httpx.Response:
        catalog = served.workspace._opened.catalog
        kb = await served.workspace.knowledge_base(Principal.system(), own["kb"])
        catalog.put_source(Source("src_1", kb.id, "https://git.example.org/a.git"))
        try:
            return await request(served, own)
        finally:
            catalog.delete_source("src_1")

    return send


def with_backends_away(request: Trigger) -> Trigger:
    """Return a request that is sent while no embedding model answers, neither the hosted nor the embedded one."""

    async def away(*_: Any) -> Any:
        raise BackendFailure("nothing listens at gpu:8000 (connection refused); start the server there")

    async def send(served: Served, own: dict[str, str]) -> httpx.Response:
        embedders = served.workspace._opened.embedders
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(embedders, "_connection", Connection(away))
            patch.setattr(embedders._embedded, "embed_queries", away)
            return await request(served, own)

    return send


def not_finished(request: Trigger) -> Trigger:
    """Return a request that is sent while the job goes on."""

    async def send(served: Served, own: dict[str, str]) -> httpx.Response:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(records.Job, "finished", False)
            return await request(served, own)

    return send


def kept_elsewhere(method: str, path: str) -> Trigger:
    """Return a request of the machine's owner that is sent while the index is not in the data folder."""

    async def send(served: Served, own: dict[str, str]) -> httpx.Response:
        lock = served.workspace._opened.lock
        assert lock is not None
        with pytest.MonkeyPatch.context() as patch:
            elsewhere = served.workspace.settings.model_copy(update={"index_uri": "s3://bucket/index"})
            patch.setattr(served.workspace, "settings", elsewhere)
            return await served.http.request(method, path, headers={"Authorization": f"Bearer {lock.token}"})

    return send


MADE_SOURCE = {"source_id": "src_1"}
NOBODY = {"source_id": "nothing", "kb": "nobody", "document_id": "nothing", "job_id": "nothing", "code": "nothing"}
ONLY_TOP_K = {"settings": {"top_k": 0}}


def written_from(kb: str) -> dict[str, Any]:
    """Return an English text that cites a Chinese passage: only a search tells whether it is about the same."""
    passage = {"document": {"id": "doc"}, "text": "员工每年享有十五天带薪年假。", "start": 0, "end": 14}
    return {"text": "Nobody may enter the hall [1].", "passages": [passage | {"knowledge_base_id": kb}]}


TRIGGERS: dict[tuple[str, str, str], Trigger] = {
    ("post", BASES, "backend_error"): with_backends_away(ask("post", BASES, json={"name": "new"})),
    ("post", BASES, "invalid_request"): ask("post", BASES, json={"name": "   "}),
    ("post", BASES, "invalid_settings"): ask("post", BASES, json={"name": "new", **ONLY_TOP_K}),
    ("post", BASES, "name_taken"): ask("post", BASES, json={"name": "library"}),
    ("post", BASES, "not_permitted"): ask("post", BASES, json={"name": "new"}, reader=True),
    ("get", BASE_PATH, "unknown_knowledge_base"): ask("get", BASE_PATH, NOBODY),
    ("get", f"{BASE_PATH}/jobs", "unknown_knowledge_base"): ask("get", f"{BASE_PATH}/jobs", NOBODY),
    ("patch", BASE_PATH, "backend_error"): with_backends_away(
        ask("patch", BASE_PATH, json={"settings": {"embedding_model": "hosted"}})
    ),
    ("patch", BASE_PATH, "invalid_request"): ask("patch", BASE_PATH, json={"name": "other"}),
    ("patch", BASE_PATH, "invalid_settings"): ask("patch", BASE_PATH, json=ONLY_TOP_K),
    ("patch", BASE_PATH, "not_permitted"): ask("patch", BASE_PATH, json={"settings": {}}, reader=True),
    ("patch", BASE_PATH, "unknown_knowledge_base"): ask("patch", BASE_PATH, NOBODY, json={"settings": {}}),
    ("delete", BASE_PATH, "not_permitted"): ask("delete", BASE_PATH, reader=True),
    ("delete", BASE_PATH, "unknown_knowledge_base"): ask("delete", BASE_PATH, NOBODY),
    ("get", DOCUMENTS, "unknown_knowledge_base"): ask("get", DOCUMENTS, NOBODY),
    ("post", DOCUMENTS, "invalid_request"): ask("post", DOCUMENTS, json={"address": "x"}),
    ("post", DOCUMENTS, "not_permitted"): ask("post", DOCUMENTS, json={"url": "/etc/passwd"}),
    ("post", DOCUMENTS, "overloaded"): overloaded(
        ask("post", DOCUMENTS, json={"url": "https://git.example.org/a.git"})
    ),
    ("post", DOCUMENTS, "unknown_knowledge_base"): ask("post", DOCUMENTS, NOBODY, json={"url": "https://x.example/"}),
    ("get", DOCUMENT, "unknown_document"): ask("get", DOCUMENT, {"document_id": "nothing"}),
    ("get", DOCUMENT, "unknown_knowledge_base"): ask("get", DOCUMENT, {"kb": "nobody"}),
    ("delete", DOCUMENT, "not_permitted"): ask("delete", DOCUMENT, reader=True),
    ("delete", DOCUMENT, "unknown_document"): ask("delete", DOCUMENT, {"document_id": "nothing"}),
    ("delete", DOCUMENT, "unknown_knowledge_base"): ask("delete", DOCUMENT, {"kb": "nobody"}),
    ("get", TEXT, "invalid_request"): ask("get", TEXT, params={"start": -1}),
    ("get", TEXT, "unknown_document"): ask("get", TEXT, NOBODY),
    ("get", OCCURRENCES, "invalid_request"): ask("get", OCCURRENCES, params={"text": " "}),
    ("get", OCCURRENCES, "unknown_document"): ask("get", OCCURRENCES, NOBODY, params={"text": "notice"}),
    ("get", PAGE, "invalid_request"): ask("get", PAGE, {"number": "two"}),
    ("get", PAGE, "unknown_document"): ask("get", PAGE, NOBODY),
    ("get", PAGE, "unknown_page"): ask("get", PAGE, {"number": "99"}),
    ("get", IMAGE, "invalid_request"): ask("get", IMAGE, params={"scale": 50}),
    ("get", IMAGE, "unknown_document"): ask("get", IMAGE, NOBODY),
    ("get", IMAGE, "unknown_page"): ask("get", IMAGE, {"number": "99"}),
    ("get", "/api/documents/{document_id}/original", "unknown_document"): ask(
        "get", "/api/documents/{document_id}/original", NOBODY
    ),
    ("get", ACCOUNT, "backend_error"): with_no_model(ask("get", ACCOUNT), BackendError),
    ("get", ACCOUNT, "index_mismatch"): with_no_model(ask("get", ACCOUNT), IndexMismatch),
    ("get", ACCOUNT, "unknown_knowledge_base"): ask("get", ACCOUNT, NOBODY),
    ("get", SOURCES, "unknown_knowledge_base"): ask("get", SOURCES, NOBODY),
    ("get", f"{BASE_PATH}/jobs", "invalid_request"): ask("get", f"{BASE_PATH}/jobs", params={"finished": "perhaps"}),
    ("delete", SOURCE, "not_permitted"): with_a_source(ask("delete", SOURCE, MADE_SOURCE, reader=True)),
    ("delete", SOURCE, "unknown_knowledge_base"): ask("delete", SOURCE, NOBODY),
    ("delete", SOURCE, "unknown_source"): ask("delete", SOURCE, {"source_id": "nothing"}),
    ("post", SYNC, "invalid_request"): ask("post", SYNC, MADE_SOURCE, json={"remove_vanished": "perhaps"}),
    ("post", SYNC, "not_permitted"): with_a_source(ask("post", SYNC, MADE_SOURCE, reader=True)),
    ("post", SYNC, "overloaded"): with_a_source(overloaded(ask("post", SYNC, MADE_SOURCE))),
    ("post", SYNC, "unknown_knowledge_base"): ask("post", SYNC, NOBODY),
    ("post", SYNC, "unknown_source"): ask("post", SYNC, {"source_id": "nothing"}),
    ("get", JOB, "invalid_request"): ask("get", JOB, params={"since": -1}),
    ("get", f"{JOB}/events", "invalid_request"): ask("get", f"{JOB}/events", params={"since": -1}),
    ("post", f"{JOB}/retry", "unknown_job"): ask("post", f"{JOB}/retry", NOBODY),
    ("post", f"{JOB}/retry", "not_permitted"): ask("post", f"{JOB}/retry", reader=True),
    ("post", f"{JOB}/retry", "overloaded"): overloaded(ask("post", f"{JOB}/retry")),
    ("post", f"{JOB}/retry", "invalid_request"): not_finished(ask("post", f"{JOB}/retry")),
    ("get", JOB, "unknown_job"): ask("get", JOB, NOBODY),
    ("delete", JOB, "unknown_job"): ask("delete", JOB, NOBODY),
    ("delete", JOB, "not_permitted"): ask("delete", JOB, reader=True),
    ("get", f"{JOB}/events", "unknown_job"): ask("get", f"{JOB}/events", NOBODY),
    ("post", SEARCH, "backend_error"): with_backends_away(ask("post", SEARCH, json={"question": "x"})),
    ("post", SEARCH, "empty_question"): ask("post", SEARCH, json={"question": "  \n "}),
    ("post", SEARCH, "invalid_request"): ask("post", SEARCH, json={"question": "x", "k": "many"}),
    ("post", SEARCH, "invalid_result_count"): ask("post", SEARCH, json={"question": "x", "k": 0}),
    ("post", SEARCH, "question_too_long"): ask("post", SEARCH, json={"question": "x" * 100_000}),
    ("post", SEARCH, "request_too_large"): ask("post", SEARCH, content=b"x" * (MAX_BODY_BYTES + 1)),
    ("post", SEARCH, "unknown_knowledge_base"): ask("post", SEARCH, json={"question": "x", "knowledge_base": "nobody"}),
    ("post", CHECK, "backend_error"): with_backends_away(ask("post", CHECK, json=written_from("library"))),
    ("post", CHECK, "invalid_request"): ask("post", CHECK, json=written_from("library") | {"passages": []}),
    ("post", CHECK, "request_too_large"): ask("post", CHECK, content=b"x" * (MAX_BODY_BYTES + 1)),
    ("post", CHECK, "unknown_knowledge_base"): ask("post", CHECK, json=written_from("nobody")),
    ("post", REPAIR, "not_permitted"): ask("post", REPAIR, reader=True),
    ("post", REPAIR, "overloaded"): overloaded(ask("post", REPAIR)),
    ("post", REPAIR, "unknown_knowledge_base"): ask("post", REPAIR, NOBODY),
    ("get", BACKUP, "not_permitted"): ask("get", BACKUP),
    ("get", BACKUP, "invalid_settings"): kept_elsewhere("get", BACKUP),
    ("get", "/api/problems/{code}", "not_found"): ask("get", "/api/problems/{code}", NOBODY),
}


def chat(**changes: Any) -> dict[str, Any]:
    return {"model": "library", "messages": [{"role": "user", "content": "x"}], **changes}


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def embed(**changes: Any) -> dict[str, Any]:
    return {"model": "library", "input": "x", **changes}


for _path in ("/api/embeddings", "/v1/embeddings"):
    TRIGGERS |= {
        ("post", _path, "backend_error"): with_backends_away(ask("post", _path, json=embed(input_type="query"))),
        ("post", _path, "invalid_request"): ask("post", _path, json=embed(input=" ")),
        ("post", _path, "request_too_large"): ask("post", _path, content=b"x" * (MAX_BODY_BYTES + 1)),
    }

for _path in ("/api/chat/completions", "/v1/chat/completions"):
    TRIGGERS |= {
        ("post", _path, "backend_error"): with_backends_away(ask("post", _path, json=chat())),
        ("post", _path, "empty_question"): ask("post", _path, json=chat(messages=said(" "))),
        ("post", _path, "invalid_request"): ask("post", _path, json=chat(messages="x")),
        ("post", _path, "invalid_result_count"): ask("post", _path, json=chat(k=0)),
        ("post", _path, "question_too_long"): ask("post", _path, json=chat(messages=said("x" * 100_000))),
        ("post", _path, "request_too_large"): ask("post", _path, content=b"x" * (MAX_BODY_BYTES + 1)),
        ("post", _path, "unknown_knowledge_base"): ask("post", _path, json=chat(knowledge_base_id="nobody")),
    }


@pytest.mark.parametrize(("method", "path", "code"), TRIGGERS)
async def test_a_documented_error_really_occurs(library: Served, method: str, path: str, code: str) -> None:
    documents = await library.document_ids("library")
    own = {"kb": "library", "document_id": documents["contract.pdf"], "number": "1", "job_id": library.job_id}
    answer = await TRIGGERS[method, path, code](library, own)
    told = answer.json()
    assert (told["code"], told["status"], answer.headers["content-type"]) == (
        code,
        answer.status_code,
        "application/problem+json",
    )
    assert told["detail"]


async def test_every_documented_error_has_a_test_that_provokes_it(library: Served) -> None:
    documented = {
        (method, path, code)
        for (method, path), operation in operations(await published(library)).items()
        for response in operation["responses"].values()
        for code in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    without_key = {(method, path, "not_authenticated") for method, path, _ in documented}  # provoked for all, above
    assert documented - without_key == TRIGGERS.keys()
