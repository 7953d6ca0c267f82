"""The viewer's addresses: the page, its picture and the original, each opened by the signed token of a citation."""

import secrets
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, HTMLResponse

from http_server.problems import status_of
from http_server.security_headers import page_policy
from http_server.viewer.language import MESSAGES, choose_language
from http_server.viewer.target import Target, parse_target
from http_server.viewer.view import LANGUAGE_NAMES, SCALES, View, build_view
from http_server.workspace_access import ServedWorkspace
from pincite.access import Principal
from pincite.errors import InvalidRequest, PinciteError
from pincite.workspace import Workspace

FOLDER = Path(__file__).parent
PICTURE_LIFETIME_S = 3600

router = APIRouter(tags=["viewer"])


@router.get("/view/{document_id}", response_class=HTMLResponse, include_in_schema=False)
async def view_document(document_id: str, request: Request, workspace: ServedWorkspace) -> Response:
    """Show a document at the cited passage; errors are pages too, because a person reads them."""
    target = parse_target(request.query_params)
    language = choose_language(target.language, request.headers.get("accept-language", ""))
    nonce = secrets.token_urlsafe(16)
    try:
        view = await _view(workspace, document_id, target, language)
        body, status = await run_in_threadpool(_document_page, view, document_id, target, language, nonce), 200
    except PinciteError as error:
        body, status = _problem_page(error, language, nonce), status_of(error)
    headers = {
        "Content-Security-Policy": page_policy(nonce, workspace.settings.frame_ancestors),
        "Cache-Control": "private, no-store",
        "Vary": "Accept-Language",
    }
    return HTMLResponse(body, status, headers)


async def _reader(document_id: str, workspace: ServedWorkspace, t: Annotated[str, Query(max_length=2000)]) -> Principal:
    return await workspace.open_view(t, document_id)


Reader = Annotated[Principal, Depends(_reader)]


@router.get("/view/{document_id}/pages/{number}.png", include_in_schema=False)
async def page_picture(
    document_id: str, number: int, reader: Reader, workspace: ServedWorkspace, scale: float = 2.0
) -> Response:
    """Draw one page; only the scales the viewer uses, so that few pictures are kept."""
    if scale not in SCALES:
        allowed = ", ".join(f"{scale:g}" for scale in SCALES)
        raise InvalidRequest(f"A page is drawn at one of the scales {allowed}.")
    picture = await workspace.page_image(reader, document_id, number, scale)
    headers = {
        "Cache-Control": f"private, max-age={PICTURE_LIFETIME_S}",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    return Response(picture, media_type="image/png", headers=headers)


@router.get("/view/{document_id}/original", include_in_schema=False)
async def original(document_id: str, reader: Reader, workspace: ServedWorkspace) -> Response:
    """Hand out the file as it was received, always as a download."""
    path = await workspace.original(reader, document_id)
    record = await workspace.document(reader, document_id)
    name = record.path.rsplit("/", 1)[-1]
    return FileResponse(
        path, media_type="application/octet-stream", filename=name, headers={"Cache-Control": "private"}
    )


async def _view(workspace: Workspace, document_id: str, target: Target, language: str) -> View:
    reader = await workspace.open_view(target.token, document_id)
    stored = await workspace.stored(reader, document_id)
    with stored:
        return await run_in_threadpool(build_view, stored, document_id, target, language)


def _document_page(view: View, document_id: str, target: Target, language: str, nonce: str) -> str:
    other = next(code for code in MESSAGES if code != language)
    return (
        _templates()
        .get_template("document.html")
        .render(
            view=view,
            say=MESSAGES[language],
            language=language,
            nonce=nonce,
            zoom=target.zoom,
            original=f"{document_id}/original?" + Target(token=target.token).query()[1:],
            other_language={"code": other, "name": LANGUAGE_NAMES[other], "query": target.query(language=other)},
            **_inline(),
        )
    )


def _problem_page(error: PinciteError, language: str, nonce: str) -> str:
    say, status = MESSAGES[language], status_of(error)
    return (
        _templates()
        .get_template("problem.html")
        .render(
            title=say.get(f"error_{status}", say["error_other"]),
            status=status,
            detail=say.get(f"help_{status}", error.message),
            language=language,
            nonce=nonce,
            **_inline(),
        )
    )


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
    )


@cache
def _inline() -> dict[str, Any]:
    """Return the style and the script, which are ours and go into the page unescaped."""
    return {
        "css": Markup((FOLDER / "viewer.css").read_text("utf-8")),  # noqa: S704 - a file of this package
        "script": Markup((FOLDER / "viewer.js").read_text("utf-8")),  # noqa: S704 - a file of this package
    }
