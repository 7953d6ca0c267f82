"""People of an Open WebUI call with their session: who they are, what they may read, what their chat shows."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from http_server.app import create_app
from mcp_server.chat_citations import CHAT_HEADER, MESSAGE_HEADER
from mcp_server.server import streamable_http_app
from pincite.access import Principal
from pincite.chat_source import Shown, source_data
from pincite.errors import BackendError, NotAuthenticated
from pincite.openwebui import KEPT_S, Message, OpenWebUI, is_session
from pincite.passage import citation
from pincite.people import Person
from pincite.settings import load_settings
from pincite.workspace import Workspace
from plugin.function.citing import source_of as source_of_the_plugin
from tests.fakes import FakeEmbedder
from tests.mcp_server.conftest import MANUAL, NOTICE, OWNER, contract_pdf
from tests.mcp_server.openwebui_server import CHAT, MESSAGE, OpenWebUIServer, openwebui_server, soon
from tests.mcp_server.test_http import ACCEPT, DISCOVER
from tests.serving import listening, served

pytestmark = pytest.mark.anyio

BOLT = "torque of the bolt of the pump"


@dataclass(frozen=True)
class House:
    """A running server that takes the sessions of a running Open WebUI; "legal" is for the group of this name."""

    address: str
    chat: OpenWebUIServer
    workspace: Workspace


@pytest.fixture(scope="module")
async def furnished(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    tmp_path = tmp_path_factory.mktemp("house")
    (tmp_path / "manual.md").write_text(MANUAL)
    (tmp_path / "contract.pdf").write_bytes(contract_pdf())
    with listening() as listener:
        async with openwebui_server() as chat:
            settings = load_settings(
                data=tmp_path / "data",
                port=listener.getsockname()[1],
                parser_workers=1,
                openwebui_url=chat.address,
                openwebui_secret=None,
            )
            async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
                for name, file in (("manuals", "manual.md"), ("legal", "contract.pdf")):
                    added = await workspace.add(OWNER, name, [str(tmp_path / file)], create=True)
                    assert [job async for job in workspace.job_events(OWNER, added.id)][-1].state == "done"
                await workspace.update_knowledge_base(OWNER, "legal", {"readers": ["group:legal"]})
                app = create_app(workspace, streamable_http_app(workspace))
                async with served(app, listener) as address:
                    yield House(address, chat, workspace)


@pytest.fixture
async def house(furnished: House) -> House:
    furnished.chat.forget()
    return furnished


@asynccontextmanager
async def connected(house: House, session: str, headers: dict[str, str] | None = None) -> AsyncIterator[Client]:
    sent = {"Authorization": f"Bearer {session}", **(headers or {})}
    async with (
        httpx2.AsyncClient(headers=sent, timeout=30) as http,
        Client(streamable_http_client(f"{house.address}/mcp", http_client=http)) as client,
    ):
        yield client


async def readable(house: House, session: str, headers: dict[str, str] | None = None) -> list[str]:
    async with connected(house, session, headers) as client:
        listed = await client.call_tool("list_knowledge_bases")
    assert listed.structured_content is not None
    return [kb["name"] for kb in listed.structured_content["knowledge_bases"]]


async def refusal(house: House, credential: str, headers: dict[str, str] | None = None) -> httpx2.Response:
    sent = ACCEPT | {"Authorization": f"Bearer {credential}", **(headers or {})}
    async with httpx2.AsyncClient() as http:
        return await http.post(f"{house.address}/mcp", json=DISCOVER, headers=sent)


async def test_a_session_reads_what_its_person_may_read_and_changes_nothing(house: House) -> None:
    ada, bob = house.chat.session("ada", exp=soon()), house.chat.session("bob")
    assert await readable(house, ada) == ["legal", "manuals"]
    assert await readable(house, bob) == ["manuals"]  # an administrator there is in no group by that
    async with connected(house, ada) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
    assert "add_document" not in names


async def test_the_same_session_opens_rest_and_its_persons_links(house: House) -> None:
    ada, bob = house.chat.session("ada"), house.chat.session("bob")
    asked = {"knowledge_base": "legal", "question": NOTICE}
    async with httpx2.AsyncClient(base_url=house.address) as http:
        found = await http.post("/api/search", json=asked, headers={"Authorization": f"Bearer {ada}"})
        hidden = await http.post("/api/search", json=asked, headers={"Authorization": f"Bearer {bob}"})
        opened = await http.get(found.json()["passages"][0]["url"])
        await house.workspace.update_knowledge_base(OWNER, "legal", {"readers": ["user:bob@example.com"]})
        closed = await http.get(found.json()["passages"][0]["url"])
        await house.workspace.update_knowledge_base(OWNER, "legal", {"readers": ["group:legal"]})
    assert hidden.status_code == 404
    assert opened.status_code == 200
    assert closed.status_code == 404


async def test_whom_open_webui_does_not_vouch_for_is_refused(house: House) -> None:
    chat = house.chat
    ended = chat.session("ada", jti="ended")
    chat.ended.add(ended)
    forged = chat.session("ada", secret="another secret, as long as it should be")
    for token in (ended, forged, chat.session("nobody"), chat.session("eve"), chat.session("ada", exp=1)):
        answer = await refusal(house, token)
        assert answer.status_code == 401, answer.text
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert token not in answer.text


async def test_what_no_session_looks_like_never_reaches_open_webui(house: House) -> None:
    unsigned = jwt.encode({"id": "ada"}, "", "none")
    for token in ("pc_nobody-issued-this", "a.b.c", unsigned, "..", "x" * 9_000 + ".y.z", "\xff.\xff.\xff"):
        assert not is_session(token)
        if token.isascii():
            assert (await refusal(house, token)).status_code == 401
    assert house.chat.asked == []


async def test_plain_headers_that_name_someone_are_nobodys_word(house: House) -> None:
    """Whoever reaches the server can write them; only a signed statement or the session itself says who asks."""
    claimed = {
        "X-OpenWebUI-User-Id": "ada",
        "X-OpenWebUI-User-Email": "ada@example.com",
        "X-OpenWebUI-User-Name": "Ada",
        "X-OpenWebUI-User-Role": "admin",
        "X-Pincite-Groups": "legal",
    }
    assert await readable(house, house.chat.session("bob"), claimed) == ["manuals"]
    assert (await refusal(house, "pc_nobody-issued-this", claimed)).status_code == 401
    async with httpx2.AsyncClient(base_url=house.address, headers=claimed) as http:
        assert (await http.get("/api/knowledge-bases")).status_code == 401
        bob = {"Authorization": f"Bearer {house.chat.session('bob')}"}
        assert [kb["name"] for kb in (await http.get("/api/knowledge-bases", headers=bob)).json()] == ["manuals"]


async def test_a_statement_that_open_webui_signed_is_taken_with_a_key_and_a_forged_one_is_not(tmp_path: Path) -> None:
    secret = "the secret that both of them were given"
    claims = {"sub": "ada", "email": "ada@example.com", "name": "Ada", "iat": soon() - 3600, "exp": soon()}
    settings = load_settings(data=tmp_path, public_url="http://library.test", openwebui_secret=secret)
    async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
        for name, readers in (("open", ["everyone"]), ("board", ["group:board"])):
            await workspace.create_knowledge_base(OWNER, name, {"readers": readers})
        _, key = await workspace.keyring.issue("open webui", {"read", "write"}, None)
        async with served(create_app(workspace, streamable_http_app(workspace))) as address:
            house = House(address, OpenWebUIServer({}), workspace)
            assert await readable(house, key) == ["board", "open"]
            signed = {"X-OpenWebUI-User-Jwt": jwt.encode(claims, secret, "HS256")}
            assert await readable(house, key, signed) == ["open"]
            forged = {"X-OpenWebUI-User-Jwt": jwt.encode(claims, "x" * 40, "HS256")}
            assert (await refusal(house, key, forged)).status_code == 401


async def test_open_webui_out_of_order_is_told_and_asked_again(house: House) -> None:
    house.chat.healthy = False
    answer = await refusal(house, house.chat.session("ada"))
    assert answer.status_code == 503
    assert answer.json()["code"] == "backend_error"
    house.chat.healthy = True
    assert await readable(house, house.chat.session("ada")) == ["legal", "manuals"]


async def test_an_open_webui_that_is_not_there_is_told() -> None:
    with listening() as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    nobody = OpenWebUI(address)
    with pytest.raises(BackendError, match="does not answer"):
        await nobody.person(OpenWebUIServer({}).session("ada"))
    await nobody.close()


async def test_a_session_is_asked_for_once_a_while_and_its_cookie_and_token_are_kept_nowhere() -> None:
    clock = {"now": 1_000.0}
    async with openwebui_server() as server:
        openwebui = OpenWebUI(server.address, now=lambda: clock["now"])
        ada, bob = server.session("ada"), server.session("bob")
        known = await openwebui.person(ada)
        assert known == Person("ada", "Ada", "ada@example.com", ("legal",))
        assert await openwebui.person(ada) == known
        assert (await openwebui.person(bob)).subject == "bob"
        assert len(server.asked) == 4  # for each who it is, and the groups
        assert server.cookies == [""] * 4
        server.ended.add(ada)
        clock["now"] += KEPT_S - 1
        assert await openwebui.person(ada) == known
        clock["now"] += 2
        with pytest.raises(NotAuthenticated):
            await openwebui.person(ada)
        held = repr([vars(openwebui), openwebui._http.cookies.jar, Message.named(CHAT, MESSAGE, ada)])
        assert ada not in held
        assert bob not in held
        await openwebui.close()


async def test_a_session_that_ends_sooner_is_forgotten_then() -> None:
    clock = {"now": float(soon()) - 10}
    async with openwebui_server() as server:
        openwebui = OpenWebUI(server.address, now=lambda: clock["now"])
        session = server.session("ada", exp=soon())
        await openwebui.person(session)
        clock["now"] += 11
        await openwebui.person(session)
        assert len(server.asked) == 4
        await openwebui.close()


async def test_no_token_reaches_the_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ada, forged = house.chat.session("ada"), house.chat.session("ada", secret="x" * 40)
    async with connected(house, ada, {CHAT_HEADER: CHAT, MESSAGE_HEADER: "another"}) as client:
        await client.call_tool("search", {"query": NOTICE})
    await refusal(house, forged)
    assert caplog.records
    assert all(token not in record.getMessage() for token in (ada, forged) for record in caplog.records)


IN_A_CHAT = {CHAT_HEADER: CHAT, MESSAGE_HEADER: MESSAGE}


async def test_what_is_found_is_shown_in_the_chat_and_the_model_is_told_its_number(house: House) -> None:
    house.chat.sources.append({"source": {"id": "f"}, "document": ["a", "b"], "metadata": [{"source": "x"}, {}]})
    async with connected(house, house.chat.session("ada"), IN_A_CHAT) as client:
        found = (await client.call_tool("search", {"query": BOLT, "k": 3})).structured_content
        again = (await client.call_tool("search", {"query": BOLT, "k": 3})).structured_content
    assert found is not None
    assert again is not None
    assert [hit["citation"] for hit in found["results"]] == ["[3]", "[4]", "[5]"]  # after the two that were there
    assert [hit["citation"] for hit in again["results"]] == ["[3]", "[4]", "[5]"]
    shown = house.chat.sources[1:]
    assert [source["source"]["url"] for source in shown] == [hit["url"] for hit in found["results"]]
    assert len({source["source"]["id"] for source in shown}) == 3


async def test_calls_at_once_for_one_message_number_their_results_apart(house: House) -> None:
    async with connected(house, house.chat.session("ada"), IN_A_CHAT) as client:
        calls: list[dict[str, Any]] = [
            {"query": BOLT, "k": 4},
            {"query": NOTICE, "knowledge_base": "legal"},
            {"query": BOLT, "k": 2},
        ]
        answers = await asyncio.gather(*[client.call_tool("search", call) for call in calls])
    ids = [source["source"]["id"] for source in house.chat.sources]
    assert len(ids) == len(set(ids)) >= 5
    for answer in answers:
        assert answer.structured_content is not None
        for hit in answer.structured_content["results"]:
            assert f"[{ids.index('pincite:' + hit['id']) + 1}]" == hit["citation"]


async def test_a_page_and_a_passage_read_are_cited_too(house: House) -> None:
    [contract] = await house.workspace.documents(OWNER, "legal")
    async with connected(house, house.chat.session("ada"), IN_A_CHAT) as client:
        page = await client.call_tool("read_page", {"document": contract.id, "page": 2})
        document = await client.call_tool("fetch", {"id": contract.id})
    assert page.structured_content is not None
    assert document.structured_content is not None
    assert (page.structured_content["citation"], document.structured_content["metadata"]["citation"]) == ("[1]", "[2]")
    first = house.chat.sources[0]
    assert first["metadata"][0]["page"] == 1  # 0-based there
    assert first["source"]["name"] == "contract.pdf, p. 2"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {CHAT_HEADER: CHAT},
        {CHAT_HEADER: "local:5", MESSAGE_HEADER: MESSAGE},
        {CHAT_HEADER: "../auths", MESSAGE_HEADER: MESSAGE},
        {CHAT_HEADER: CHAT, MESSAGE_HEADER: "no-such-message"},
        {CHAT_HEADER: "another-persons", MESSAGE_HEADER: MESSAGE},
    ],
)
async def test_without_a_chat_of_their_own_people_get_plain_results(house: House, headers: dict[str, str]) -> None:
    async with connected(house, house.chat.session("ada"), headers) as client:
        found = await client.call_tool("search", {"query": BOLT})
    assert found.structured_content is not None
    assert found.structured_content["results"]
    assert all("citation" not in hit for hit in found.structured_content["results"])
    assert house.chat.sources == []


async def test_a_key_never_reaches_open_webui(house: House) -> None:
    _, key = await house.workspace.keyring.issue("an agent", {"read"}, None)
    async with connected(house, key, IN_A_CHAT) as client:
        found = await client.call_tool("search", {"query": BOLT})
    assert found.structured_content is not None
    assert "citation" not in found.structured_content["results"][0]
    assert house.chat.asked == []


async def test_server_and_plugin_show_a_passage_in_a_chat_alike(house: House) -> None:
    who: Principal = OWNER
    for question in (NOTICE, BOLT, "泵的螺栓"):
        for passage in (await house.workspace.search(who, None, question)).passages:
            url = house.workspace.view_url(who, passage)
            language = "zh" if question.startswith("泵") else "en"
            expected: dict[str, Any] = source_of_the_plugin(citation(passage, url), language)
            assert source_data(Shown.of(passage, url), language) == expected
