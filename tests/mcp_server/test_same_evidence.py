"""The same question gets the same passages in the same order, whichever door it comes through."""

import json
from typing import Any

import httpx2
import pytest

from tests.mcp_server.conftest import NOTICE, Library
from tests.mcp_server.test_http import connected, mcp_address

pytestmark = pytest.mark.anyio

QUESTIONS = (NOTICE, "torque of the bolt of the pump", "Which valve is closed before valve 17?", "书面通知")
Place = tuple[str, int, int, float, int | None]


def place(passage: dict[str, Any]) -> Place:
    where = passage["document"]["id"], passage["start"], passage["end"]
    return *where, passage["score"], passage.get("page")


async def over_rest(http: httpx2.AsyncClient, address: str, asked: dict[str, Any]) -> list[Place]:
    answer = await http.post(f"{address}/api/search", json=asked)
    assert answer.status_code == 200, answer.text
    return [place(passage) for passage in answer.json()["passages"]]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_rest_and_mcp_give_the_same_passages_in_the_same_order(library: Library, mode: str) -> None:
    _, key = await library.workspace.keyring.issue("both doors", {"read"}, None)
    found = 0
    async with (
        mcp_address(library) as url,
        connected(url, key, mode) as client,
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http,
    ):
        for question in QUESTIONS:
            for base in (None, "manuals"):
                same: dict[str, Any] = {"k": 30} | ({"knowledge_base": base} if base else {})
                expected = await over_rest(http, url.removesuffix("/mcp"), {"question": question, **same})
                got: list[Place] = []
                cursor: str | None = None
                while True:
                    arguments = {"query": question, **same} | ({"cursor": cursor} if cursor else {})
                    result = await client.call_tool("search", arguments)
                    assert result.structured_content is not None, json.dumps(arguments)
                    got += [place(hit) for hit in result.structured_content["results"]]
                    cursor = result.structured_content.get("next_cursor")
                    if cursor is None:
                        break
                assert got == expected
                found += len(got)
    assert found > 20
