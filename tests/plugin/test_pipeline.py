"""The file for the Pipelines server, called as that server calls it: in a thread, with who asks in the body."""

import json
from typing import Any

import anyio.to_thread
import pytest

from tests.http_server.sample_workspace import ADMIN_KEY, NOTICE, Served
from tests.plugin.chat import ALICE, conversation, load

pytestmark = pytest.mark.anyio

QUESTION = "How many days of written notice end this agreement?"


def lines(pipeline: Any, model: str, user: Any) -> list[str]:
    """Return the lines that the Pipelines server would stream."""
    body = {"model": model, "messages": conversation(QUESTION), "user": user, "stream": True}
    pieces = pipeline.pipe(QUESTION, model, body["messages"], body)
    return [f"data: {json.dumps(piece)}" if isinstance(piece, dict) else piece for piece in pieces]


@pytest.fixture
async def pipeline(library: tuple[Served, str]) -> Any:
    loaded = load("pincite_pipeline.py").Pipeline()
    loaded.valves = loaded.Valves(pincite_url=library[1], pincite_key=ADMIN_KEY)
    await loaded.on_startup()
    return loaded


async def test_the_best_sentences_are_quoted_with_status_and_sources_as_events(pipeline: Any) -> None:
    assert [known["name"] for known in pipeline.pipelines] == ["library", "secrets", "everything"]
    streamed = await anyio.to_thread.run_sync(lines, pipeline, "everything", ALICE)
    events = [json.loads(line[6:])["event"] for line in streamed if line.startswith("data: ")]
    assert [event["type"] for event in events][:3] == ["status", "status", "source"]
    assert events[0]["data"]["description"] == "Searching library…"
    assert events[2]["data"]["source"]["name"] == "contract.pdf, p. 2"
    assert f"> {NOTICE} [1]" in "".join(streamed)


async def test_nothing_is_searched_for_nobody(pipeline: Any) -> None:
    assert lines(pipeline, "everything", None) == [
        "The Pipelines server did not say who asks, so no document was searched."
    ]


async def test_a_person_gets_nothing_of_what_they_may_not_read(pipeline: Any) -> None:
    secrets = next(known["id"] for known in pipeline.pipelines if known["name"] == "secrets")
    streamed = await anyio.to_thread.run_sync(lines, pipeline, secrets, ALICE)
    assert streamed[-1] == "This knowledge base is not there any more, or you may not read it."
