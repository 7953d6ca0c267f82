"""The filter's file, loaded as Open WebUI loads it: evidence for any model, with citations that match the answer."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.answers.injections import PAYLOAD
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


RIGHT = "Either party ends the agreement with ninety days' written notice [1]."
WRONG = "Oil it every 900 hours [1]."


def message_of(text: str) -> dict[str, Any]:
    """Return an answer as Open WebUI keeps it: its words stand in the output, and in the content too."""
    part = {"type": "output_text", "text": text}
    return {"id": "m", "role": "assistant", "content": text, "output": [{"type": "message", "content": [part]}]}


async def inlet(evidence: Any, emitted: Emitted, question: str = QUESTION) -> None:
    await evidence.inlet({"model": "any", "messages": conversation(question)}, dict(ALICE), METADATA, emitted)


async def finished(evidence: Any, emitted: Emitted, message: dict[str, Any]) -> str:
    """Let the answer end that has become this message, and return what the chat shows then."""
    ended = await evidence.outlet({"messages": [*conversation(QUESTION), message]}, METADATA, emitted)
    last = ended["messages"][-1]
    assert "".join(part["text"] for item in last["output"] for part in item["content"]) == last["content"]
    return str(last["content"])


async def streamed(evidence: Any, emitted: Emitted, text: str) -> str:
    """Stream an answer in small pieces, as a server that does not say that it has ended, and return what is shown."""
    pieces = [chunk(text[start : start + 5]) for start in range(0, len(text), 5)]
    return "".join([words(await evidence.stream(piece, METADATA, emitted)) for piece in pieces])


async def answered(evidence: Any, emitted: Emitted, text: str, question: str = QUESTION) -> str:
    """Return what the chat shows of an answer in the end."""
    await inlet(evidence, emitted, question)
    return await finished(evidence, emitted, message_of(await streamed(evidence, emitted, text)))


async def test_an_answer_that_the_passages_support_stays_as_it_is_and_the_status_says_so(evidence: Any) -> None:
    emitted = Emitted()
    assert await answered(evidence, emitted, RIGHT) == RIGHT
    assert emitted.statuses[-2] == "Checking the sentences against the passages…"
    assert re.fullmatch(r"\d+ passages? from \d+ documents? · every sentence is supported", emitted.statuses[-1])
    assert emitted.status["done"]


async def test_sentences_that_the_passages_do_not_support_are_named_below_the_answer(evidence: Any) -> None:
    emitted = Emitted()
    shown = await answered(evidence, emitted, f"{RIGHT} {WRONG}")
    assert shown.startswith(f"{RIGHT} {WRONG}\n\nChecked against the passages:\n\n- ⚠ not supported")
    assert shown.endswith("“Oil it every 900 hours”")
    assert emitted.statuses[-1].endswith("see what the check found, below the answer")
    assert "⚠ 所引段落不支持：“Oil it every 900 hours”" in await answered(
        evidence, Emitted(), WRONG, f"{QUESTION} 请用中文回答"
    )


async def test_an_answer_about_something_else_is_told_so_in_a_few_lines(evidence: Any) -> None:
    shown = await answered(
        evidence, Emitted(), " ".join(f"Ship number {n} sank in the year {1900 + n}." for n in range(12))
    )
    assert shown.count("⚠ not supported") == 8
    assert shown.endswith("- and 4 more")


async def test_a_sentence_with_the_wrong_citation_is_followed_by_the_right_one_and_its_source(evidence: Any) -> None:
    emitted = Emitted()
    await inlet(evidence, emitted, "How often is the oil of the pump changed?")
    message = message_of(await streamed(evidence, emitted, "Change the oil every 400 hours [2]."))
    message["sources"] = [event["data"] for event in emitted if event["type"] == "source"]
    shown = await finished(evidence, emitted, message)
    assert "supported by [2]: “Change the oil every 400 hours”" in shown
    assert emitted.sources[1] == "manual.md, Maintenance"
    assert [source["source"]["name"] for source in message["sources"]] == emitted.sources


@pytest.mark.parametrize("payload", PAYLOAD.values())
async def test_a_model_that_obeys_a_document_shows_no_link_and_no_picture(evidence: Any, payload: str) -> None:
    hostile = f"Ninety days [1]. {payload} and [1](https://evil.example) {payload}"
    assert_harmless(await answered(evidence, Emitted(), hostile))
    await inlet(evidence, emitted := Emitted())
    thoughts = {"choices": [{"delta": {"reasoning_content": hostile}}]}
    thought = (await evidence.stream(thoughts, METADATA, emitted))["choices"][0]["delta"]["reasoning_content"]
    more = (await evidence.stream(chunk("Ninety days [1]."), METADATA, emitted))["choices"][0]["delta"]
    assert_harmless(thought + more["reasoning_content"])


@pytest.mark.parametrize("payload", PAYLOAD.values())
async def test_an_answer_that_comes_at_once_is_cited_and_harmless_as_one_that_streams(
    evidence: Any, payload: str
) -> None:
    await inlet(evidence, emitted := Emitted())
    thought = {"type": "reasoning", "content": [{"type": "output_text", "text": payload}]}
    message = message_of(f"{RIGHT} {payload}")
    message["output"].insert(0, thought)
    await evidence.outlet({"messages": [message]}, METADATA, emitted)
    assert_harmless(message["output"][0]["content"][0]["text"])
    assert_harmless(message["content"])
    assert message["content"] == message["output"][1]["content"][0]["text"]
    assert emitted.sources == ["contract.pdf, p. 2"]


def assert_harmless(shown: str) -> None:
    assert "evil.example" not in shown
    assert not re.search(r"\]\(|!\[|\]:|<[A-Za-z/!]|://|javascript:", shown)


async def test_what_a_model_thinks_first_stays_told_from_what_it_says(evidence: Any) -> None:
    emitted = Emitted()
    thinking = "<think>\nIt may be <b>five</b> days.\n</think>\n\n"
    shown = await answered(evidence, emitted, thinking + RIGHT)
    assert shown == thinking.replace("<b>", "＜b＞").replace("</b>", "＜/b＞") + RIGHT
    assert emitted.statuses[-1].endswith("every sentence is supported")
    assert "＜think＞" in await answered(evidence, Emitted(), f"{RIGHT} <think> not first")


async def test_an_empty_answer_leaves_the_passages_quoted_with_the_reason(evidence: Any) -> None:
    for text in ("", "\n ", "<think>\nNothing comes to mind."):
        emitted = Emitted()
        shown = await answered(evidence, emitted, text)
        assert "The answering model did not answer (it wrote nothing), so these are the sentences" in shown
        assert f"> {NOTICE} [1]" in shown
        assert emitted.sources[0] == "contract.pdf, p. 2"
        assert shown.count("<think>") == shown.count("</think>")


async def test_an_answer_stays_when_pincite_is_away_at_its_end(evidence: Any) -> None:
    await inlet(evidence, emitted := Emitted())
    message = message_of(await streamed(evidence, emitted, RIGHT))
    evidence.valves.pincite_url = "http://127.0.0.1:9"
    assert await finished(evidence, emitted, message) == RIGHT
    assert emitted.status == {
        "description": "Its sentences could not be checked against the passages.",
        "done": True,
    }


async def test_an_answer_does_not_wait_for_a_check_that_is_slow(evidence: Any) -> None:
    await inlet(evidence, emitted := Emitted())
    message = message_of(await streamed(evidence, emitted, RIGHT))

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer for ever: no single read takes long."""
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"1\r\n \r\n")
            try:
                await writer.drain()
            except ConnectionError:
                return
            await asyncio.sleep(0)

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as dripping:
        evidence.valves.pincite_url = f"http://127.0.0.1:{dripping.sockets[0].getsockname()[1]}"
        evidence.valves.check_timeout_s = 0.1
        assert await finished(evidence, emitted, message) == RIGHT
    assert emitted.status["description"] == "Its sentences could not be checked against the passages."


async def test_a_program_that_called_the_api_is_given_nothing_more(evidence: Any) -> None:
    await inlet(evidence, Emitted())
    body = {"messages": [message_of(WRONG)]}
    assert await evidence.outlet(body, METADATA) == {"messages": [message_of(WRONG)]}
