"""What operators ask: is the process up, can it answer, how is it doing, and what does an error code mean."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool

from http_server.metrics import ServedMetrics
from http_server.problems import Problem, documented, explain
from http_server.shapes import Alive, Readiness
from http_server.workspace_access import Caller, ServedWorkspace
from pincite.errors import NotAuthenticated, NotFound

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


@router.get("/api/problems/{code}", responses=documented(NotFound))
async def problem_kind(code: str) -> Problem:
    """Explain a problem's `code`, with the status it comes with; a problem's `type` leads here."""
    return explain(code)
