"""Documents in, cited passages out, over REST."""

import json
import logging
import shutil
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.http_server.sample_workspace import CHINESE, DOCUMENTS, MANUAL, NOTICE, Served

pytestmark = pytest.mark.anyio


def events(body: str) -> list[tuple[str, dict[str, object]]]:
    found = []
    for block in body.replace("\r\n", "\n").split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "data" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


async def test_an_upload_is_followed_to_its_end_and_then_found(empty: Served) -> None:
    http = empty.http
    created = await http.post("/api/knowledge-bases", json={"name": "library", "settings": {"top_k": 2}})
    assert (created.status_code, created.json()["settings"]["top_k"]) == (201, 2)
    assert created.headers["location"] == f"/api/knowledge-bases/{created.json()['id']}"

    files = [("files", file) for file in DOCUMENTS.items()]
    added = await http.post("/api/knowledge-bases/library/documents", files=files)
    assert (added.status_code, added.headers["location"]) == (202, f"/api/jobs/{added.json()['id']}")

    followed = events((await http.get(f"{added.headers['location']}/events")).text)
    assert [name for name, _ in followed[:-1]] == ["progress"] * (len(followed) - 1)
    name, job = followed[-1]
    assert (name, job["state"], job["done"], job["total"]) == ("finished", "done", 3, 3)
    assert job == (await http.get(added.headers["location"])).json()

    answer = (await http.post("/api/search", json={"knowledge_base": "library", "question": NOTICE})).json()
    first = answer["passages"][0]
    assert NOTICE in first["text"]
    assert (first["page"], first["page_label"], first["document"]["path"]) == (2, "1", "contract.pdf")
    assert (answer["why"], answer["answerable"]) == (None, True)
    assert len(answer["passages"]) <= 2

    opened = await empty.anonymous().get(first["url"])
    assert (opened.status_code, opened.headers["content-type"]) == (200, "text/html; charset=utf-8")


async def test_a_citation_is_the_verbatim_text_of_its_document_with_boxes_on_its_page(library: Served) -> None:
    asked = {"question": "ninety days of written notice", "k": 1}
    (passage,) = (await library.http.post("/api/search", json=asked)).json()["passages"]
    address = f"/api/documents/{passage['document']['id']}"
    text = (await library.http.get(f"{address}/text", params={"start": passage["start"], "end": passage["end"]})).json()
    assert text["text"] == passage["text"]

    assert passage["page"] in passage["pages"]
    assert {box["page"] for box in passage["boxes"]} == set(passage["pages"])
    for number in passage["pages"]:
        page = (await library.http.get(f"{address}/pages/{number}")).json()
        boxes = [box for box in passage["boxes"] if box["page"] == number]
        cited = [word for word in page["words"] if passage["start"] <= word[0] and word[1] <= passage["end"]]
        assert cited
        assert all(any(covers(box, word[2:]) for box in boxes) for word in cited)


def covers(box: dict[str, float], word: list[float]) -> bool:
    """Say whether a word lies in a box, to the tenth of a point that the citation is rounded to."""
    x0, y0, x1, y1 = word
    return box["x0"] <= x0 + 0.1 and box["y0"] <= y0 + 0.1 and box["x1"] >= x1 - 0.1 and box["y1"] >= y1 - 0.1


async def test_a_page_has_its_label_its_size_and_its_words(library: Served) -> None:
    ids = await library.document_ids("library")
    page = (await library.http.get(f"/api/documents/{ids['contract.pdf']}/pages/2")).json()
    assert (page["number"], page["label"], page["width"], page["height"]) == (2, "1", 595, 842)
    words = [page["text"][start - page["start"] : end - page["start"]] for start, end, *_ in page["words"]]
    assert words[:2] == ["1", "Term"]
    assert words == page["text"].split()


async def test_exact_words_are_found_with_their_page_and_boxes(library: Served) -> None:
    address = f"/api/documents/{(await library.document_ids('library'))['contract.pdf']}"
    asked = {"text": "ninety days of written notice"}
    found = (await library.http.get(f"{address}/occurrences", params=asked)).json()
    [place] = found["occurrences"]
    text = (await library.http.get(f"{address}/text", params={"start": place["start"], "end": place["end"]})).json()
    assert found["total"] == 1
    assert text["text"] == place["text"]
    assert " ".join(place["text"].split()) == asked["text"]
    assert (place["page"], place["page_label"], place["pages"]) == (2, "1", [2])
    assert [box["page"] for box in place["boxes"]] == [2]
    assert (await library.http.get(f"{address}/occurrences", params=asked | {"skip": 1})).json()["occurrences"] == []


async def test_a_passage_of_a_format_without_pages_names_no_page(library: Served) -> None:
    asked = {"knowledge_base": "library", "question": "Change the oil every 400 hours of operation", "k": 1}
    (passage,) = (await library.http.post("/api/search", json=asked)).json()["passages"]
    assert passage["document"]["path"] == "manual.md"
    assert not {"page", "pages", "page_label"} & passage.keys()
    assert "page" not in parse_qs(urlsplit(passage["url"]).query)


async def test_a_filter_decides_which_documents_may_answer(library: Served) -> None:
    asked = {"question": "oil", "k": 20, "filter": {"media_types": ["application/pdf"]}}
    found = (await library.http.post("/api/search", json=asked)).json()["passages"]
    assert {passage["document"]["path"] for passage in found} <= {"contract.pdf"}
    asked["filter"] = {"path_prefix": "no-such-folder/"}
    answer = (await library.http.post("/api/search", json=asked)).json()
    assert (answer["passages"], answer["why"]["reason"]) == ([], "filtered_out")


async def test_an_empty_knowledge_base_says_why_nothing_was_found(empty: Served) -> None:
    await empty.http.post("/api/knowledge-bases", json={"name": "new"})
    answer = (await empty.http.post("/api/search", json={"knowledge_base": "new", "question": "anything"})).json()
    assert answer["why"]["reason"] == "empty_knowledge_base"
    assert not answer["answerable"]


async def test_a_file_that_cannot_be_read_fails_by_name_and_the_rest_goes_on(empty: Served) -> None:
    files = {
        "broken.pdf": b"%PDF-1.7 nothing else",
        "empty.txt": b"",
        "big.txt": b"word " * 300_000,
        "ok.md": b"# Fine\n",
    }
    job = await empty.add("mixed", files)
    outcomes = {result["path"]: (result["status"], (result["error"] or {}).get("code")) for result in job.results}
    assert outcomes == {
        "broken.pdf": ("failed", "corrupt_document"),
        "empty.txt": ("failed", "empty_document"),
        "big.txt": ("failed", "document_too_large"),
        "ok.md": ("indexed", None),
    }
    assert list(empty.workspace.incoming.iterdir()) == []


async def test_a_page_without_text_makes_a_document_partial_and_is_told(library: Served) -> None:
    documents = (await library.http.get("/api/knowledge-bases/library/documents")).json()
    contract = next(document for document in documents if document["path"] == "contract.pdf")
    assert (contract["status"], contract["pages"]) == ("partial", 3)
    assert [(warning["code"], warning["page"]) for warning in contract["warnings"]] == [("page_without_text", 3)]
    same = await library.http.get(f"/api/knowledge-bases/library/documents/{contract['id']}")
    assert same.json() == contract


async def test_text_is_returned_in_bounded_pieces_that_join_to_the_whole(library: Served) -> None:
    ids = await library.document_ids("library")
    address = f"/api/documents/{ids['manual.md']}/text"
    whole = (await library.http.get(address)).json()
    assert (whole["text"], whole["start"], whole["end"], whole["total"]) == (MANUAL, 0, len(MANUAL), len(MANUAL))
    pieces = [(await library.http.get(address, params={"start": s, "end": s + 50})).json() for s in range(0, 500, 50)]
    assert "".join(piece["text"] for piece in pieces) == MANUAL
    chinese = (await library.http.get(f"/api/documents/{ids['手册.md']}/text")).json()
    assert chinese["text"] == CHINESE


async def test_a_page_is_drawn_and_the_original_comes_back_byte_by_byte(library: Served) -> None:
    ids = await library.document_ids("library")
    address = f"/api/documents/{ids['contract.pdf']}"
    picture = await library.http.get(f"{address}/pages/2/image", params={"scale": 1})
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    original = await library.http.get(f"{address}/original")
    assert original.content == DOCUMENTS["contract.pdf"]
    assert 'attachment; filename="contract.pdf"' in original.headers["content-disposition"]


async def test_settings_are_changed_and_a_knowledge_base_is_removed(empty: Served) -> None:
    await empty.add("short-lived", {"ok.md": b"# Fine\n\nAll is well.\n"})
    changed = await empty.http.patch("/api/knowledge-bases/short-lived", json={"settings": {"top_k": 9}})
    assert changed.json()["settings"]["top_k"] == 9
    (document,) = (await empty.http.get("/api/knowledge-bases/short-lived/documents")).json()
    removed = await empty.http.delete(f"/api/knowledge-bases/short-lived/documents/{document['id']}")
    assert removed.status_code == 204
    assert (await empty.http.get("/api/knowledge-bases/short-lived")).json()["documents"] == 0
    assert (await empty.http.delete("/api/knowledge-bases/short-lived")).status_code == 204
    assert (await empty.http.get("/api/knowledge-bases")).json() == []


async def test_health_needs_no_key_and_readiness_names_the_parts(empty: Served) -> None:
    anonymous = empty.anonymous()
    assert (await anonymous.get("/healthz")).json() == {"status": "ok"}
    ready = await anonymous.get("/readyz")
    state = ready.json()
    assert ready.status_code == (200 if state["ready"] else 503)
    assert {"catalog", "model", "index"} <= state.keys()


async def test_requests_are_counted_by_route_and_tokens_appear_nowhere(
    library: Served, caplog: pytest.LogCaptureFixture
) -> None:
    asked = {"question": "ninety days of written notice", "k": 1}
    with caplog.at_level(logging.DEBUG):
        (passage,) = (await library.http.post("/api/search", json=asked)).json()["passages"]
        await library.anonymous().get(passage["url"])
    token = parse_qs(urlsplit(passage["url"]).query)["t"][0]
    exposed = (await library.http.get("/metrics")).text
    assert 'pincite_http_requests_total{method="POST",route="/api/search",status="200"}' in exposed
    assert 'pincite_http_request_seconds_count{method="GET",route="/view/{document_id}"}' in exposed
    assert "pincite_search_seconds_count" in exposed
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    assert any(f"GET /view/{passage['document']['id']} 200" in line for line in ours)
    for said in (exposed, *ours):
        assert token not in said
        assert "ninety days" not in said


async def test_addresses_and_methods_that_do_not_exist_are_problems_too(library: Served) -> None:
    for answer, status in (
        (await library.http.get("/api/nothing"), 404),
        (await library.http.put("/api/search"), 405),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json()["status"] == status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[" * 200_000,
        b'{"question": "x"',
        b"\xff\xfe",
        b'{"question": 7}',
        b'{"question": "x", "k": 1e400}',
        b'{"question": "\\ud800"}',
        b'{"question": "x", "knowledge_base": "\\udfff"}',
        b'{"question": "x", "\\ud800": 1}',
        b'{"question": "x", "unknown": 1}',
    ],
)
async def test_a_body_that_makes_no_sense_is_the_callers_mistake(library: Served, body: bytes) -> None:
    answer = await library.http.post("/api/search", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_answers_carry_headers_that_bind_a_browser(library: Served) -> None:
    answer = await library.http.get("/api/knowledge-bases")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_the_key_decides_what_exists(library: Served) -> None:
    """A key for another knowledge base sees nothing of this one, not even that it is there."""
    stranger = await library.key({"read", "write"}, frozenset({"kb_other"}))
    ids = await library.document_ids("library")
    address = f"/api/documents/{ids['contract.pdf']}"
    for path in (
        "/api/knowledge-bases/library",
        "/api/knowledge-bases/library/documents",
        f"{address}/text",
        f"{address}/occurrences?text=notice",
        f"{address}/pages/1",
        f"{address}/pages/1/image",
        f"{address}/original",
    ):
        assert (await library.http.get(path, headers=stranger)).status_code == 404, path
    assert (await library.http.get("/api/knowledge-bases", headers=stranger)).json() == []
    answer = await library.http.post("/api/search", json={"question": "written notice"}, headers=stranger)
    assert answer.json()["passages"] == []


async def test_an_upload_without_the_right_is_refused_before_it_is_read(library: Served) -> None:
    reader = await library.key({"read"})
    pulled = False

    async def body() -> httpx.AsyncByteStream:  # type: ignore[misc]
        nonlocal pulled
        pulled = True
        yield b""

    headers = {**reader, "content-type": "multipart/form-data; boundary=b"}
    answer = await library.http.post("/api/knowledge-bases/library/documents", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["code"], pulled) == (403, "not_permitted", False)


async def test_a_damaged_index_is_a_problem_that_says_what_mends_it(
    empty: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.generations.QUIET_S", 3600)  # nothing is written while files are deleted
    await empty.add("manuals", {"manual.md": DOCUMENTS["manual.md"]})
    asked = {"knowledge_base": "manuals", "question": "Change the <oil> every 400 hours of operation."}
    assert (await empty.http.post("/api/search", json=asked)).json()["passages"]
    [table] = (empty.workspace.settings.data / "index").glob("*.lance")
    shutil.rmtree(table)
    answer = await empty.http.post("/api/search", json=asked)
    assert (answer.status_code, answer.json()["type"]) == (503, "/api/problems/index_damaged")
    assert "doctor --repair" in answer.json()["detail"]
