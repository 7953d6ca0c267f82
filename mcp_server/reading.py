"""Reading what was found: a passage by the id that `search` gave it, a document from its beginning, or one page."""

import asyncio
import hashlib
import re
from dataclasses import dataclass
from typing import Any

from mcp_server.budget import head, make_cursor, open_cursor
from mcp_server.chat_citations import ChatCitations
from mcp_server.results import BoxOnPage, FetchOutput, PageOutput
from pincite.access import Principal
from pincite.chat_source import Shown
from pincite.document_codec import StoredDocument
from pincite.errors import UnknownDocument, UnknownPage
from pincite.finding import pages_between
from pincite.passage import DocumentReference, Passage
from pincite.positions import boxes
from pincite.records import DocumentRecord
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


async def fetch(
    workspace: Workspace, who: Principal, wanted_id: str, *, cursor: str | None, budget: int, chat: ChatCitations
) -> FetchOutput:
    """Return the text of a passage or, within the token budget, of a document.

    Raises:
        UnknownDocument: the id names nothing that may be read, or its document has changed since.
        InvalidCursor: the cursor belongs to another id.
    """
    wanted = _parse(wanted_id)
    begin = open_cursor(cursor, wanted_id)
    record = await workspace.document(who, wanted.document_id)
    with await workspace.stored(who, wanted.document_id) as stored:
        read = await asyncio.to_thread(_read, stored, wanted, begin, budget)
    start, page = read["start"], read.get("page")
    # A document is opened at its place with nothing marked, a passage with the passage marked.
    url = workspace.view_url(who, pointer(record, start, start if wanted.end is None else read["end"], page))
    text, more = read.pop("text"), read.pop("more")
    metadata = {
        "knowledge_base_id": record.knowledge_base_id,
        "document": {"id": record.id, "title": record.title, "path": record.path},
        "media_type": record.media_type,
        **({"page_count": record.pages} if record.pages else {}),
        **read,
    }
    # One id for a document however often it is read on, as a passage has one wherever it was found.
    for citation in await chat.cite([Shown(wanted_id, record.path, url, text, page, read["section"])]):
        metadata["citation"] = citation
    return FetchOutput(
        id=wanted_id,
        title=titled(record.title, page),
        text=text,
        url=url,
        metadata=metadata,
        next_cursor=make_cursor(read["end"], wanted_id) if more else None,
    )


async def read_page(
    workspace: Workspace,
    who: Principal,
    document_id: str,
    number: int,
    *,
    cursor: str | None,
    budget: int,
    chat: ChatCitations,
) -> PageOutput:
    """Return the text of the page with the 1-based `number`, within the token budget.

    Raises:
        UnknownDocument: there is none that may be read.
        UnknownPage: it has no such page, or none at all.
        InvalidCursor: the cursor belongs to another page.
    """
    scope = f"{document_id}\0{number}"
    begin = open_cursor(cursor, scope)
    record = await workspace.document(who, document_id)
    with await workspace.stored(who, document_id) as stored:
        read = await asyncio.to_thread(_page, workspace, who, record, stored, number, begin, budget)
    result = Shown(f"{record.id}:page:{number}", record.path, read.url, read.text, number, read.section)
    read.citation = next(iter(await chat.cite([result])), None)
    return read


def pointer(record: DocumentRecord, start: int, end: int, page: int | None) -> Passage:
    """Return a passage that only says where: enough to make the address that opens it."""
    return Passage(
        id="",
        knowledge_base_id=record.knowledge_base_id,
        document=DocumentReference(record.id, record.title, record.path),
        ordinal=0,
        start=start,
        end=end,
        text="",
        section="",
        page=page,
        page_label=None,
        pages=(),
        boxes=(),
        marks=(),
        score=0.0,
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


def _read(stored: StoredDocument, wanted: _Range, begin: int, budget: int) -> dict[str, Any]:
    """Return the text that fits the budget, with where it stands; `more` says whether some was left."""
    everything = stored.text
    stop = len(everything) if wanted.end is None else wanted.end
    if wanted.seal is not None and _seal(everything[wanted.start : stop]) != wanted.seal:
        raise UnknownDocument("The document has changed since this passage was found; search again.")
    start = max(begin, wanted.start)
    text = head(everything[start:stop], budget)
    end = start + len(text)
    read: dict[str, Any] = {
        "text": text,
        "start": start,
        "end": end,
        "section": section_path(stored.sections, main_section(stored.sections, start, end)),
        "more": end < stop,
    }
    pages = pages_between(stored, start, end)
    if pages:
        shown = next((page for page in pages if page.number == wanted.page), pages[0])
        read |= {"page": shown.number, "page_label": shown.label, "pages": [page.number for page in pages]}
        if wanted.end is None:
            read["page_starts"] = {str(page.number): max(page.start, start) for page in pages}
        else:
            read["boxes"] = [
                BoxOnPage.of(box).model_dump() for page in pages[:PAGES_WITH_BOXES] for box in boxes(page, start, end)
            ]
    return read


def _page(
    workspace: Workspace,
    who: Principal,
    record: DocumentRecord,
    stored: StoredDocument,
    number: int,
    begin: int,
    budget: int,
) -> PageOutput:
    if not stored.page_count:
        raise UnknownPage("This document is of a format without pages.")
    if not 1 <= number <= stored.page_count:
        raise UnknownPage(f"The document has no page {number}; its pages are 1 to {stored.page_count}.")
    page = stored.page(number)
    start = max(begin, page.start)
    text = head(stored.text[start : page.end], budget)
    end = start + len(text)
    return PageOutput(
        document=record.id,
        title=record.title,
        page=page.number,
        page_label=page.label,
        page_count=stored.page_count,
        section=section_path(stored.sections, main_section(stored.sections, start, end)),
        text=text,
        start=start,
        end=end,
        url=workspace.view_url(who, pointer(record, start, start, number)),
        next_cursor=make_cursor(end, f"{record.id}\0{number}") if end < page.end else None,
    )


def _seal(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
