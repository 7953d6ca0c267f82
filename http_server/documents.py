"""Documents over REST: add them by upload or address, look at them, read their text and pages, remove them."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from http_server.problems import documented
from http_server.shapes import Document, DocumentPage, DocumentText, Incoming, Job, Occurrences, Text
from http_server.uploads import UploadLimits, receive_files
from http_server.workspace_access import Caller, ServedWorkspace
from pincite import records
from pincite.document_codec import StoredDocument
from pincite.errors import (
    InvalidRequest,
    NotAuthenticated,
    NotPermitted,
    Overloaded,
    UnknownDocument,
    UnknownKnowledgeBase,
    UnknownPage,
)
from pincite.incoming import SourceOptions

MAX_TEXT = 100_000
MAX_OCCURRENCES = 200
PICTURE_SCALES = (0.5, 4.0)

router = APIRouter(prefix="/api", tags=["documents"])


class DocumentAddress(Incoming):
    """Where a source is, a git repository or, for the server's owner, a folder, and how it is read."""

    url: Text
    include: list[Text] | None = Field(None, max_length=100)
    exclude: list[Text] | None = Field(None, max_length=100)
    watched: bool | None = None
    remove_vanished: bool = False

    @property
    def options(self) -> SourceOptions:
        """How it is read; None leaves a source that is known as it was."""
        include = None if self.include is None else tuple(self.include)
        exclude = None if self.exclude is None else tuple(self.exclude)
        return SourceOptions(include, exclude, self.watched, self.remove_vanished)


_ADD_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["files"],
                "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
            }
        },
        "application/json": {
            "schema": DocumentAddress.model_json_schema(),
            "example": {"url": "https://git.example.org/handbook.git"},
        },
    },
}


@router.get("/knowledge-bases/{kb}/documents", responses=documented(NotAuthenticated, UnknownKnowledgeBase))
async def list_documents(kb: str, caller: Caller, workspace: ServedWorkspace) -> list[Document]:
    """List the documents of a knowledge base, the failed ones too."""
    return [Document.of(record) for record in await workspace.documents(caller, kb)]


@router.post(
    "/knowledge-bases/{kb}/documents",
    status_code=202,
    openapi_extra={"requestBody": _ADD_BODY},
    responses=documented(InvalidRequest, NotAuthenticated, NotPermitted, Overloaded, UnknownKnowledgeBase),
)
async def add_documents(
    kb: str, request: Request, caller: Caller, workspace: ServedWorkspace, response: Response
) -> Job:
    """Add documents: files as multipart `files`, or a `url`; what became of each is told by the job.

    A source that was added before is synchronised: what is gone from it is removed, unless that were more than half and
    `remove_vanished` is not set.
    """
    knowledge_base = await workspace.knowledge_base(caller, kb)
    caller.require_write(knowledge_base.id)  # before a byte of the upload is read
    if request.headers.get("content-type", "").startswith("application/json"):
        address = await _address(request)
        added = await workspace.add(caller, knowledge_base.id, [address.url], options=address.options)
    else:
        settings = workspace.settings
        limits = UploadLimits(settings.max_upload_files, settings.max_file_bytes)
        async with receive_files(request, workspace.incoming, limits) as files:
            added = await workspace.add(caller, knowledge_base.id, files)
    response.headers["Location"] = f"/api/jobs/{added.id}"
    return Job.of(added)


@router.get(
    "/knowledge-bases/{kb}/documents/{document_id}",
    responses=documented(NotAuthenticated, UnknownDocument, UnknownKnowledgeBase),
)
async def read_document(kb: str, document_id: str, caller: Caller, workspace: ServedWorkspace) -> Document:
    """Look at one document: its pages, passages, warnings, and why it failed if it did."""
    return Document.of(await _document_in(workspace, caller, kb, document_id))


@router.delete(
    "/knowledge-bases/{kb}/documents/{document_id}",
    status_code=204,
    responses=documented(NotAuthenticated, NotPermitted, UnknownDocument, UnknownKnowledgeBase),
)
async def remove_document(kb: str, document_id: str, caller: Caller, workspace: ServedWorkspace) -> None:
    """Remove one document and its passages."""
    await _document_in(workspace, caller, kb, document_id)
    await workspace.remove_document(caller, document_id)


@router.get("/documents/{document_id}/text", responses=documented(InvalidRequest, NotAuthenticated, UnknownDocument))
async def read_text(
    document_id: str,
    caller: Caller,
    workspace: ServedWorkspace,
    start: Annotated[int, Query(ge=0)] = 0,
    end: Annotated[int | None, Query(ge=0, description=f"At most {MAX_TEXT:,} characters are returned.")] = None,
) -> DocumentText:
    """Read a document's text, verbatim, from `start` to `end`."""
    with await workspace.stored(caller, document_id) as stored:
        text = await run_in_threadpool(lambda: stored.text)
    start = min(start, len(text))
    end = max(start, min(len(text) if end is None else end, start + MAX_TEXT, len(text)))
    return DocumentText(document_id=document_id, start=start, end=end, total=len(text), text=text[start:end])


@router.get(
    "/documents/{document_id}/occurrences", responses=documented(InvalidRequest, NotAuthenticated, UnknownDocument)
)
async def find_text(
    document_id: str,
    caller: Caller,
    workspace: ServedWorkspace,
    text: Annotated[str, Query(description="Exact words, case as written; where a line ends, white space may differ.")],
    skip: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_OCCURRENCES)] = 20,
) -> Occurrences:
    """Find where exact words stand in a document, with page and boxes."""
    found = await workspace.find(caller, document_id, text, skip=skip, limit=limit)
    return Occurrences.of(document_id, found)


@router.get(
    "/documents/{document_id}/pages/{number}",
    responses=documented(InvalidRequest, NotAuthenticated, UnknownDocument, UnknownPage),
)
async def read_page(document_id: str, number: int, caller: Caller, workspace: ServedWorkspace) -> DocumentPage:
    """Read one page, by its 1-based number: its text, and the box of every word."""
    with await workspace.stored(caller, document_id) as stored:
        return await run_in_threadpool(_page, stored, document_id, number)


@router.get(
    "/documents/{document_id}/pages/{number}/image",
    response_class=Response,
    responses=documented(InvalidRequest, NotAuthenticated, UnknownDocument, UnknownPage)
    | {200: {"description": "The page as a reader sees it.", "content": {"image/png": {}}}},
)
async def read_page_image(
    document_id: str,
    number: int,
    caller: Caller,
    workspace: ServedWorkspace,
    scale: Annotated[float, Query(ge=PICTURE_SCALES[0], le=PICTURE_SCALES[1])] = 2.0,
) -> Response:
    """Draw one page as PNG; `scale` is pixels a PDF point."""
    return Response(await workspace.page_image(caller, document_id, number, scale), media_type="image/png")


@router.get(
    "/documents/{document_id}/original",
    response_class=FileResponse,
    responses=documented(NotAuthenticated, UnknownDocument)
    | {200: {"description": "The file as it was received.", "content": {"application/octet-stream": {}}}},
)
async def read_original(document_id: str, caller: Caller, workspace: ServedWorkspace) -> FileResponse:
    """Download the file as it was received."""
    path = await workspace.original(caller, document_id)
    record = await workspace.document(caller, document_id)
    return FileResponse(path, media_type="application/octet-stream", filename=record.path.rsplit("/", 1)[-1])


async def _document_in(workspace: ServedWorkspace, caller: Caller, kb: str, document_id: str) -> records.DocumentRecord:
    knowledge_base = await workspace.knowledge_base(caller, kb)
    record = await workspace.document(caller, document_id)
    if record.knowledge_base_id != knowledge_base.id:
        raise UnknownDocument("The knowledge base has no document of this id.")
    return record


async def _address(request: Request) -> DocumentAddress:
    try:
        return DocumentAddress.model_validate_json(await request.body())
    except ValidationError:
        raise InvalidRequest('Send {"url": "…"}, or the files as multipart/form-data.') from None


def _page(stored: StoredDocument, document_id: str, number: int) -> DocumentPage:
    page = stored.page(number)
    words = page.words
    spans = zip(words.starts.tolist(), words.ends.tolist(), words.boxes.round(2).tolist(), strict=True)
    return DocumentPage(
        document_id=document_id,
        number=page.number,
        label=page.label,
        start=page.start,
        end=page.end,
        width=page.width,
        height=page.height,
        text=stored.text[page.start : page.end],
        words=[(start, end, *box) for start, end, box in spans],
    )
