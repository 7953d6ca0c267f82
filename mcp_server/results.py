"""What the tools return: the shapes that deep-research clients expect, enriched by the fields of a citation."""

from typing import Any

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, Field


class CitedDocument(BaseModel):
    id: str
    title: str
    path: str


class SearchHit(BaseModel):
    """A passage that may answer the query, with what is needed to cite it."""

    id: str = Field(description="Give this to `fetch`.")
    title: str = Field(description="The document's title, with the page.")
    url: str = Field(description="Opens the page with the passage marked; put it into your answer.")
    text: str = Field(description="The passage, verbatim.")
    score: float = Field(description="From 0 to 1, higher is better, the same in every language.")
    document: CitedDocument
    page: int | None = Field(None, description="The 1-based physical page; none for formats without pages.")
    page_label: str | None = Field(None, description="What is printed on the page as its number.")
    pages: list[int] = []
    section: str = ""
    start: int = Field(description="Where the passage begins in the document's text, in characters.")
    end: int
    truncated: bool = Field(default=False, description="Whether `text` was cut; `fetch` returns all of it.")


class SearchOutput(BaseModel):
    results: list[SearchHit]
    why: str | None = Field(None, description="Why nothing relevant was found.")
    notes: list[str] = Field([], description="What of the search could not be done; tell the user where it matters.")
    next_cursor: str | None = Field(None, description="Pass it as `cursor` for the results that did not fit.")


class FetchOutput(BaseModel):
    id: str
    title: str
    text: str = Field(description="Verbatim text of the document.")
    url: str = Field(description="Opens the place in the document.")
    metadata: dict[str, Any] = Field(description="Page, section, range of the text, boxes on the page, media type.")
    next_cursor: str | None = Field(None, description="Pass it as `cursor` for the text that follows.")


class KnowledgeBaseEntry(BaseModel):
    id: str
    name: str
    documents: int
    passages: int


class KnowledgeBasesOutput(BaseModel):
    knowledge_bases: list[KnowledgeBaseEntry]


def tool_result(output: BaseModel) -> CallToolResult:
    """Return `output` as structured content and, for clients that read no such thing, as one JSON text without air."""
    content = output.model_dump(mode="json", exclude_defaults=True)
    text = TextContent(type="text", text=output.model_dump_json(exclude_defaults=True))
    return CallToolResult(content=[text], structured_content=content)
