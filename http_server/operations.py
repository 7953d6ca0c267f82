"""What operators ask: is the process up, can it answer, how is it doing, and what does an error code mean."""

from contextlib import AsyncExitStack

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from http_server.metrics import ServedMetrics
from http_server.problems import Problem, documented, explain
from http_server.shapes import Alive, Readiness
from http_server.workspace_access import Caller, ServedWorkspace
from pincite.backup import Backup
from pincite.errors import InvalidSettings, NotAuthenticated, NotFound, NotPermitted

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def alive() -> Alive:
    """Say that the process answers; nothing behind it is asked."""
    return Alive(status="ok")


@router.get("/readyz", responses={503: {"description": "Some part cannot answer yet.", "model": Readiness}})
async def ready(workspace: ServedWorkspace, response: Response) -> Readiness:
    """Say whether a question can be answered: the model is loaded, and catalog and index answer."""
    health = await workspace.health()
    readiness = Readiness.of(health)
    if not readiness.ready:
        response.status_code = 503
    return readiness


@router.get(
    "/metrics",
    response_class=Response,
    responses=documented(NotAuthenticated) | {200: {"description": "Counts and times.", "content": {"text/plain": {}}}},
)
async def metrics(_: Caller, served: ServedMetrics, workspace: ServedWorkspace) -> Response:
    """Counts and times in Prometheus' text format, those of the model servers' clients too; any API key opens it."""
    own, backends = [await run_in_threadpool(generate_latest, r) for r in (served.registry, workspace.backend_meters)]
    return Response(own + backends, media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/api/backup",
    response_class=Response,
    responses=documented(InvalidSettings, NotAuthenticated, NotPermitted)
    | {200: {"description": "A tar archive.", "content": {"application/x-tar": {}}}},
)
async def back_up(caller: Caller, workspace: ServedWorkspace) -> Response:
    """Send everything as it is at this moment; for `pincite backup` on this machine, which has a token of its own."""
    async with AsyncExitStack() as stack:
        backup = await stack.enter_async_context(workspace.backup(caller))
        return _Backup(backup, stack.pop_all())


class _Backup(StreamingResponse):
    """A backup on its way; `opened` is closed when it has been sent or its reader has gone."""

    def __init__(self, backup: Backup, opened: AsyncExitStack) -> None:
        super().__init__(backup.pieces(), media_type="application/x-tar", headers={"Content-Length": str(backup.size)})
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._opened:
            await super().__call__(scope, receive, send)


@router.get("/api/problems/{code}", responses=documented(NotFound))
async def problem_kind(code: str) -> Problem:
    """Explain a problem's `code`, with the status it comes with; a problem's `type` leads here."""
    return explain(code)
