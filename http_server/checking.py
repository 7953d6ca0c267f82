"""Holds a text that was written elsewhere against the passages that it cites, as every answer of ours is."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from http_server.chat_shapes import AnswerSentence
from http_server.problems import RequestTooLarge, documented
from http_server.shapes import Incoming, Text
from http_server.workspace_access import Caller, ServedWorkspace
from pincite.answers import answer_shape
from pincite.errors import BackendError, InvalidRequest, NotAuthenticated, UnknownKnowledgeBase
from pincite.passage import DocumentReference, Passage
from pincite.search import MOST_PASSAGES

LONGEST_TEXT = 100_000


class SourceDocument(BaseModel):
    """The document of a passage, as a citation names it."""

    model_config = ConfigDict(extra="allow")

    id: Text
    title: Text = ""
    path: Text = ""


class WrittenFrom(BaseModel):
    """A passage as a search returned it; of a citation these fields are read."""

    model_config = ConfigDict(extra="allow")

    knowledge_base_id: Text
    document: SourceDocument
    text: Text
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    section: Text = ""
    table_header: Text = ""

    def to_passage(self) -> Passage:
        """Return it as a passage without a place on a page, which checking does not look at."""
        document = DocumentReference(self.document.id, self.document.title, self.document.path)
        return Passage(
            id="",
            knowledge_base_id=self.knowledge_base_id,
            document=document,
            ordinal=0,
            start=self.start,
            end=self.end,
            text=self.text,
            section=self.section,
            table_header=self.table_header,
            page=None,
            page_label=None,
            pages=(),
            boxes=(),
            marks=(),
            score=1.0,
        )


class CheckRequest(Incoming):
    """A text, and the passages it was written from: `[n]` in it cites the n-th of them."""

    text: Text = Field(max_length=LONGEST_TEXT, examples=["The licence ends after ninety days [1]."])
    passages: Annotated[list[WrittenFrom], Field(min_length=1, max_length=MOST_PASSAGES)]


class CheckedText(BaseModel):
    """The text as an answer of ours would read, and its sentences that claim something."""

    text: str = Field(description="Without links and pictures, its citations mended, unsupported sentences marked.")
    sentences: list[AnswerSentence]


router = APIRouter(prefix="/api", tags=["answers"])


@router.post(
    "/check",
    responses=documented(BackendError, InvalidRequest, NotAuthenticated, RequestTooLarge, UnknownKnowledgeBase),
)
async def check(asked: CheckRequest, caller: Caller, workspace: ServedWorkspace) -> CheckedText:
    """Say of each sentence of a text whether the passages support it."""
    passages = [passage.to_passage() for passage in asked.passages]
    told = answer_shape(await workspace.check(caller, asked.text, passages), [""] * len(passages))
    return CheckedText(text=told["text"], sentences=told["sentences"])
