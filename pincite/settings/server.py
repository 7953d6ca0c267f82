"""The settings of one process: the server, its model servers, its limits."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pincite.errors import InvalidSettings
from pincite.settings.problems import sentence
from pincite.settings.values import Listed, Origins, PageAddress, ServerAddress, ServerAddresses, SignerAddress
from pincite.tesseract import Recognition, data_folder, missing_languages

PREFIX = "PINCITE_"
CATALOG_FILE = "catalog.sqlite"
_ANY_HOSTS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not bound to by default
_MIN_ADMIN_KEY_LENGTH = 20
_MIN_SECRET_LENGTH = 32  # as many bytes as the hash has, RFC 7518, 3.2
_CATALOG_BACKENDS = frozenset({"sqlite", "postgresql"})


class Settings(BaseSettings):
    """The settings of one process, read from the environment under `PINCITE_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    data: Path = Field(
        default=Path("data"), description="The data folder: originals, parsed documents, index and catalog."
    )
    host: str = Field(default="127.0.0.1", description="The address the server binds; `0.0.0.0` for all.")
    port: int = Field(default=7861, ge=0, le=65535, description="The port the server binds; 0 lets the system choose.")
    public_url: PageAddress | None = Field(
        default=None,
        description="The address readers reach the server at, used in citation links; from host and port if unset.",
    )
    admin_key: SecretStr | None = Field(
        default=None, description="The administrator's API key; without it one is made at first start and shown once."
    )
    index_uri: str | None = Field(
        default=None,
        description="Where LanceDB keeps the index, such as `s3://bucket/index`; in the data folder if unset.",
    )
    catalog_url: SecretStr | None = Field(
        default=None, description="The catalog's database, such as `postgresql+psycopg://…`; a SQLite file if unset."
    )
    allowed_hosts: Listed = Field(
        default=(),
        description="Host names, separated by commas, that requests to `/mcp` may name besides the server's own.",
    )
    allowed_origins: Origins = Field(
        default=(), description="Origins, separated by commas, whose pages may call the server from a browser."
    )
    oauth_issuer: SignerAddress | None = Field(
        default=None,
        description="The OAuth 2.1 authorisation server whose access tokens open this one too, as their `iss` has it.",
    )
    oauth_jwks_url: SignerAddress | None = Field(
        default=None, description="Where that server publishes the public keys that sign its tokens."
    )
    oauth_audience: str | None = Field(
        default=None, description="What the tokens' `aud` has to be; the address of `/mcp` here if unset."
    )
    mcp_token_budget: int = Field(
        default=4_000,
        ge=500,
        le=100_000,
        description="About how many tokens one result of an MCP tool may have; a cursor asks for the rest.",
    )
    frame_ancestors: str = Field(
        default="*", description="Who may show the page viewer in a frame: a Content-Security-Policy source list."
    )
    parser_workers: int = Field(
        default_factory=lambda: min(4, os.cpu_count() or 1), ge=1, le=64, description="Processes that parse documents."
    )
    parse_timeout_s: float = Field(default=120.0, gt=0, description="Seconds one document may take to parse.")
    parse_memory_mb: int = Field(default=1536, ge=256, description="Megabytes one parsing process may use.")
    ocr_languages: Listed = Field(
        default=(),
        description="Languages, separated by commas, in which scanned pages are read, by tesseract's names, such as "
        "`chi_sim,eng`; scanned pages are only reported if unset. A scan that was added before is read when it is "
        "added again.",
    )
    tessdata: Path | None = Field(
        default=None, description="The folder of tesseract's language data; where systems put it if unset."
    )
    embedding_threads: int | None = Field(
        default=None, ge=1, le=256, description="Threads of the embedded model; all processors if unset."
    )
    embedding_url: ServerAddresses = Field(
        default=(),
        description="Addresses, separated by commas, of servers of one embedding model with an OpenAI-compatible "
        "interface, such as vLLM; they share the load. The embedded model alone if unset.",
    )
    embedding_model: str | None = Field(
        default=None, description="The name of the model there; the one the servers serve if unset."
    )
    embedding_key: SecretStr | None = Field(default=None, description="The API key of the embedding servers.")
    embedding_tokenizer: Path | None = Field(
        default=None, description="The model's `tokenizer.json`, to count tokens here; the server counts if unset."
    )
    embedding_wait_s: float = Field(
        default=120.0, ge=0, description="Seconds `pincite serve` waits at its start for the embedding servers."
    )
    reranker_url: ServerAddresses = Field(
        default=(),
        description="Addresses, separated by commas, of servers of a reranker, for knowledge bases with `rerank`.",
    )
    reranker_model: str | None = Field(
        default=None, description="The name of the reranker there; the one the servers serve if unset."
    )
    reranker_key: SecretStr | None = Field(default=None, description="The API key of the reranking servers.")
    rerank_timeout_s: float = Field(
        default=1.0, gt=0, description="Seconds a search waits for the reranker before it answers in its own order."
    )
    llm_url: ServerAddress | None = Field(
        default=None,
        description="The address of a server with OpenAI's chat completions, such as `http://gpu:8001/v1`, whose model "
        "writes answers; without it they are quotes.",
    )
    llm_model: str | None = Field(
        default=None, description="The name of the model there; the first one the server lists if unset."
    )
    llm_key: SecretStr | None = Field(default=None, description="The API key of that server.")
    llm_timeout_s: float = Field(
        default=30.0, gt=0, description="Seconds the language model may be silent before the answer does without it."
    )
    llm_help_timeout_s: float = Field(
        default=4.0,
        gt=0,
        description="Seconds that each help for a question (`follow_up`, `sub_questions`, `hyde`) may take before it "
        "is left out.",
    )
    llm_max_tokens: int = Field(default=1024, ge=16, le=32_768, description="Tokens of the longest written answer.")
    max_file_mb: int = Field(default=200, ge=1, description="Megabytes one document may have.")
    max_upload_files: int = Field(default=1000, ge=1, description="Files one upload may carry.")
    running_jobs: int = Field(
        default=2, ge=1, le=32, description="Jobs that run at once, each on a knowledge base of its own."
    )
    queued_jobs: int = Field(
        default=100, ge=1, description="Jobs that may wait; more are refused until one has finished."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What the server writes to its log: requests, too, from `info` on."
    )
    maintenance_interval_s: float = Field(
        default=900.0, ge=1, description="Seconds between two clean-ups of the index."
    )
    watch_interval_s: float = Field(
        default=60.0,
        ge=1,
        description="Seconds between two looks at a watched folder; a watched repository is asked a tenth as often.",
    )
    view_lifetime_s: int = Field(
        default=30 * 24 * 3600,
        ge=60,
        description="Seconds a citation's link opens the viewer; access is checked again each time.",
    )
    openwebui_url: PageAddress | None = Field(
        default=None,
        description="The address of an Open WebUI, as this server reaches it: people may call MCP with their session "
        "there, and a chat that does shows citations.",
    )
    openwebui_secret: SecretStr | None = Field(
        default=None,
        description="The secret that Open WebUI signs who asks with, its `FORWARD_USER_INFO_HEADER_JWT_SECRET`, for "
        "connections that its plugin does not make.",
    )

    @model_validator(mode="after")
    def _check_ocr_languages(self) -> "Settings":
        if self.ocr_languages:
            folder = data_folder(self.tessdata)
            if folder is None:
                raise ValueError(
                    "PINCITE_OCR_LANGUAGES needs tesseract's language data, and there is none; install it, such as "
                    "with `apt install tesseract-ocr-eng tesseract-ocr-chi-sim`, or name its folder in PINCITE_TESSDATA"
                )
            if missing := missing_languages(self.ocr_languages, folder):
                names = " ".join(f"tesseract-ocr-{name.replace('_', '-')}" for name in missing)
                raise ValueError(
                    f"PINCITE_OCR_LANGUAGES names {', '.join(missing)}, of which there is no data in {folder}; "
                    f"install it, such as with `apt install {names}`"
                )
        return self

    @field_validator("embedding_tokenizer")
    @classmethod
    def _check_tokenizer(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("there is no such file")
        return value

    @field_validator("admin_key")
    @classmethod
    def _check_admin_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        key = value.get_secret_value()
        if len(key) < _MIN_ADMIN_KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError(
                f"it must have at least {_MIN_ADMIN_KEY_LENGTH} characters, all of them visible ASCII; "
                "`openssl rand -hex 32` makes a good one"
            )
        return value

    @field_validator("openwebui_secret")
    @classmethod
    def _check_openwebui_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < _MIN_SECRET_LENGTH:
            raise ValueError(
                f"it must have at least {_MIN_SECRET_LENGTH} characters; `openssl rand -hex 32` makes a good one"
            )
        return value

    @field_validator("catalog_url")
    @classmethod
    def _check_catalog_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        # Imported here: it takes most of a second, and most processes keep the default.
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            backend = make_url(value.get_secret_value()).get_backend_name()
        except ArgumentError:
            raise ValueError("it must be a database URL such as postgresql+psycopg://user@host/pincite") from None
        if backend not in _CATALOG_BACKENDS:
            raise ValueError("it must name a SQLite or a PostgreSQL database")
        return value

    @model_validator(mode="after")
    def _check_contradictions(self) -> "Settings":
        if self.port == 0 and self.public_url is not None:
            raise ValueError("PINCITE_PORT=0 contradicts PINCITE_PUBLIC_URL: a fixed address needs a fixed port")
        if ";" in self.frame_ancestors or "\n" in self.frame_ancestors:
            raise ValueError("PINCITE_FRAME_ANCESTORS must be a list of sources, without a semicolon")
        for address, names in (
            ("embedding_url", ("embedding_model", "embedding_key", "embedding_tokenizer")),
            ("reranker_url", ("reranker_model", "reranker_key")),
            ("oauth_issuer", ("oauth_jwks_url", "oauth_audience")),
            ("oauth_jwks_url", ("oauth_issuer",)),
            ("llm_url", ("llm_model", "llm_key")),
        ):
            for name in names:
                if getattr(self, name) is not None and not getattr(self, address):
                    raise ValueError(f"{PREFIX}{name.upper()} says nothing without {PREFIX}{address.upper()}; set both")
        return self

    @property
    def recognition(self) -> Recognition | None:
        """How scanned pages are read; None where they are only reported."""
        folder = data_folder(self.tessdata)
        return Recognition(self.ocr_languages, folder) if self.ocr_languages and folder else None

    @property
    def index_location(self) -> str:
        """The LanceDB URI of the index."""
        return self.index_uri or str(self.data / "index")

    @property
    def catalog_location(self) -> str:
        """The database URL of the catalog; it may hold a password."""
        if self.catalog_url is not None:
            return self.catalog_url.get_secret_value()
        return f"sqlite:///{self.data.absolute() / CATALOG_FILE}"

    @property
    def address(self) -> str:
        """The address readers reach the server at, without a slash at the end."""
        if self.public_url is not None:
            return self.public_url
        host = "localhost" if self.host in _ANY_HOSTS else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def oauth_resource(self) -> str:
        """What access tokens have to be issued for."""
        return self.oauth_audience or f"{self.address}/mcp"

    @property
    def max_file_bytes(self) -> int:
        """The size cap of one document in bytes."""
        return self.max_file_mb * 1024 * 1024


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment; what is named here wins over it.

    Raises:
        InvalidSettings: a value is not allowed, or two contradict each other; the message names the variable.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise InvalidSettings(sentence(error, prefix=PREFIX)) from None
