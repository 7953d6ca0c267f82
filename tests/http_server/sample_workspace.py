"""A served workspace with a few small documents in it, made here, for the tests of REST and the viewer."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pymupdf
import uvicorn
from fastapi import FastAPI

from embedding_backend import Embedder
from http_server.app import create_app
from pincite.access import Principal
from pincite.keyring import issue_key
from pincite.records import Job
from pincite.settings import load_settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder

ADMIN_KEY = "admin-key-for-the-tests-only"
BASE = "http://test"

NOTICE = "Either party may end this agreement with ninety days of written notice."
MANUAL = """# Pump manual

Read this before the first start.

## Maintenance

Change the <oil> every 400 hours of operation. Use mineral oil only.

## Storage

Keep the pump dry & warm.
"""
CHINESE = "# 员工手册\n\n## 年假\n\n员工每年享有十五天带薪年假，须提前两周申请。\n"


def contract_pdf() -> bytes:
    """Three pages labelled i, 1 and 2: a title page, the clauses, and a page that only has a picture."""
    document = pymupdf.open()
    title = document.new_page(width=595, height=842)
    title.insert_text((72, 120), "Supply agreement", fontsize=24)
    title.insert_text((72, 160), "between the buyer and the seller", fontsize=12)
    clauses = document.new_page(width=595, height=842)
    clauses.insert_text((72, 100), "1 Term", fontsize=16)
    clauses.insert_text((72, 130), "The agreement begins on the first of March.", fontsize=11)
    clauses.insert_text((72, 400), "2 Termination", fontsize=16)
    clauses.insert_text((72, 430), NOTICE, fontsize=11)
    clauses.insert_text((72, 446), "The notice must name its reason.", fontsize=11)
    picture = document.new_page(width=595, height=842)
    pixels = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 40, 40))
    pixels.clear_with(120)
    picture.insert_image(pymupdf.Rect(100, 100, 400, 400), pixmap=pixels)
    document.set_page_labels(
        [
            {"startpage": 0, "prefix": "", "style": "r", "firstpagenum": 1},
            {"startpage": 1, "prefix": "", "style": "D", "firstpagenum": 1},
        ]
    )
    document.set_toc([[1, "1 Term", 2], [1, "2 Termination", 2]])
    document.set_metadata({"title": "Supply <i>agreement</i>"})
    data: bytes = document.tobytes()
    return data


DOCUMENTS = {"contract.pdf": contract_pdf(), "manual.md": MANUAL.encode(), "手册.md": CHINESE.encode()}


@dataclass
class Served:
    """A workspace behind its application, and a client with the administrator's key."""

    workspace: Workspace
    app: FastAPI
    http: httpx.AsyncClient
    job_id: str = ""

    def anonymous(self) -> httpx.AsyncClient:
        """Return a client without a key, as a browser is."""
        return httpx.AsyncClient(transport=self.http._transport, base_url=BASE)

    async def key(self, scopes: set[str], knowledge_bases: frozenset[str] | None = None) -> dict[str, str]:
        """Return the headers of a new key."""
        _, key = issue_key(self.workspace._opened.catalog, "a tester", scopes, knowledge_bases)
        return {"Authorization": f"Bearer {key}"}

    async def add(self, name: str, files: dict[str, bytes]) -> Job:
        """Make a knowledge base with these files in it, and return the finished job."""
        await self.http.post("/api/knowledge-bases", json={"name": name})
        uploads = [("files", file) for file in files.items()]
        added = await self.http.post(f"/api/knowledge-bases/{name}/documents", files=uploads)
        assert added.status_code == 202, added.text
        return [job async for job in self.workspace.job_events(Principal.system(), added.json()["id"])][-1]

    async def document_ids(self, name: str) -> dict[str, str]:
        """Return the ids of a knowledge base's documents by path."""
        records = await self.workspace.documents(Principal.system(), name)
        return {record.path: record.id for record in records}


@asynccontextmanager
async def serve(folder: Path, embedder: Embedder | None = None, **more: Any) -> AsyncIterator[Served]:
    """Open an empty workspace in `folder`, with `more` settings, and put the application in front."""
    settings = load_settings(
        data=folder, admin_key=ADMIN_KEY, public_url=BASE, parser_workers=1, max_file_mb=1, max_upload_files=5, **more
    )
    async with Workspace(settings, embedder=embedder or FakeEmbedder()) as workspace:
        app = create_app(workspace)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers, timeout=60) as http:
            yield Served(workspace, app, http)


@asynccontextmanager
async def listen(app: FastAPI) -> AsyncIterator[str]:
    """Run the application on a free port of this machine, and return its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
        serving = asyncio.create_task(server.serve([listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving
