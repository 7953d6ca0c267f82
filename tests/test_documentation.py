"""The examples in the docs work as they are printed, and the README keeps its promises."""

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from http_server.app import create_app
from mcp_server.server import streamable_http_app
from pincite.settings import load_settings
from pincite.workspace import Workspace
from tests.serving import served

ROOT = Path(__file__).resolve().parents[1]
KEY = "key-for-the-examples-in-the-docs"
README_LINES = 50
SAMPLES = ("handbook.pdf", "contract.zh.pdf", "manual.md")


@pytest.fixture(scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A server as a reader of the docs has it, with the embedded model."""
    settings = load_settings(data=tmp_path_factory.mktemp("docs"), admin_key=KEY, parser_workers=1)
    async with (
        Workspace(settings) as workspace,
        served(create_app(workspace, streamable_http_app(workspace))) as url,
    ):
        yield url


def snippets(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


async def run(address: str, *command: str) -> str:
    variables = os.environ | {"PINCITE_URL": address, "PINCITE_KEY": KEY}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=variables, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, errors = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, errors.decode()
    return printed.decode()


@pytest.mark.anyio
@pytest.mark.skipif(not shutil.which("curl"), reason="the examples call curl, which is not installed")
async def test_the_rest_and_mcp_examples_end_with_a_cited_passage(address: str) -> None:
    script = "set -e\n" + "\n".join(snippets("docs/rest.md", "sh"))
    printed = await run(address, "bash", "-c", script)
    found = printed.index('{"question"')
    answer, end = json.JSONDecoder().raw_decode(printed, found)
    assert answer["passages"][0]["document"]["path"].endswith("handbook.pdf")
    assert answer["passages"][0]["page"] == 12
    completion = json.loads(printed[end:])
    assert "within one hour of noticing" in completion["choices"][0]["message"]["content"]
    (example,) = snippets("docs/mcp.md", "python")
    assert "/view/" in await run(address, sys.executable, "-W", "error", "-c", example)
    (asked,) = snippets("docs/answers.md", "python")
    assert "within one hour of noticing" in await run(address, sys.executable, "-c", asked)
    (_, curl) = snippets("docs/answers.zh.md", "sh")
    across = json.loads(await run(address, "bash", "-c", curl))
    assert across["answer"]["language"] == "zh"
    assert any(citation["cited_by"] and citation["page"] == 12 for citation in across["context"])


@pytest.mark.anyio
@pytest.mark.parametrize("page", ["README.md", "README.zh.md"])
async def test_the_readme_shows_the_answer_that_its_question_gets(address: str, page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    question = re.findall(r'search samples "(.*)"', text)[0]
    title, number, section = re.findall(r"\*\*(.*)\*\*(?:, page |，第 )(\d+)(?:, | 页，)\*(.*)\*", text)[0]
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as http:
        await index_samples(http, address)
        found = await ask(http, address, question)
        (across,) = re.findall(r"“([^”]+[?？])”", text)
        assert (await ask(http, address, across))["page"] == int(number)
    assert (found["document"]["title"], found["page"]) == (title, int(number))
    assert found["section"].endswith(section)
    (quoted,) = re.findall(r"(?:^> [^*\n]+\n)+", text, re.MULTILINE)
    assert squeezed(re.sub(r"^> ", "", quoted, flags=re.MULTILINE)).rstrip("…") in squeezed(found["text"])


@pytest.mark.anyio
async def test_the_transcript_is_what_an_agent_gets(address: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(headers=headers, timeout=60) as http:
        await index_samples(http, address)
    issued = await run(address, sys.executable, "-W", "error", "-c", TRANSCRIPT)
    recorded = (ROOT / "docs/mcp-transcript.md").read_text("utf-8")
    # The key of this test may write, which the recording's may too: the tools offered are the same.
    assert issued.strip() == recorded.strip()


TRANSCRIPT = """
import asyncio, os
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from benchmarks.transcript import TASKS, Agent

async def main():
    headers = {"Authorization": "Bearer " + os.environ["PINCITE_KEY"]}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        async with Client(streamable_http_client(os.environ["PINCITE_URL"] + "/mcp", http_client=http)) as client:
            print(await Agent(client).work(TASKS, "samples"))

asyncio.run(main())
"""


async def index_samples(http: httpx.AsyncClient, address: str) -> None:
    """Index what `scripts/run` indexes; what is there already costs nothing."""
    await http.post(f"{address}/api/knowledge-bases", json={"name": "samples"})
    files = [("files", (name, (ROOT / "samples" / name).read_bytes())) for name in SAMPLES]
    job = (await http.post(f"{address}/api/knowledge-bases/samples/documents", files=files)).json()["id"]
    async with http.stream("GET", f"{address}/api/jobs/{job}/events") as events:
        assert "done" in "".join([line async for line in events.aiter_lines()])


async def ask(http: httpx.AsyncClient, address: str, question: str) -> dict[str, Any]:
    asked = {"knowledge_base": "samples", "question": question, "k": 1}
    answer: dict[str, Any] = (await http.post(f"{address}/api/search", json=asked)).json()
    assert answer["passages"], answer["why"]
    passage: dict[str, Any] = answer["passages"][0]
    return passage


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("page", ["README.md", "README.zh.md"])
def test_the_readme_fits_a_screen(page: str) -> None:
    assert len((ROOT / page).read_text("utf-8").splitlines()) <= README_LINES


@pytest.mark.parametrize("page", sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")))
def test_links_between_pages_lead_somewhere(page: str) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize(
    "page", ["README.md", "README.zh.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
)
def test_links_of_the_papers_lead_somewhere(page: str) -> None:
    assert broken_links(page) == []


def broken_links(page: str) -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    local = [target for target in targets if "://" not in target]
    return [target for target in local if not ((ROOT / page).parent / target).exists()]


def test_every_script_of_the_contributing_guide_exists() -> None:
    named = set(re.findall(r"`((?:scripts|\.ci)/[a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text("utf-8")))
    assert named
    assert all(os.access(ROOT / name, os.X_OK) for name in named)
