"""What the tools return: the shapes that deep-research clients expect, enriched by the fields of a citation."""

from typing import Any

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel

from pincite.document import Box


class CitedDocument(BaseModel):
    id: str
    title: str
    path: str


class BoxOnPage(BaseModel):
    page: int
    x0: float
    y0: float
    x1: float
    y1: float

    @staticmethod
    def of(box: Box) -> "BoxOnPage":
        return BoxOnPage(
            page=box.page, x0=round(box.x0, 2), y0=round(box.y0, 2), x1=round(box.x1, 2), y1=round(box.y1, 2)
        )


class SearchHit(BaseModel):
    id: str
    title: str
    url: str
    text: str
    score: float
    document: CitedDocument
    page: int | None = None
    page_label: str | None = None
    pages: list[int] = []
    section: str = ""
    table_header: str = ""
    start: int
    end: int
    citation: str | None = None
    truncated: bool = False


class SearchOutput(BaseModel):
    results: list[SearchHit]
    why: str | None = None
    notes: list[str] = []
    next_cursor: str | None = None


class FetchOutput(BaseModel):
    id: str
    title: str
    text: str
    url: str
    metadata: dict[str, Any]
    next_cursor: str | None = None


class PageOutput(BaseModel):
    document: str
    title: str
    page: int
    page_label: str | None = None
    page_count: int
    section: str = ""
    text: str
    start: int
    end: int
    url: str
    citation: str | None = None
    next_cursor: str | None = None


class FoundPlace(BaseModel):
    page: int | None = None
    page_label: str | None = None
    section: str = ""
    context: str
    start: int
    end: int
    url: str
    boxes: list[BoxOnPage] = []


class FindOutput(BaseModel):
    document: str
    title: str
    total: int
    places: list[FoundPlace]
    next_cursor: str | None = None


class KnowledgeBaseEntry(BaseModel):
    id: str
    name: str
    documents: int
    passages: int


class KnowledgeBasesOutput(BaseModel):
    knowledge_bases: list[KnowledgeBaseEntry]
    next_cursor: str | None = None


class AddedDocument(BaseModel):
    path: str
    status: str
    document_id: str | None = None
    pages: int = 0
    passages: int = 0
    problem: str | None = None


class JobOutput(BaseModel):
    job: str
    state: str
    done: int = 0
    total: int = 0
    documents: list[AddedDocument] = []
    omitted: int = 0
    problem: str | None = None


class RemovedOutput(BaseModel):
    removed: str
    title: str


def tool_result(output: BaseModel) -> CallToolResult:
    """Return `output` as structured content and, for clients that read no such thing, as one JSON text without air."""
    content = output.model_dump(mode="json", exclude_defaults=True)
    text = TextContent(type="text", text=output.model_dump_json(exclude_defaults=True))
    return CallToolResult(content=[text], structured_content=content)
