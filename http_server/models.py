"""The knowledge bases as OpenAI's clients list models, and vectors in OpenAI's shape."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from embedding_backend import BackendFailure
from embedding_backend.openai_api import MAX_TEXTS, Refusal, embed
from http_server.problems import RequestTooLarge, documented
from http_server.shapes import Text
from http_server.workspace_access import Caller, ServedWorkspace
from pincite.errors import BackendError, InvalidRequest, NotAuthenticated

router = APIRouter(tags=["answers"])

EMBEDDING_ERRORS = documented(BackendError, InvalidRequest, NotAuthenticated, RequestTooLarge)


class Model(BaseModel):
    """A knowledge base as a model: `id` is its name."""

    id: str = Field(examples=["contracts"])
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["pincite"] = "pincite"
    knowledge_base_id: str = Field(examples=["kb_5f0c"])


class Models(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


class EmbeddingsRequest(BaseModel):
    """OpenAI's request. `input_type` tells a question from a document, which OpenAI's shape cannot say."""

    model_config = ConfigDict(extra="allow")

    model: Text = Field(description="A knowledge base, for its model; the model of new ones otherwise.")
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    input_type: Literal["query", "document"] | None = None


class Embedding(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Embeddings(BaseModel):
    """The vectors, and in `model` the one that made them."""

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: dict[str, int]


@router.get("/v1/models", responses=documented(NotAuthenticated))
async def list_models(caller: Caller, workspace: ServedWorkspace) -> Models:
    """List the knowledge bases the key may read, as models."""
    return Models(
        data=[
            Model(id=kb.name, created=int(kb.created_at.timestamp()), knowledge_base_id=kb.id)
            for kb in await workspace.knowledge_bases(caller)
        ]
    )


@router.post("/v1/embeddings", response_model=Embeddings, responses=EMBEDDING_ERRORS)
@router.post("/api/embeddings", response_model=Embeddings, responses=EMBEDDING_ERRORS)
async def make_embeddings(asked: EmbeddingsRequest, caller: Caller, workspace: ServedWorkspace) -> Response:
    """Embed one text or a list of texts with the model of a knowledge base."""
    embedder = await workspace.embedder(caller, asked.model)
    name = embedder.model.id
    body: dict[str, Any] = asked.model_dump(exclude_none=True) | {"model": name}
    try:
        return Response(await embed(body, embedder, name), media_type="application/json")
    except Refusal as refusal:
        raise InvalidRequest(str(refusal)) from None
    except BackendFailure as failure:
        raise BackendError(str(failure)) from failure
