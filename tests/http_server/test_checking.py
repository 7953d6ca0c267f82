"""A text that was written elsewhere, held against the passages it cites."""

from typing import Any

import pytest

from tests.http_server.sample_workspace import NOTICE, Served

pytestmark = pytest.mark.anyio


async def passages_of(library: Served, question: str) -> list[dict[str, Any]]:
    asked = {"knowledge_base": "library", "question": question}
    found: list[dict[str, Any]] = (await library.http.post("/api/search", json=asked)).json()["passages"]
    return found


async def test_each_sentence_is_held_against_the_passages(library: Served) -> None:
    passages = await passages_of(library, NOTICE)
    text = f"{NOTICE} [1] The notice period is eighty days [1]. It is [here](https://evil.example) [9]."
    checked = (await library.http.post("/api/check", json={"text": text, "passages": passages})).json()
    assert [sentence["status"] for sentence in checked["sentences"][:2]] == ["supported", "unsupported"]
    assert checked["sentences"][0]["quotes"][0]["text"] == NOTICE
    assert "(⚠ unsupported)" in checked["text"]
    assert "evil.example" not in checked["text"]


async def test_a_sentence_in_another_language_is_unsupported_where_no_search_finds_its_passage(library: Served) -> None:
    passages = await passages_of(library, "员工每年享有十五天带薪年假")
    chinese = next(passage for passage in passages if passage["document"]["path"] == "手册.md")
    asked = {"text": "Nobody may enter the hall of the turbines [1].", "passages": [chinese]}
    (sentence,) = (await library.http.post("/api/check", json=asked)).json()["sentences"]
    assert sentence["status"] == "unsupported"


async def test_passages_of_a_knowledge_base_that_may_not_be_read_are_not_looked_for(library: Served) -> None:
    passage = (await passages_of(library, NOTICE))[0] | {"knowledge_base_id": "kb_of_others"}
    answer = await library.http.post("/api/check", json={"text": "Ninety days [1].", "passages": [passage]})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_knowledge_base")


@pytest.mark.parametrize("wrong", [{"passages": []}, {"text": "x" * 100_001}, {"passages": [{"text": "no place"}]}])
async def test_what_cannot_be_checked_is_refused(library: Served, wrong: dict[str, Any]) -> None:
    asked = {"text": "Ninety days [1].", "passages": await passages_of(library, NOTICE)} | wrong
    answer = await library.http.post("/api/check", json=asked)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"
