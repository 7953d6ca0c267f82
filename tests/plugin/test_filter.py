"""The filter's file, loaded as Open WebUI loads it: evidence for any model, with citations that match the answer."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.http_server.sample_workspace import ADMIN_KEY, NOTICE, Served
from tests.plugin.chat import ALICE, Models, conversation, load

pytestmark = pytest.mark.anyio

QUESTION = "How many days of written notice end this agreement?"
METADATA = {"chat_id": "c", "message_id": "m"}


@pytest.fixture
async def evidence(library: tuple[Served, str], models: Models) -> AsyncIterator[Any]:
    """The filter as it is installed."""
    loaded = load("pincite_filter.py").Filter()
    loaded.valves.pincite_url, loaded.valves.pincite_key = library[1], ADMIN_KEY
    yield loaded
    await loaded.connections.close()


class Emitted(list[dict[str, Any]]):
    """The events that the filter sends to the chat."""

    async def __call__(self, event: dict[str, Any]) -> None:
        self.append(event)

    @property
    def sources(self) -> list[str]:
        return [event["data"]["source"]["name"] for event in self if event["type"] == "source"]

    @property
    def statuses(self) -> list[str]:
        return [event["data"]["description"] for event in self if event["type"] == "status"]

    @property
    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = [event["data"] for event in self if event["type"] == "status"][-1]
        return told


def chunk(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def words(event: dict[str, Any]) -> str:
    return str(event["choices"][0]["delta"]["content"])


async def test_any_model_gets_the_passages_and_its_citations_become_sources(evidence: Any) -> None:
    emitted = Emitted()
    messages = [{"role": "system", "content": "Be brief."}, *conversation(QUESTION)]
    asked = await evidence.inlet({"model": "any", "messages": messages}, dict(ALICE), METADATA, emitted)
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert NOTICE in asked["messages"][0]["content"]
    assert "Be brief." in asked["messages"][0]["content"]
    assert emitted.statuses[0] == "Searching library…"
    assert emitted.status["done"]
    assert emitted.sources == []  # nothing is cited yet

    streamed = [
        await evidence.stream(piece, METADATA, emitted)
        for piece in (chunk("Ninety days ["), chunk("1]. Invented [9"), chunk("]."), chunk("", "stop"))
    ]
    assert "".join(map(words, streamed)) == "Ninety days [1]. Invented ."
    assert emitted.sources == ["contract.pdf, p. 2"]
    await evidence.outlet({"messages": []}, METADATA)
    assert words(await evidence.stream(chunk("[9]"), METADATA, emitted)) == "[9]"  # an answer that is not ours


async def test_open_webui_does_not_search_for_itself_and_the_person_switches_it_on() -> None:
    loaded = load("pincite_filter.py").Filter()
    assert loaded.file_handler
    assert loaded.toggle


@pytest.mark.parametrize(
    ("model", "metadata"), [("pincite.everything", METADATA), ("any", METADATA | {"task": "title_generation"})]
)
async def test_the_pipes_own_models_and_housekeeping_are_left_alone(
    evidence: Any, model: str, metadata: dict[str, Any]
) -> None:
    body = {"model": model, "messages": conversation(QUESTION)}
    assert await evidence.inlet(body, dict(ALICE), metadata, None) is body


async def test_a_server_that_is_down_is_told_and_the_model_answers_without(evidence: Any) -> None:
    evidence.valves.pincite_url, emitted = "http://127.0.0.1:9", Emitted()
    body = {"model": "any", "messages": conversation(QUESTION)}
    assert await evidence.inlet(body, dict(ALICE), METADATA, emitted) is body
    assert emitted.status["description"].startswith("Pincite cannot be reached")
    assert emitted.status["done"]


async def test_nothing_of_what_the_person_may_not_read_reaches_the_model(evidence: Any, models: Models) -> None:
    question = "What is the salary of the director?"
    body = {"model": "any", "messages": conversation(question)}
    own = evidence.UserValves(knowledge_base="secrets")
    asked = await evidence.inlet(body, ALICE | {"valves": own}, METADATA, None)
    assert "nine thousand" not in str(asked)
    models.groups["u-alice"] = ["board"]
    asked = await evidence.inlet(body, ALICE | {"valves": own}, METADATA, None)
    assert "nine thousand" in str(asked)


async def test_the_status_says_where_is_searched(evidence: Any, models: Models) -> None:
    models.groups["u-alice"], body = ["board"], {"model": "any", "messages": conversation(QUESTION)}
    for chosen, told in (("", "Searching 2 knowledge bases…"), ("secrets", "Searching secrets…")):
        emitted, own = Emitted(), evidence.UserValves(knowledge_base=chosen)
        await evidence.inlet(body, ALICE | {"valves": own}, METADATA, emitted)
        assert emitted.statuses[0] == told
