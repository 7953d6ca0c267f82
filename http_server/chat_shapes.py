"""The JSON of OpenAI's chat completions, with what an answer of ours has besides."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from http_server.shapes import Citation, Filter, Incoming, Text, Why
from pincite.answers import Answer, answer_shape

MOST_MESSAGES = 500
MOST_KNOWLEDGE_BASES = 100


class TextPart(BaseModel):
    """One part of a message; parts that are no text, such as pictures, are not read."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["text"])
    text: Text | None = None


class Message(BaseModel):
    """One message of the conversation; the last one of the user is the question."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"] = Field(examples=["user"])
    content: Text | list[TextPart] | None = Field(None, examples=["API密钥有效期是多久?"])

    @property
    def text(self) -> str:
        """What the message says."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""


class QueryHelp(Incoming):
    """Helps for this question; what is left out is as the knowledge base's settings say."""

    follow_up: bool | None = None
    sub_questions: bool | None = None
    hyde: bool | None = None


class ChatRequest(BaseModel):
    """OpenAI's request; what it has besides, such as `temperature`, is accepted and not read."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "model": "qwen3-embed",
                    "messages": [{"role": "user", "content": "API密钥有效期是多久?"}],
                    "knowledge_base_id": "kb_2025_contract_v1",
                }
            ]
        },
    )

    model: Text = Field(
        "", description="A knowledge base, by name or id; any name where `knowledge_base_id` is given.", examples=["hr"]
    )
    messages: list[Message] = Field(min_length=1, max_length=MOST_MESSAGES)
    stream: bool = False
    knowledge_base_id: Text | Annotated[list[Text], Field(min_length=1, max_length=MOST_KNOWLEDGE_BASES)] | None = (
        Field(None, description="Knowledge bases to ask, each by id or name; that of `model` if absent.")
    )
    k: int | None = Field(
        None, description="Passages to answer from, 1 to 100; the knowledge base's own number if absent."
    )
    filter: Filter | None = None
    query_help: QueryHelp | None = None

    @property
    def knowledge_bases(self) -> str | list[str]:
        """The knowledge bases to ask."""
        return self.model if self.knowledge_base_id is None else self.knowledge_base_id

    @property
    def question(self) -> str:
        """The last thing the user said; empty if nothing."""
        return self.messages[place].text if (place := self._asked_at) is not None else ""

    @property
    def history(self) -> list[dict[str, str]]:
        """What the user and the assistant said before the question."""
        before = self.messages[: self._asked_at or 0]
        return [{"role": m.role, "content": m.text} for m in before if m.role in {"user", "assistant"}]

    @property
    def _asked_at(self) -> int | None:
        return next((n for n in reversed(range(len(self.messages))) if self.messages[n].role == "user"), None)


class CitedBy(Citation):
    """A passage that the answer was made from; `number` is its `[n]` in the text."""

    number: int = Field(examples=[1])
    cited_by: list[int] = Field(description="Places in `answer.sentences` of those that cite it.", examples=[[0, 2]])


class QuotedWords(BaseModel):
    """The words that support a sentence, verbatim: `context[number - 1].text[start:end]`."""

    number: int
    text: str
    start: int
    end: int


class AnswerSentence(BaseModel):
    """A sentence of the answer that claims something."""

    text: str
    start: int
    end: int
    citations: list[int]
    status: Literal["supported", "repaired", "unsupported"] = Field(
        description="`repaired`: it now cites the passage that supports it; `unsupported`: none does."
    )
    problem: str | None = Field(description="Why it is unsupported, or what was repaired.")
    quotes: list[QuotedWords]


class AnswerStep(BaseModel):
    """A step on the way to the answer."""

    step: str = Field(examples=["search"])
    outcome: str = Field(examples=["5 passages"])
    milliseconds: float


class CheckedAnswer(BaseModel):
    """What was found out about the answer."""

    question: str
    kind: Literal["written", "extractive", "refusal"] = Field(
        description="By a language model; in the documents' own words; or a refusal with the nearest passages."
    )
    language: Literal["en", "zh"] = Field(description="Of the words around the answer.")
    complete: bool = Field(description="False where the language model broke off.")
    sentences: list[AnswerSentence]
    why: Why | None = Field(description="Set when nothing relevant was found.")
    notes: list[str] = Field(description="What could not be done; a sentence each.")
    trace: list[AnswerStep]


class AssistantMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    index: int = 0
    message: AssistantMessage
    finish_reason: Literal["stop", "length"] = "stop"


class ChatCompletion(BaseModel):
    """OpenAI's completion with `context`, the citations, and `answer`, what was found out about it."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    context: list[CitedBy]
    answer: CheckedAnswer


def finish_reason(answer: Answer) -> Literal["stop", "length"]:
    """Return OpenAI's word for how the answer ended."""
    return "stop" if answer.complete else "length"


def evidence(answer: Answer, urls: list[str]) -> dict[str, Any]:
    """Return `context` and `answer`."""
    shape = answer_shape(answer, urls)
    context = [CitedBy.model_validate(citation) for citation in shape.pop("context")]
    return {
        "context": [citation.model_dump(mode="json", exclude_unset=True) for citation in context],
        "answer": CheckedAnswer.model_validate(shape).model_dump(mode="json"),
    }
