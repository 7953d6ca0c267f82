"""What a search returns: passages, each with the citation that opens its page with the words marked."""

from dataclasses import dataclass, field
from typing import Any, Literal

from pincite.document import Box


@dataclass(frozen=True, slots=True)
class Mark:
    """A range of the passage's text worth the eye: a matched `term`, or the `sentence` closest to the question."""

    start: int
    end: int
    kind: Literal["term", "sentence"]


@dataclass(frozen=True, slots=True)
class DocumentReference:
    """The document a passage is from; `path` is its name in its source, never a path of the server.

    `link` is where it can be seen at its origin, as it was when it was read; empty where there is no such place.
    """

    id: str
    title: str
    path: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A citable range of a document: `document.text[start:end] == text`, always.

    `page` is the 1-based physical page the evidence stands on (`pages` are all pages the passage touches); both are
    empty for a format without pages. `table_header` is the header row of the table that the text begins within, ""
    where it has the header itself or begins within none. `marks` are offsets into `text`. `score` lies in [0, 1] and
    means the same in every language.
    """

    id: str
    knowledge_base_id: str
    document: DocumentReference
    ordinal: int
    start: int
    end: int
    text: str
    section: str
    page: int | None
    page_label: str | None
    pages: tuple[int, ...]
    boxes: tuple[Box, ...]
    marks: tuple[Mark, ...]
    score: float
    table_header: str = ""


@dataclass(frozen=True, slots=True)
class NothingFound:
    """Why a search returned nothing relevant: `reason` for programs, `message` for people."""

    reason: Literal["empty_knowledge_base", "below_floor", "filtered_out"]
    message: str
    best_score: float | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The passages, best first; `why` says why there are none, `notes` what of the search could not be done."""

    question: str
    passages: tuple[Passage, ...]
    why: NothingFound | None = None
    notes: tuple[str, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Which documents may answer; an empty field allows all."""

    document_ids: tuple[str, ...] = ()
    path_prefix: str = ""
    media_types: tuple[str, ...] = ()


def citation(passage: Passage, url: str | None = None) -> dict[str, Any]:
    """Return the citation in the shape other programs rely on; `url` opens the viewer with the passage marked."""
    shape: dict[str, Any] = {
        "id": passage.id,
        "knowledge_base_id": passage.knowledge_base_id,
        "document": {"id": passage.document.id, "title": passage.document.title, "path": passage.document.path},
        "section": passage.section,
        "text": passage.text,
        "start": passage.start,
        "end": passage.end,
        "boxes": [
            {"page": b.page, "x0": round(b.x0, 2), "y0": round(b.y0, 2), "x1": round(b.x1, 2), "y1": round(b.y1, 2)}
            for b in passage.boxes
        ],
        "marks": [{"start": m.start, "end": m.end, "kind": m.kind} for m in passage.marks],
        "score": round(passage.score, 4),
    }
    if passage.document.link:
        shape["document"]["link"] = passage.document.link
    if passage.table_header:
        shape["table_header"] = passage.table_header
    if passage.page is not None:
        shape |= {"page": passage.page, "pages": list(passage.pages), "page_label": passage.page_label}
    if url is not None:
        shape["url"] = url
    return shape
