"""What the catalog knows of knowledge bases, documents, jobs and keys, as values."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pincite.settings import KnowledgeBaseSettings

DocumentStatus = Literal["indexed", "partial", "failed", "indexing"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
JobKind = Literal["add", "reindex", "repair"]
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

    `source_id` is the folder or repository it came with, `fingerprint` what tells without reading it that a file has
    not changed, `link` where it can be seen at its origin. `characters` are those of the text that are not white space,
    and those of them that stand in passages; `tokens` those of all passages, and those that were embedded. All are
    None for a document that was indexed by a version that did not count.
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
    source_id: str | None = None
    fingerprint: str | None = None
    link: str | None = None
    characters: int | None = None
    characters_in_passages: int | None = None
    tokens: int | None = None
    tokens_embedded: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A folder or a repository that a knowledge base follows.

    `location` (an absolute path or an address) is shown to the server's owner alone; `include` and `exclude` are
    patterns; `revision` is the commit that was read last; `error` is that of the last synchronisation.
    """

    id: str
    knowledge_base_id: str
    location: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    watched: bool = False
    private_hosts: bool = False
    revision: str = ""
    synced_at: datetime | None = None
    error: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A snapshot of a job: `done` of `total` documents, `passages` embedded so far, one result a finished document.

    Each result is that of `result_of`, its status also "unchanged" and "removed"; `counts` says how many have which.
    `error` is the job's own, when all of it failed. `request` is what there is to do, None in those of a version that
    did not write it down. `rate` is in documents a second; it, `stage` and `seconds_left` are known while it runs.
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
    request: dict[str, Any] | None = None
    priority: int = 1
    started_at: datetime | None = None
    stage: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    rate: float | None = None
    seconds_left: float | None = None

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
