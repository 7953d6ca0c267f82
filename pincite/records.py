"""What the catalog knows of knowledge bases, documents, jobs and keys, as values."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pincite.settings import KnowledgeBaseSettings

DocumentStatus = Literal["indexed", "partial", "failed", "indexing"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
JobKind = Literal["add", "reindex"]
# Documents that searches find; of "partial" ones some page has no text.
SERVED: frozenset[str] = frozenset({"indexed", "partial"})
FINISHED: frozenset[str] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class KnowledgeBase:
    """A knowledge base; `table` is the index generation that serves, `documents` and `passages` are counts."""

    id: str
    name: str
    settings: KnowledgeBaseSettings
    documents: int
    passages: int
    created_at: datetime
    table: str


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A document as the catalog has it.

    `location` identifies it and never leaves the server, `path` is its name; `sha256`, `size` in bytes and everything
    after describe the version that is served. `error` is that of the last attempt: with status "failed" nothing is
    served, with another an older version is. `parsed` names the stored parse, `recipe` how the passages were made.
    """

    id: str
    knowledge_base_id: str
    location: str
    path: str
    title: str
    media_type: str
    sha256: str
    size: int
    pages: int
    pages_without_text: int
    pages_failed: int
    passages: int
    status: DocumentStatus
    warnings: tuple[dict[str, Any], ...]
    error: dict[str, str] | None
    added_at: datetime
    parsed: str = ""
    recipe: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A snapshot of a job: `done` of `total` documents, `passages` embedded so far, one result a finished document.

    Each result is that of `result_of`, its status also "unchanged". `error` is the job's own, when all of it failed.
    """

    id: str
    knowledge_base_id: str
    kind: JobKind
    state: JobState
    done: int
    total: int
    passages: int
    created_at: datetime
    finished_at: datetime | None = None
    error: dict[str, str] | None = None
    results: list[dict[str, Any]] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in FINISHED


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An issued key, without the key: `knowledge_bases` are the ids it may use, None for all."""

    id: str
    name: str
    scopes: frozenset[str]
    knowledge_bases: frozenset[str] | None
    created_at: datetime


def result_of(record: DocumentRecord) -> dict[str, Any]:
    """Return what became of a document, in the shape other programs rely on."""
    return {
        "path": record.path,
        "status": record.status,
        "document_id": record.id,
        "pages": record.pages,
        "passages": record.passages,
        "warnings": list(record.warnings),
        "error": record.error,
    }
