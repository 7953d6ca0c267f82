"""Reading what was found: one passage by the id that `search` gave it, or a document from its beginning."""

import asyncio
import hashlib
import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from mcp_server.budget import TOKEN_BUDGET, head, make_cursor, open_cursor
from mcp_server.results import FetchOutput
from pincite.access import Principal
from pincite.document import Page
from pincite.document_codec import StoredDocument
from pincite.errors import UnknownDocument
from pincite.passage import DocumentReference, Passage
from pincite.positions import boxes
from pincite.sections import main_section, section_path
from pincite.workspace import Workspace

PASSAGE_ID = re.compile(
    r"(?P<document>[^:]+):(?P<start>\d{1,10})-(?P<end>\d{1,10}):(?:p(?P<page>\d{1,7}):)?(?P<seal>[0-9a-f]{8})"
)
# The range of a passage is often one page, rarely more than three; a document's window is bounded by the budget.
PAGES_WITH_BOXES = 3


@dataclass(frozen=True, slots=True)
class _Range:
    """What an id names: a whole document (no `end`, no `seal`), or a passage and the page its evidence stands on."""

    document_id: str
    start: int = 0
    end: int | None = None
    page: int | None = None
    seal: str | None = None


def passage_id(passage: Passage) -> str:
    """Return the id under which `fetch` finds the passage again as long as the document's text there is the same."""
    page = "" if passage.page is None else f"p{passage.page}:"
    return f"{passage.document.id}:{passage.start}-{passage.end}:{page}{_seal(passage.text)}"


async def fetch(workspace: Workspace, who: Principal, wanted_id: str, cursor: str | None) -> FetchOutput:
    """Return the text of a passage or, within the token budget, of a document.

    Raises:
        UnknownDocument: the id names nothing that may be read, or its document has changed since.
        InvalidCursor: the cursor belongs to another id.
    """
    wanted = _parse(wanted_id)
    begin = open_cursor(cursor, wanted_id)
    record = await workspace.document(who, wanted.document_id)
    with await workspace.stored(who, wanted.document_id) as stored:
        read = await asyncio.to_thread(_read, stored, wanted, begin)
    passage = Passage(
        id=wanted_id,
        knowledge_base_id=record.knowledge_base_id,
        document=DocumentReference(record.id, record.title, record.path),
        ordinal=0,
        start=read["start"],
        # A document is opened at its place with nothing marked, a passage with the passage marked.
        end=read["start"] if wanted.end is None else read["end"],
        text="",
        section=read["section"],
        page=read.get("page"),
        page_label=read.get("page_label"),
        pages=tuple(read.get("pages", ())),
        boxes=(),
        marks=(),
        score=0.0,
    )
    text, more = read.pop("text"), read.pop("more")
    metadata = {
        "knowledge_base_id": record.knowledge_base_id,
        "document": {"id": record.id, "title": record.title, "path": record.path},
        "media_type": record.media_type,
        **({"page_count": record.pages} if record.pages else {}),
        **read,
    }
    return FetchOutput(
        id=wanted_id,
        title=titled(record.title, passage.page),
        text=text,
        url=workspace.view_url(who, passage),
        metadata=metadata,
        next_cursor=make_cursor(read["end"], wanted_id) if more else None,
    )


def titled(title: str, page: int | None) -> str:
    """Return a document's title with the page, as clients show it beside an answer."""
    return title if page is None else f"{title}, p. {page}"


def _parse(wanted_id: str) -> _Range:
    found = PASSAGE_ID.fullmatch(wanted_id)
    if found is None:
        return _Range(wanted_id)
    page = int(found["page"]) if found["page"] else None
    return _Range(found["document"], int(found["start"]), int(found["end"]), page, found["seal"])


def _read(stored: StoredDocument, wanted: _Range, begin: int) -> dict[str, Any]:
    """Return the text that fits the budget, with where it stands; `more` says whether some was left."""
    everything = stored.text
    stop = len(everything) if wanted.end is None else wanted.end
    if wanted.seal is not None and _seal(everything[wanted.start : stop]) != wanted.seal:
        raise UnknownDocument("The document has changed since this passage was found; search again.")
    start = max(begin, wanted.start)
    text = head(everything[start:stop], TOKEN_BUDGET)
    end = start + len(text)
    read: dict[str, Any] = {
        "text": text,
        "start": start,
        "end": end,
        "section": section_path(stored.sections, main_section(stored.sections, start, end)),
        "more": end < stop,
    }
    pages = _pages(stored, start, end)
    if pages:
        shown = next((page for page in pages if page.number == wanted.page), pages[0])
        read |= {"page": shown.number, "page_label": shown.label, "pages": [page.number for page in pages]}
        if wanted.end is None:
            read["page_starts"] = {str(page.number): max(page.start, start) for page in pages}
        else:
            read["boxes"] = [
                {"page": box.page, **{side: round(getattr(box, side), 2) for side in ("x0", "y0", "x1", "y1")}}
                for page in pages[:PAGES_WITH_BOXES]
                for box in boxes(page, start, end)
            ]
    return read


def _pages(stored: StoredDocument, start: int, end: int) -> list[Page]:
    """Return the pages that the range touches; page numbers count from 1 without gaps."""
    if not stored.page_count:
        return []
    numbers = range(1, stored.page_count + 1)
    first = max(bisect_right(numbers, start, key=lambda number: stored.page(number).start), 1)
    pages: list[Page] = []
    for number in numbers[first - 1 :]:
        page = stored.page(number)
        if page.start >= end and pages:
            break
        pages.append(page)
    return pages


def _seal(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
