"""The JSON that goes in and out of the REST interface."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pincite import finding, records
from pincite.answers.answerability import may_answer
from pincite.passage import SearchFilter, SearchResult, citation
from pincite.settings import KnowledgeBaseSettings


def _whole(text: str) -> str:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("it holds half of a surrogate pair, which is no character; send well-formed Unicode")
    return text


Text = Annotated[str, AfterValidator(_whole)]


class Incoming(BaseModel):
    """A request body: a field that nobody reads is a mistake worth telling."""

    model_config = ConfigDict(extra="forbid")


class NewKnowledgeBase(Incoming):
    name: Text = Field(examples=["contracts"])
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Settings that differ from the defaults.", examples=[{"chunk_tokens": 1024}]
    )


class KnowledgeBaseChanges(Incoming):
    settings: dict[str, Any] = Field(description="The settings to change.", examples=[{"top_k": 8}])


class KnowledgeBase(BaseModel):
    id: str = Field(examples=["kb_5f0c"])
    name: str = Field(examples=["contracts"])
    settings: KnowledgeBaseSettings
    documents: int = Field(examples=[12])
    passages: int = Field(examples=[1834])
    created_at: datetime

    @staticmethod
    def of(record: records.KnowledgeBase) -> "KnowledgeBase":
        return KnowledgeBase(
            id=record.id,
            name=record.name,
            settings=record.settings,
            documents=record.documents,
            passages=record.passages,
            created_at=record.created_at,
        )


class DocumentProblem(BaseModel):
    """Why a document could not be read."""

    code: str = Field(examples=["encrypted_document"])
    message: str


class DocumentWarning(BaseModel):
    """Something a reader of the document should know."""

    code: str = Field(examples=["page_without_text"])
    message: str = Field(examples=["page 7 has no text; it looks scanned"])
    page: int | None = Field(None, description="1-based.", examples=[7])


class Document(BaseModel):
    id: str
    knowledge_base_id: str
    title: str = Field(examples=["Operations handbook"])
    path: str = Field(description="The name in its source.", examples=["handbook.pdf"])
    media_type: str = Field(examples=["application/pdf"])
    sha256: str
    size: int = Field(description="Bytes.")
    pages: int = Field(description="0 for a format without pages.", examples=[24])
    pages_without_text: int = Field(examples=[1])
    pages_failed: int = Field(examples=[0])
    passages: int = Field(examples=[61])
    characters: int | None = Field(
        description="That are not white space; absent where an older version did not count.", examples=[48211]
    )
    characters_in_passages: int | None = Field(examples=[48211])
    tokens: int | None = Field(description="Of all passages.", examples=[11034])
    tokens_embedded: int | None = Field(examples=[11034])
    link: str | None = Field(description="Where it can be seen at its origin, as it was when it was read.")
    status: Literal["indexed", "partial", "failed"]
    warnings: list[DocumentWarning]
    error: DocumentProblem | None
    added_at: datetime

    @staticmethod
    def of(record: records.DocumentRecord) -> "Document":
        return Document.model_validate(
            {name: getattr(record, name) for name in Document.model_fields} | {"warnings": list(record.warnings)}
        )


class DocumentAccount(BaseModel):
    """What went in of a document and what came out; `differences` are sentences, one for two numbers that differ."""

    model_config = ConfigDict(from_attributes=True)

    document_id: str
    path: str
    status: str
    pages: int
    pages_with_text: int
    pages_without_text: int
    pages_failed: int
    characters: int | None
    characters_in_passages: int | None
    tokens: int | None
    tokens_embedded: int | None
    passages: int
    passages_in_index: int | None
    differences: list[str]


class Account(BaseModel):
    """The sums over the documents of a knowledge base, and the documents of which something does not add up."""

    model_config = ConfigDict(from_attributes=True)

    adds_up: bool
    documents: int
    failed: int = Field(description="Documents that could not be indexed.")
    pages: int
    pages_with_text: int
    pages_without_text: int
    pages_failed: int
    characters: int = Field(description="That are not white space.")
    characters_in_passages: int
    tokens: int
    tokens_embedded: int
    passages: int
    passages_in_index: int | None
    not_counted: int = Field(description="Documents that were indexed by a version that did not count.")
    strays: int = Field(description="Passages in the index of documents that are not there.")
    differing: list[DocumentAccount]


class DocumentResult(BaseModel):
    """What became of one document of a job."""

    model_config = ConfigDict(extra="allow")

    path: str = Field(examples=["handbook.pdf"])
    status: Literal["indexed", "unchanged", "partial", "failed", "removed"]
    document_id: str | None
    pages: int | None = Field(examples=[24])
    passages: int | None = Field(examples=[61])
    warnings: list[DocumentWarning]
    error: DocumentProblem | None


class Job(BaseModel):
    id: str
    knowledge_base_id: str
    kind: Literal["add", "reindex", "repair"] = Field(description="`reindex` builds the index anew, `repair` mends it.")
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    done: int = Field(description="Documents dealt with.", examples=[3])
    total: int = Field(description="Documents found so far.", examples=[12])
    passages: int = Field(description="Passages embedded so far.", examples=[144])
    results: list[DocumentResult]
    error: DocumentProblem | None = Field(description="Why the whole job failed, if it did.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    stage: str = Field(
        description="While it runs: listing, indexing, removing or tidying; empty while it waits.",
        examples=["indexing"],
    )
    counts: dict[str, int] = Field(
        description="Documents dealt with, by status.", examples=[{"indexed": 2, "unchanged": 1}]
    )
    rate: float | None = Field(description="Documents a second, over the last minute.", examples=[3.5])
    seconds_left: float | None = Field(description="At that rate.", examples=[2.6])

    @staticmethod
    def of(job: records.Job) -> "Job":
        return Job.model_validate({name: getattr(job, name) for name in Job.model_fields})


class Source(BaseModel):
    """A folder or a repository that the knowledge base follows."""

    id: str
    location: str | None = Field(
        description="A repository's address; a folder's path is told to the server's owner alone.",
        examples=["https://git.example.org/handbook.git"],
    )
    include: list[str]
    exclude: list[str]
    watched: bool = Field(description="Whether the server follows its changes.")
    revision: str = Field(description="The commit that was read last; empty for a folder.")
    synced_at: datetime | None
    error: DocumentProblem | None = Field(description="What kept the last synchronisation from its end.")

    @staticmethod
    def of(source: records.Source, *, location: str | None) -> "Source":
        told = {name: getattr(source, name) for name in Source.model_fields} | {"location": location}
        return Source.model_validate(told | {"include": list(source.include), "exclude": list(source.exclude)})


class Filter(Incoming):
    """Which documents may answer; an empty field allows all."""

    document_ids: list[Text] = Field(default_factory=list, max_length=1000)
    path_prefix: Text = Field("", max_length=1000, examples=["2024/"])
    media_types: list[Text] = Field(default_factory=list, max_length=50, examples=[["application/pdf"]])

    def to_search(self) -> SearchFilter:
        return SearchFilter(tuple(self.document_ids), self.path_prefix, tuple(self.media_types))


class SearchRequest(Incoming):
    knowledge_base: Text | None = Field(
        None, description="Id or name; every readable one if absent.", examples=["samples"]
    )
    question: Text = Field(examples=["How many days of notice does a termination need?"])
    k: int | None = Field(
        None, description="Passages, 1 to 100; the knowledge base's own number if absent.", examples=[5]
    )
    filter: Filter | None = None


class CitedDocument(BaseModel):
    id: str
    title: str
    path: str
    link: str | None = Field(
        None,
        description="Where it can be seen at its origin, as it was when it was read; absent where that is nowhere.",
        examples=["https://github.com/example/handbook/blob/4f2a91c/leave.md"],
    )


class BoxOnPage(BaseModel):
    """A line of the passage on its page, in PDF points with the origin top left."""

    model_config = ConfigDict(from_attributes=True)

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


class MarkedRange(BaseModel):
    """Characters of `text` worth the eye."""

    start: int
    end: int
    kind: Literal["term", "sentence"]


class Citation(BaseModel):
    """A passage with the exact place it stands in; `document.text[start:end] == text`."""

    id: str
    knowledge_base_id: str
    document: CitedDocument
    page: int | None = Field(
        None, description="1-based physical page; absent for formats without pages.", examples=[12]
    )
    pages: list[int] | None = Field(None, description="Every page the passage touches.", examples=[[12]])
    page_label: str | None = Field(None, examples=["xii"])
    section: str = Field(examples=["§3.2 Force majeure"])
    table_header: str | None = Field(
        None, description="The header row of the table that the text begins within.", examples=["Item | Price"]
    )
    text: str
    start: int = Field(examples=[10412])
    end: int = Field(examples=[11010])
    boxes: list[BoxOnPage]
    marks: list[MarkedRange]
    score: float = Field(ge=0, le=1, description="The same meaning in every language.", examples=[0.87])
    url: str = Field(description="Opens the page with the passage marked, for the one who asked.")


class Why(BaseModel):
    """Why nothing relevant was found."""

    reason: Literal["empty_knowledge_base", "below_floor", "filtered_out"]
    message: str
    best_score: float | None


class SearchAnswer(BaseModel):
    question: str
    passages: list[Citation]
    why: Why | None = Field(description="Set when there are no passages.")
    answerable: bool = Field(description="Whether the best passage is close enough to the question to hold its answer.")
    notes: list[str] = Field(
        description="What of the search could not be done, such as reranking; a sentence each.", examples=[[]]
    )

    @staticmethod
    def of(result: SearchResult, urls: list[str]) -> "SearchAnswer":
        passages = [
            Citation.model_validate(citation(passage, url)) for passage, url in zip(result.passages, urls, strict=True)
        ]
        why = result.why
        return SearchAnswer(
            question=result.question,
            passages=passages,
            why=None if why is None else Why(reason=why.reason, message=why.message, best_score=why.best_score),
            answerable=may_answer(result),
            notes=list(result.notes),
        )


class DocumentText(BaseModel):
    """A stretch of a document's text."""

    document_id: str
    start: int
    end: int
    total: int = Field(description="Characters of the whole text.")
    text: str


class DocumentPage(BaseModel):
    """One page's text and where its words stand."""

    document_id: str
    number: int = Field(examples=[12])
    label: str | None = Field(examples=["xii"])
    start: int
    end: int
    width: float = Field(description="PDF points.")
    height: float
    text: str
    words: list[tuple[int, int, float, float, float, float]] = Field(
        description="start, end (offsets into the document's text), x0, y0, x1, y1 in PDF points."
    )


class Occurrence(BaseModel):
    """One place of a text; `document.text[start:end] == text`."""

    model_config = ConfigDict(from_attributes=True)

    start: int
    end: int
    text: str
    context: str = Field(description="With some characters around it.")
    section: str
    page: int | None = Field(description="1-based physical page on which it begins.")
    page_label: str | None
    pages: list[int]
    boxes: list[BoxOnPage]


class Occurrences(BaseModel):
    """Places of a text in the order of the document."""

    document_id: str
    total: int = Field(description="Those of the whole document.")
    occurrences: list[Occurrence]

    @staticmethod
    def of(document_id: str, found: finding.Occurrences) -> "Occurrences":
        places = [Occurrence.model_validate(place) for place in found.found]
        return Occurrences(document_id=document_id, total=found.total, occurrences=places)


class Alive(BaseModel):
    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether the server can answer questions, part by part."""

    model_config = ConfigDict(extra="allow")

    ready: bool

    @staticmethod
    def of(health: dict[str, Any]) -> "Readiness":
        return Readiness.model_validate(health)
