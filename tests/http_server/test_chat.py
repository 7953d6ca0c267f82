"""Answers over OpenAI's interface: the shapes, the citations in them, who may ask what, and OpenAI's own client."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from http_server.app import create_app
from pincite.access import Principal
from tests.http_server.sample_workspace import ADMIN_KEY, NOTICE, Served
from tests.serving import served

pytestmark = pytest.mark.anyio

CONTRACT = "第四条 接口安全\n\n4.1 API密钥由甲方保管。\n\n4.2 API密钥有效期为九十日，期满前应当更换。\n"
REFERENCE: dict[str, Any] = {
    "model": "qwen3-embed",
    "messages": [{"role": "user", "content": "API密钥有效期是多久?"}],
    "knowledge_base_id": "kb_2025_contract_v1",
}


@pytest.fixture(scope="module")
async def contracts(library: Served) -> Served:
    """The library with the knowledge base that the reference request names."""
    job = await library.add("kb_2025_contract_v1", {"contract.md": CONTRACT.encode()})
    assert job.state == "done", job.error
    return library


@pytest.fixture
async def client(contracts: Served) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's client, pointed at a server of ours."""
    async with (
        served(create_app(contracts.workspace)) as address,
        openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=ADMIN_KEY, max_retries=0) as connected,
    ):
        yield connected


def asked(question: str = NOTICE, **more: Any) -> dict[str, Any]:
    return {"model": "library", "messages": [{"role": "user", "content": question}]} | more


@pytest.mark.parametrize("path", ["/api/chat/completions", "/v1/chat/completions"])
async def test_the_reference_request_works_as_written(contracts: Served, path: str) -> None:
    answer = (await contracts.http.post(path, json=REFERENCE)).json()
    assert (answer["object"], answer["model"]) == ("chat.completion", "qwen3-embed")
    [choice] = answer["choices"]
    assert choice["finish_reason"] == "stop"
    assert "4.2 API密钥有效期为九十日，期满前应当更换。" in choice["message"]["content"]
    [cited] = [citation for citation in answer["context"] if citation["cited_by"]]
    assert cited["document"]["path"] == "contract.md"
    assert 0 < cited["score"] <= 1
    assert cited["url"].startswith("http://test/view/")
    [sentence] = [sentence for sentence in answer["answer"]["sentences"] if "九十日" in sentence["text"]]
    assert sentence["citations"] == [cited["number"]]
    assert answer["answer"]["kind"] == "extractive"


async def test_openais_client_gets_the_answer_to_the_reference_request(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(
        model=REFERENCE["model"],
        messages=REFERENCE["messages"],
        extra_body={"knowledge_base_id": REFERENCE["knowledge_base_id"]},
    )
    assert "九十日" in (whole.choices[0].message.content or "")
    assert whole.model_extra is not None
    assert whole.model_extra["context"][0]["document"]["path"] == "contract.md"


async def test_openais_client_gets_the_same_answer_as_a_stream(client: openai.AsyncOpenAI) -> None:
    named = {"knowledge_base_id": REFERENCE["knowledge_base_id"]}
    asked: dict[str, Any] = {"model": REFERENCE["model"], "messages": REFERENCE["messages"], "extra_body": named}
    whole = await client.chat.completions.create(**asked)
    stream = await client.chat.completions.create(**asked, stream=True)
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "九十日" in text
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]
    last, first = chunks[-1].model_extra, whole.model_extra
    assert last is not None
    assert first is not None
    assert [citation["id"] for citation in last["context"]] == [citation["id"] for citation in first["context"]]
    assert chunks[0].choices[0].delta.role == "assistant"


async def test_openais_client_reads_our_errors(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        await client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "x"}])
    assert raised.value.code == "unknown_knowledge_base"
    assert "nobody" in raised.value.message
    with pytest.raises(openai.AuthenticationError):
        await client.with_options(api_key="wrong").chat.completions.create(**asked())


async def test_the_page_of_a_cited_sentence_holds_its_quote(contracts: Served) -> None:
    answer = (await contracts.http.post("/v1/chat/completions", json=asked())).json()
    assert answer["answer"]["sentences"]
    for sentence in answer["answer"]["sentences"]:
        for quote in sentence["quotes"]:
            citation = answer["context"][quote["number"] - 1]
            assert citation["text"][quote["start"] : quote["end"]] == quote["text"]
            document = citation["document"]["id"]
            assert citation["marks"]
            if citation["document"]["path"] == "contract.pdf":
                assert {box["page"] for box in citation["boxes"]} == set(citation["pages"])
            if citation.get("page"):
                page = await contracts.http.get(f"/api/documents/{document}/pages/{citation['page']}")
                assert quote["text"] in page.json()["text"]


async def test_several_knowledge_bases_are_asked_by_name_and_by_id(contracts: Served) -> None:
    library = (await contracts.http.get("/api/knowledge-bases/library")).json()["id"]
    both = asked("API密钥有效期 ninety days of written notice", knowledge_base_id=[library, "kb_2025_contract_v1"])
    answer = (await contracts.http.post("/v1/chat/completions", json=both | {"k": 10})).json()
    assert {citation["knowledge_base_id"] for citation in answer["context"]} >= {library}
    for named in (library, "library", [library]):
        one = asked(NOTICE, model="any", knowledge_base_id=named)
        context = (await contracts.http.post("/v1/chat/completions", json=one)).json()["context"]
        assert {citation["knowledge_base_id"] for citation in context} == {library}
    one = asked(NOTICE, knowledge_base_id="kb_2025_contract_v1")
    context = (await contracts.http.post("/v1/chat/completions", json=one)).json()["context"]
    assert library not in {citation["knowledge_base_id"] for citation in context}


async def test_a_key_without_the_knowledge_base_gets_nothing_of_it(contracts: Served) -> None:
    key = await contracts.key({"read"}, frozenset({"kb_other"}))
    for request in (asked(), REFERENCE, REFERENCE | {"knowledge_base_id": ["kb_2025_contract_v1"]}):
        answer = await contracts.http.post("/v1/chat/completions", json=request, headers=key)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_knowledge_base")


async def test_the_last_message_of_the_user_is_the_question_and_its_text_parts_are_read(contracts: Served) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the weather?"},
        {"role": "assistant", "content": "I do not know."},
        {"role": "user", "content": [{"type": "text", "text": NOTICE}, {"type": "image_url", "image_url": {}}]},
    ]
    answer = await contracts.http.post("/v1/chat/completions", json=asked() | {"messages": messages, "temperature": 0})
    assert answer.json()["answer"]["question"] == NOTICE
    nothing = await contracts.http.post("/v1/chat/completions", json=asked() | {"messages": messages[:1]})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "empty_question")


async def test_a_question_that_the_documents_do_not_answer_is_refused_as_an_answer(contracts: Served) -> None:
    answer = (await contracts.http.post("/v1/chat/completions", json=asked("谁赢得了世界杯？"))).json()
    assert answer["answer"]["kind"] == "refusal"
    assert answer["choices"][0]["message"]["content"].startswith("文档中似乎没有")


async def test_a_stream_is_server_sent_events_that_end_with_done(contracts: Served) -> None:
    streamed = await contracts.http.post("/api/chat/completions", json=asked(stream=True))
    assert streamed.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in streamed.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert {json.loads(event)["object"] for event in events[:-1]} == {"chat.completion.chunk"}


async def test_a_stream_shows_open_webui_each_source_before_the_text_that_cites_it(contracts: Served) -> None:
    streamed = await contracts.http.post("/v1/chat/completions", json=asked(stream=True))
    chunks = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
    assert all(chunk["choices"] for chunk in chunks)  # other clients read every chunk as one of OpenAI's
    text, shown = "", []
    for chunk in chunks:
        text += chunk["choices"][0]["delta"].get("content", "")
        if "event" in chunk:
            shown.append(chunk["event"]["data"])
        assert max(map(int, re.findall(r"\[(\d)\]", text)), default=0) <= len(shown)
    context = chunks[-1]["context"]
    assert [source["source"]["id"] for source in shown] == [f"pincite:{each['id']}" for each in context[: len(shown)]]
    first, cited = shown[0], context[0]
    assert first["source"]["name"] == "contract.pdf, p. 2"
    assert first["metadata"][0]["page"] == cited["page"] - 1  # counted from 0 there, and only there
    assert first["source"]["embed_url"].startswith("http://test/view/")
    assert "<mark>" in first["document"][0]
    assert first["distances"] == [cited["score"]]


async def test_the_models_are_the_knowledge_bases_that_may_be_read(
    client: openai.AsyncOpenAI, contracts: Served
) -> None:
    listed = [model async for model in client.models.list()]
    assert [model.id for model in listed] == ["kb_2025_contract_v1", "library"]
    library = (await contracts.http.get("/api/knowledge-bases/library")).json()["id"]
    key = await contracts.key({"read"}, frozenset({library}))
    own = (await contracts.http.get("/v1/models", headers=key)).json()["data"]
    assert [(model["id"], model["knowledge_base_id"]) for model in own] == [("library", library)]


async def test_openais_client_gets_vectors(client: openai.AsyncOpenAI, contracts: Served) -> None:
    embedder = await contracts.workspace.embedder(Principal.system(), "library")
    for name in ("library", "qwen3-embed"):
        answer = await client.embeddings.create(model=name, input=[NOTICE, "something else"])
        assert [len(vector.embedding) for vector in answer.data] == [embedder.model.dimensions] * 2
        assert answer.model == embedder.model.id
    also = await contracts.http.post("/api/embeddings", json={"model": "library", "input": NOTICE})
    assert also.json()["data"][0]["embedding"] == pytest.approx(answer.data[0].embedding, abs=1e-6)
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        await client.embeddings.create(model="library", input=[])
    assert raised.value.code == "invalid_request"
