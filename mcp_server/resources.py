"""Documents, pages and their pictures as resources, and completion for the variables of their addresses."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.server.mcpserver.resources import ResourceSecurity
from mcp_types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference
from pydantic import Field

from mcp_server.asking import Asking
from mcp_server.toolbox import Toolbox
from pincite.errors import PinciteError, UnknownDocument
from pincite.positions import boxes
from pincite.records import SERVED, DocumentRecord
from pincite.workspace import Workspace

PICTURE_SCALE = 2.0
MAX_COMPLETIONS = 100  # of the specification, "Completion"
# A title may hold what would be a step up in a path; here it is only compared.
BY_TITLE = ResourceSecurity(exempt_params={"knowledge_base", "title"})

PageNumber = Annotated[int, Field(ge=1)]
Offset = Annotated[int, Field(ge=0)]


def add_resources(server: Toolbox, workspace: Workspace, asking: Asking) -> None:
    """Add the templates of resources, and the completion of their variables."""
    _add_documents(server, workspace, asking)
    _add_knowledge_bases(server, workspace, asking)
    _add_completion(server, workspace, asking)


def _add_documents(server: Toolbox, workspace: Workspace, asking: Asking) -> None:
    @server.resource("pincite://documents/{document_id}", title="The text of a document", mime_type="text/plain")
    async def document(document_id: str) -> str:
        return await _text(workspace, asking, document_id)

    @server.resource(
        "pincite://documents/{document_id}/pages/{page}", title="The text of one page", mime_type="text/plain"
    )
    async def page_text(document_id: str, page: PageNumber) -> str:
        with _told_to_the_reader(), await workspace.stored(asking.who, document_id) as stored:
            found = await asyncio.to_thread(stored.page, page)
            return stored.text[found.start : found.end]

    @server.resource(
        "pincite://documents/{document_id}/pages/{page}/image{?start,end}",
        title="The picture of one page, with a range of the document's text marked",
        mime_type="image/png",
    )
    async def page_image(document_id: str, page: PageNumber, start: Offset = 0, end: Offset = 0) -> bytes:
        with _told_to_the_reader(), await workspace.stored(asking.who, document_id) as stored:
            marks = boxes(await asyncio.to_thread(stored.page, page), start, end)
            return await workspace.page_image(asking.who, document_id, page, PICTURE_SCALE, marks)


def _add_knowledge_bases(server: Toolbox, workspace: Workspace, asking: Asking) -> None:
    @server.resource(
        "pincite://knowledge-bases/{knowledge_base}",
        title="The documents of a knowledge base",
        mime_type="application/json",
        security=BY_TITLE,
    )
    async def documents(knowledge_base: str) -> str:
        with _told_to_the_reader():
            records = await workspace.documents(asking.who, knowledge_base)
        listed = [
            {"id": record.id, "title": record.title, "path": record.path, "pages": record.pages}
            for record in records
            if record.status in SERVED
        ]
        return json.dumps(listed, ensure_ascii=False)

    @server.resource(
        "pincite://knowledge-bases/{knowledge_base}/documents/{title}",
        title="The text of a document, by its title",
        mime_type="text/plain",
        security=BY_TITLE,
    )
    async def document_by_title(knowledge_base: str, title: str) -> str:
        with _told_to_the_reader():
            records = await workspace.documents(asking.who, knowledge_base)
            found = next((record for record in records if record.title == title), None)
            if found is None:
                raise UnknownDocument("The knowledge base has no document of this title that you may read.")
        return await _text(workspace, asking, found.id)


def _add_completion(server: Toolbox, workspace: Workspace, asking: Asking) -> None:
    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        if not isinstance(ref, ResourceTemplateReference):
            return None
        typed = argument.value.casefold()
        chosen = ((context.arguments if context else None) or {}).get("knowledge_base")
        if argument.name == "knowledge_base":
            return _completion([kb.name for kb in await workspace.knowledge_bases(asking.who)], typed)
        if argument.name in {"document_id", "title"}:
            records = await _records(workspace, asking, chosen)
            if argument.name == "title":
                return _completion([record.title for record in records], typed)
            matching = [record.id for record in records if typed in record.title.casefold()]
            return _completion(matching or [record.id for record in records], "" if matching else typed)
        return None


def _completion(values: list[str], typed: str) -> Completion:
    """Return the values that hold what was typed, those that begin with it first."""
    matching = sorted(
        {value for value in values if typed in value.casefold()},
        key=lambda value: (not value.casefold().startswith(typed), value.casefold(), value),
    )
    shown = matching[:MAX_COMPLETIONS]
    return Completion(values=shown, total=len(matching), has_more=len(matching) > len(shown))


async def _records(workspace: Workspace, asking: Asking, knowledge_base: str | None) -> list[DocumentRecord]:
    """Return what may be read: of the knowledge base that was chosen, or of all; nothing of an unknown one."""
    readable = await workspace.knowledge_bases(asking.who)
    chosen = [kb for kb in readable if knowledge_base in {None, kb.id, kb.name}]
    found = [record for kb in chosen for record in await workspace.documents(asking.who, kb.id)]
    return [record for record in found if record.status in SERVED]


async def _text(workspace: Workspace, asking: Asking, document_id: str) -> str:
    with _told_to_the_reader():
        stored = await workspace.stored(asking.who, document_id)
    with stored:
        return await asyncio.to_thread(lambda: stored.text)


@contextmanager
def _told_to_the_reader() -> Iterator[None]:
    try:
        yield
    except PinciteError as error:
        raise ResourceNotFoundError(error.message) from error
