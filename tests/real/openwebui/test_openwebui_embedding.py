"""Open WebUI's own retrieval with the vectors of `pincite backend up`, set as docs/choosing-a-model.md says."""

import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.real.openwebui.running import ROOT, OpenWebUI, free_port, openwebui, pincite_variables, process

pytestmark = pytest.mark.anyio

KEY = "the backend's key"
LEAVE = "Parental leave is thirty days and may be taken in parts."
# A fact a section; Open WebUI cuts a document at its headings.
MANUAL = "# Manual\n\n" + "\n\n".join(
    f"## Part {number}\n\n{text}"
    for number, text in enumerate(
        (
            "The oil of the hydraulic pump is changed every four hundred hours of operation.",
            LEAVE,
            "Invoices are paid within forty-five days of acceptance of the goods.",
            "A stolen laptop is reported to the security desk within one hour.",
            # Longer in tokens than the model reads at once, and a chunk of Open WebUI's own size all the same.
            "供应商应当在收到订单后三十日内交付全部货物，并承担运输过程中发生的一切费用和风险。" * 24,
        )
    )
)
QUESTIONS = {
    "How often must the pump's oil be replaced?": "four hundred hours",
    "液压泵的油多久更换一次？": "four hundred hours",
    "育儿假有多少天？": "thirty days",
    "Wie schnell muss ein gestohlener Laptop gemeldet werden?": "within one hour",
    "Who bears the costs and risks of transport?": "供应商",
}


def settings(page: str) -> dict[str, str]:
    """Return the settings that a page of the docs gives for Open WebUI."""
    return dict(re.findall(r"^(RAG_\w+)=(.+)$", (ROOT / "docs" / page).read_text("utf-8"), re.MULTILINE))


@pytest.fixture(scope="module")
async def backend(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """`pincite backend up` with the embedded model and a key."""
    folder, port = tmp_path_factory.mktemp("backend"), free_port()
    command = [sys.executable, "-m", "pincite.cli", "backend", "up", "--gpus", "0", "--port", str(port)]
    variables = pincite_variables(folder, port) | {"PINCITE_BACKEND_KEY": KEY}
    address = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        process(command, variables, folder, f"{address}/health"),
        httpx.AsyncClient(base_url=address, headers=headers, timeout=120, trust_env=False) as http,
    ):
        yield http


@pytest.fixture(scope="module")
async def chat(
    backend: httpx.AsyncClient, openwebui_environment: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OpenWebUI]:
    """An Open WebUI of its own, with the settings of the docs from its first start on: some are read nowhere else."""
    address = str(backend.base_url).rstrip("/")
    told = settings("choosing-a-model.md")
    told |= {"RAG_OPENAI_API_KEY": KEY}
    told["RAG_OPENAI_API_BASE_URL"] = told["RAG_OPENAI_API_BASE_URL"].replace("http://127.0.0.1:8000", address)
    async with AsyncExitStack() as running:
        folder = tmp_path_factory.mktemp("openwebui-own-retrieval")
        yield await running.enter_async_context(openwebui(openwebui_environment, folder, address, told))


async def put_in_knowledge(chat: OpenWebUI, name: str, text: str) -> str:
    """Put a file into a new Knowledge as a person does, and return the Knowledge's id."""
    made = await chat.admin.ask("POST", "/api/v1/knowledge/create", {"name": name, "description": name})
    file = {"file": (f"{name}.md", text.encode())}
    sent = await chat.admin.http.post("/api/v1/files/?process_in_background=false", files=file)
    assert sent.is_success, sent.text
    await chat.admin.ask("POST", f"/api/v1/knowledge/{made['id']}/file/add", {"file_id": sent.json()["id"]})
    return str(made["id"])


async def found(chat: OpenWebUI, knowledge: str, question: str) -> tuple[list[str], list[float]]:
    """Return the passages that Open WebUI finds, the best first, and their scores."""
    asked = {"collection_names": [knowledge], "query": question, "k": 3}
    answer = await chat.admin.ask("POST", "/api/v1/retrieval/query/collection", asked)
    return answer["documents"][0], answer["distances"][0]


async def vector(backend: httpx.AsyncClient, text: str, kind: str) -> Any:
    body = {"model": "pincite-embedded-1", "input": text, "input_type": kind}
    answer = (await backend.post("/v1/embeddings", json=body)).raise_for_status()
    return np.array(answer.json()["data"][0]["embedding"])


def test_both_languages_of_the_page_have_the_same_settings() -> None:
    assert settings("choosing-a-model.md") == settings("choosing-a-model.zh.md") != {}


async def test_its_own_retrieval_finds_the_passage_across_languages(
    chat: OpenWebUI, backend: httpx.AsyncClient
) -> None:
    knowledge = await put_in_knowledge(chat, "manual", MANUAL)
    for question, expected in QUESTIONS.items():
        passages, scores = await found(chat, knowledge, question)
        assert expected in passages[0], question
        # The vectors are the backend's: of the passage as a document, and of the question as a question. What is read
        # together shares its 8-bit scale, which makes a hundredth; kinds confused put the first question off by three.
        asked = await vector(backend, question, "query")
        similarity = asked @ await vector(backend, passages[0].replace("\n", " "), "document")
        assert scores[0] == pytest.approx((1 + similarity) / 2, abs=0.02)
    length = (await backend.post("/tokenize", json={"prompt": passages[0]})).raise_for_status().json()
    assert length["count"] > length["max_model_len"]  # the last passage, which was read in parts


async def test_an_administrator_sets_it_while_open_webui_runs(chat: OpenWebUI, backend: httpx.AsyncClient) -> None:
    admin = chat.admin
    knowledge = await put_in_knowledge(chat, "notes", f"# Notes\n\n{LEAVE}\n")
    ours = await admin.ask("GET", "/api/v1/retrieval/embedding")
    assert ours["openai_config"] == {"url": f"{backend.base_url}".rstrip("/") + "/v1", "key": KEY}
    nobody = ours | {"openai_config": {"url": "http://127.0.0.1:9/v1", "key": ""}}
    await admin.ask("POST", "/api/v1/retrieval/embedding/update", nobody)
    asked = {"collection_names": [knowledge], "query": "育儿假有多少天？"}
    refused = await admin.http.post("/api/v1/retrieval/query/collection", json=asked)
    assert refused.status_code == 400  # there is no other source of vectors
    await admin.ask("POST", "/api/v1/retrieval/embedding/update", ours)
    passages, _ = await found(chat, knowledge, "育儿假有多少天？")
    assert LEAVE in passages[0]
