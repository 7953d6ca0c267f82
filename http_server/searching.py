"""Search over REST: a question in, cited passages out."""

from fastapi import APIRouter

from http_server.metrics import ServedMetrics
from http_server.problems import RequestTooLarge, documented
from http_server.shapes import SearchAnswer, SearchRequest
from http_server.workspace_access import Caller, ServedWorkspace
from pincite.errors import (
    BackendError,
    EmptyQuestion,
    InvalidRequest,
    InvalidResultCount,
    NotAuthenticated,
    QuestionTooLong,
    UnknownKnowledgeBase,
)

router = APIRouter(prefix="/api", tags=["search"])


@router.post(
    "/search",
    response_model_exclude_unset=True,
    responses=documented(
        BackendError,
        EmptyQuestion,
        InvalidRequest,
        InvalidResultCount,
        NotAuthenticated,
        QuestionTooLong,
        RequestTooLarge,
        UnknownKnowledgeBase,
    ),
)
async def search(
    asked: SearchRequest, caller: Caller, workspace: ServedWorkspace, metrics: ServedMetrics
) -> SearchAnswer:
    """Find the passages that answer a question, best first; `why` says why there are none."""
    where = asked.filter.to_search() if asked.filter else None
    with metrics.search_seconds.time():
        result = await workspace.search(caller, asked.knowledge_base, asked.question, k=asked.k, where=where)
    return SearchAnswer.of(result, [workspace.view_url(caller, passage) for passage in result.passages])
