"""Answers by a language model that the settings name, from OpenAI's client through the server to the model and back."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from http_server.app import create_app
from tests.answers.scripted_model import ScriptedModel
from tests.http_server.sample_workspace import ADMIN_KEY, DOCUMENTS, NOTICE, Served, serve
from tests.serving import served

pytestmark = pytest.mark.anyio

WRITTEN = "Either party may end the agreement with 90 days of written notice [1]. Pigs can fly [1]. See [9]."


@pytest.fixture
def scripted() -> ScriptedModel:
    return ScriptedModel(WRITTEN)


@pytest.fixture
async def library(scripted: ScriptedModel, tmp_path: Path) -> AsyncIterator[Served]:
    """A workspace whose settings name the scripted model, with the samples in it."""
    async with served(scripted.app) as address, serve(tmp_path, llm_url=address, llm_key="the key") as opened:
        job = await opened.add("library", DOCUMENTS)
        assert job.state == "done", job.error
        yield opened
        scripted.released.set()


def asked(**more: Any) -> dict[str, Any]:
    return {"model": "library", "messages": [{"role": "user", "content": NOTICE}], **more}


async def test_openais_client_streams_a_checked_answer(library: Served, scripted: ScriptedModel) -> None:
    async with (
        served(create_app(library.workspace)) as address,
        openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=ADMIN_KEY, max_retries=0) as client,
    ):
        stream = await client.chat.completions.create(**asked(stream=True))
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text.startswith("Either party may end the agreement with 90 days of written notice [1].")
    assert "Pigs can fly [1] (⚠ unsupported)." in text
    assert "[9]" not in text
    last = chunks[-1].model_extra
    assert last is not None
    assert [sentence["status"] for sentence in last["answer"]["sentences"]] == ["supported", "unsupported"]
    assert NOTICE in last["context"][0]["text"]
    assert scripted.keys == ["Bearer the key"]


async def test_the_passages_are_there_when_the_model_breaks_off(library: Served, scripted: ScriptedModel) -> None:
    scripted.goes = "cut"
    answer = (await library.http.post("/v1/chat/completions", json=asked())).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert (answer["answer"]["kind"], answer["answer"]["complete"]) == ("written", False)
    assert answer["context"]
    scripted.goes = "failing"
    answer = (await library.http.post("/v1/chat/completions", json=asked())).json()
    assert (answer["answer"]["kind"], answer["choices"][0]["finish_reason"]) == ("extractive", "stop")
    assert any("answered 500" in note for note in answer["answer"]["notes"])


async def test_help_is_a_setting_that_a_request_overrides(library: Served, scripted: ScriptedModel) -> None:
    scripted.reply = lambda messages: "NOT_FOUND" if "passages" in messages[0]["content"] else "An imagined answer."
    on = await library.http.patch("/api/knowledge-bases/library", json={"settings": {"hyde": True}})
    assert on.json()["settings"]["hyde"] is True
    steps = [
        [
            step["step"]
            for step in (await library.http.post("/v1/chat/completions", json=request)).json()["answer"]["trace"]
        ]
        for request in (asked(), asked(query_help={"hyde": False}))
    ]
    assert ["hyde" in names for names in steps] == [True, False]
    wrong = await library.http.post("/v1/chat/completions", json=asked(query_help={"hide": True}))
    assert wrong.status_code == 422


async def test_help_that_is_late_is_left_out_after_the_seconds_that_are_set(tmp_path: Path) -> None:
    scripted = ScriptedModel(WRITTEN, silent_to=lambda messages: "passages" not in messages[0]["content"])
    async with served(scripted.app) as address, serve(tmp_path, llm_url=address, llm_help_timeout_s=0.05) as library:
        await library.add("library", DOCUMENTS)
        plain, helped = [
            (await library.http.post("/v1/chat/completions", json=request)).json()
            for request in (asked(), asked(query_help={"hyde": True, "sub_questions": True}))
        ]
        scripted.released.set()
    told = {step["step"]: step["outcome"] for step in helped["answer"]["trace"]}
    late = "left out: the language model did not answer within 0.05 s"
    assert (told["hyde"], told["sub-questions"]) == (late, late)
    assert [citation["id"] for citation in helped["context"]] == [citation["id"] for citation in plain["context"]]
    assert helped["choices"] == plain["choices"]
