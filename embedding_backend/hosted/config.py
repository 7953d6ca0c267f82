"""What a person says about an embedding or reranking server: where it is, which model, how long to wait."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

# The wording that Qwen3-Embedding was trained and measured with (model card); in English for every language.
DEFAULT_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
QWEN3_TEMPLATE = "Instruct: {instruction}\nQuery:{query}"
BARE_TEMPLATE = "{query}"
SMALLEST_DIMENSIONS = 32


class ServerConfig(BaseModel):
    """One or several servers of the same model, speaking the OpenAI-compatible protocol of vLLM."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    endpoints: tuple[str, ...] = Field(
        min_length=1, description="Addresses such as `http://main:8000`; with several, the load is shared."
    )
    model: str | None = Field(
        default=None, description="The model's name as the server lists it; its only one if unset."
    )
    api_key: SecretStr | None = Field(default=None, description="The key the servers were started with.")
    connect_timeout_s: float = Field(default=2.0, gt=0, description="Seconds a server may take to accept a connection.")
    request_timeout_s: float = Field(default=60.0, gt=0, description="Seconds a server may take to answer one request.")
    attempts: int = Field(default=6, ge=1, description="How often one request is sent at the most.")
    health_interval_s: float = Field(default=5.0, gt=0, description="Seconds between two health checks of a server.")
    health_timeout_s: float = Field(default=5.0, gt=0, description="Seconds a health check may take.")

    @field_validator("endpoints")
    @classmethod
    def _check_endpoints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        roots = []
        for endpoint in value:
            parts = urlsplit(endpoint)
            if parts.username is not None or parts.password is not None:
                raise ValueError("an address must not carry a user or a password; a key goes into api_key")
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
                raise ValueError("each address must look like http://host:8000")
            try:
                _ = parts.port
            except ValueError:
                raise ValueError("the port of an address must be a number up to 65535") from None
            # Most clients are told the address with /v1; health and tokens are asked for beside it.
            roots.append(endpoint.rstrip("/").removesuffix("/v1"))
        if len(set(roots)) != len(roots):
            raise ValueError("an address is named twice")
        return tuple(roots)


class RerankerConfig(ServerConfig):
    """A server of a reranker."""


class HostedConfig(ServerConfig):
    """A server of an embedding model, and how texts are sent to it."""

    dimensions: int | None = Field(
        default=None, ge=1, description="Numbers in a vector, from 32 to the model's own; the model's own if unset."
    )
    instruction: str = Field(default=DEFAULT_INSTRUCTION, description="The task that stands before a question.")
    query_template: str | None = Field(
        default=None,
        description="How a question is sent, with `{query}` and perhaps `{instruction}`; chosen by the model if unset.",
    )
    tokenizer: Path | None = Field(
        default=None, description="The model's `tokenizer.json`; the server counts the tokens if unset."
    )
    max_tokens: int | None = Field(
        default=None, ge=32, description="Tokens of the longest input, where the server does not say."
    )
    batch_tokens: int = Field(default=8192, ge=1, description="Tokens of one request, unless a single text has more.")
    batch_texts: int = Field(default=128, ge=1, description="Texts of one request.")
    passage_requests: int = Field(default=4, ge=1, description="Requests with passages under way to each server.")
    passage_budget_s: float = Field(
        default=300.0, gt=0, description="Seconds until passages are given up, a server's restart included."
    )
    query_budget_s: float = Field(default=15.0, gt=0, description="Seconds until a question is given up.")
    cached_queries: int = Field(default=512, ge=0, description="Recent questions whose vectors are kept.")

    @field_validator("query_template")
    @classmethod
    def _check_template(cls, value: str | None) -> str | None:
        if value is not None and value.count("{query}") != 1:
            raise ValueError("it must have {query} once, where the question goes")
        return value

    @model_validator(mode="after")
    def _check_dimensions(self) -> "HostedConfig":
        if self.dimensions is not None and self.dimensions < SMALLEST_DIMENSIONS:
            raise ValueError(f"dimensions must be at least {SMALLEST_DIMENSIONS}")
        return self


def template_for(*names: str) -> str:
    """Return how the model of this name (or one of these, of which one may be a path) takes a question."""
    return QWEN3_TEMPLATE if any("qwen3-embedding" in name.lower() for name in names) else BARE_TEMPLATE


def around(template: str, instruction: str) -> tuple[str, str]:
    """Return what a template puts before and behind a question."""
    before, after = template.split("{query}")
    return before.replace("{instruction}", instruction), after.replace("{instruction}", instruction)
