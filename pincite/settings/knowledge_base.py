"""The settings of one knowledge base."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pincite.errors import InvalidSettings
from pincite.settings.problems import sentence
from pincite.settings.values import Listed, OptionalInt, OptionalText


class KnowledgeBaseSettings(BaseModel):
    """The settings of one knowledge base; what makes other passages or vectors builds a new generation of its index."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedding_model: Literal["embedded", "hosted"] = Field(
        default="embedded",
        description="The model that embeds passages and questions: the `embedded` one, or the `hosted` one of "
        "`PINCITE_EMBEDDING_URL`, which a new knowledge base takes where that is set.",
    )
    dimensions: OptionalInt = Field(
        default=None,
        ge=32,
        description="Numbers of each vector of the hosted model, fewer to save memory; all it has if unset.",
    )
    query_instruction: OptionalText = Field(
        default=None,
        max_length=1000,
        description="What a question is to find, in English, for hosted models that take an instruction; the model's "
        "usual one if unset.",
    )
    chunk_tokens: int = Field(
        default=512,
        ge=256,
        le=2048,
        description="Tokens of the longest passage, its title included; never more than the model reads.",
    )
    rerank: bool = Field(
        default=False,
        description="Whether the reranker of `PINCITE_RERANKER_URL` puts the best candidates of a search in order.",
    )
    follow_up: bool = Field(
        default=False,
        description="Whether the language model of `PINCITE_LLM_URL` makes a whole question of a follow-up in a chat.",
    )
    sub_questions: bool = Field(
        default=False, description="Whether it takes a compound question apart, and each part is searched for as well."
    )
    hyde: bool = Field(
        default=False, description="Whether it imagines an answer, which is searched for besides the question (HyDE)."
    )
    top_k: int = Field(default=5, ge=1, le=100, description="Passages a search returns when it names no number.")
    readers: Listed = Field(
        default=("everyone",),
        max_length=1000,
        description="Who may read it of the people that another program, such as Open WebUI, asks for: `everyone`, "
        "`user:alice@example.com`, `group:legal`, separated by commas; nobody if empty. Keys have limits of their own.",
    )

    @field_validator("readers")
    @classmethod
    def _check_readers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for reader in value:
            if reader != "everyone" and not (reader.startswith(("user:", "group:")) and reader.partition(":")[2]):
                raise ValueError("each reader must be everyone, user:NAME@HOST or group:NAME")
        return value

    @model_validator(mode="after")
    def _check_dimensions(self) -> "KnowledgeBaseSettings":
        if self.dimensions is not None and self.embedding_model == "embedded":
            raise ValueError("dimensions can only be set with embedding_model=hosted: the embedded model has no fewer")
        return self

    def changed(self, changes: dict[str, Any]) -> "KnowledgeBaseSettings":
        """Return a copy with the named settings replaced.

        Raises:
            InvalidSettings: a setting is unknown or its value is not allowed.
        """
        try:
            return KnowledgeBaseSettings.model_validate(self.model_dump() | changes)
        except ValidationError as error:
            raise InvalidSettings(sentence(error, known=KnowledgeBaseSettings.model_fields)) from None
