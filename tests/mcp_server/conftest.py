"""A workspace with three documents in two knowledge bases, which the tests of the MCP server read."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pymupdf
import pytest

from pincite.access import Principal
from pincite.keyring import issue_key
from pincite.settings import load_settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder

OWNER = Principal.system()
NOTICE = "Either party may end this agreement with ninety days of written notice."
MANUAL = "# Pump manual\n\n" + "\n\n".join(
    f"## Step {number}\n\n"
    + " ".join(f"Tighten bolt {number}-{bolt} of the pump with a torque of {bolt} newton metres." for bolt in range(60))
    for number in range(1, 9)
)


@dataclass(frozen=True)
class Library:
    """An open workspace, the ids of its documents by path, and keys that may read or write "contracts" only."""

    workspace: Workspace
    documents: dict[str, str]
    key: str
    writing_key: str


@pytest.fixture(scope="module")
async def library(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Library]:
    folder = tmp_path_factory.mktemp("library")
    sources = folder / "sources"
    sources.mkdir()
    (sources / "contract.pdf").write_bytes(contract_pdf())
    (sources / "manual.md").write_text(MANUAL)
    (sources / "dense.pdf").write_bytes(dense_pdf())
    settings = load_settings(data=folder / "data", public_url="http://library.test", parser_workers=1)
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        documents = {}
        for name, file in (("contracts", "contract.pdf"), ("manuals", "manual.md"), ("manuals", "dense.pdf")):
            path = sources / file
            added = await workspace.add(OWNER, name, [str(path)], create=True)
            finished = [job async for job in workspace.job_events(OWNER, added.id)][-1]
            assert finished.state == "done", finished
            documents[path.name] = finished.results[0]["document_id"]
        contracts = await workspace.knowledge_base(OWNER, "contracts")
        _, key = issue_key(workspace._opened.catalog, "an agent", {"read"}, frozenset({contracts.id}))
        writes = {"read", "write"}
        _, writing_key = issue_key(workspace._opened.catalog, "an editor", writes, frozenset({contracts.id}))
        yield Library(workspace, documents, key, writing_key)


def contract_pdf() -> bytes:
    """Two pages labelled i and 1; the notice stands on the second."""
    document = pymupdf.open()
    title = document.new_page()
    title.insert_text((72, 120), "Supply agreement", fontsize=24)
    clauses = document.new_page()
    clauses.insert_text((72, 100), "2 Termination", fontsize=16)
    clauses.insert_text((72, 130), NOTICE, fontsize=11)
    document.set_page_labels(
        [
            {"startpage": 0, "prefix": "", "style": "r", "firstpagenum": 1},
            {"startpage": 1, "prefix": "", "style": "D", "firstpagenum": 1},
        ]
    )
    document.set_toc([[1, "2 Termination", 2]])
    document.set_metadata({"title": "Supply agreement"})
    data: bytes = document.tobytes()
    return data


def dense_pdf() -> bytes:
    """One page with more text than a tool's result may hold."""
    document = pymupdf.open()
    page = document.new_page(width=2000, height=2000)
    lines = [f"Rule {number} says that valve {number} is closed before valve {number + 1}." for number in range(600)]
    for column in range(4):
        page.insert_text((40 + column * 490, 60), lines[column * 150 : column * 150 + 150], fontsize=10)
    data: bytes = document.tobytes()
    return data
