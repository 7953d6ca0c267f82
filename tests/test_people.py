"""Who asks is taken from a signed statement alone, and the readers of a knowledge base decide what they see."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from pincite.access import Principal
from pincite.errors import NotAuthenticated, UnknownDocument, UnknownKnowledgeBase
from pincite.people import Person, admits, read_statement, statement_secret
from plugin.function.asking import statement
from tests.http_server.sample_workspace import ADMIN_KEY, DOCUMENTS, Served, serve

pytestmark = pytest.mark.anyio

OPENWEBUI_SECRET = "a secret of thirty-two characters!"
ALICE = {"id": "u-alice", "email": "Alice@Example.com", "name": "Alice", "groups": ["legal"]}
BOB = {"id": "u-bob", "email": "bob@example.com", "name": "Bob", "groups": []}


def test_the_plugins_statement_is_read_as_it_was_meant() -> None:
    person = read_statement(statement("pc_key", ALICE, time.time()), statement_secret("pc_key"))
    assert person == Person("u-alice", "Alice", "Alice@Example.com", ("legal",))


@pytest.mark.parametrize(
    "claims",
    [{"exp": 1}, {"sub": ""}, {"sub": None}, {"exp": None}],
    ids=["expired", "nobody", "no subject", "for ever"],
)
def test_a_statement_that_is_not_whole_is_refused(claims: dict[str, Any]) -> None:
    whole = {"sub": "u", "iat": int(time.time()), "exp": int(time.time()) + 60} | claims
    told = {name: value for name, value in whole.items() if value is not None}
    with pytest.raises(NotAuthenticated):
        read_statement(jwt.encode(told, statement_secret("k"), "HS256"), statement_secret("k"))


@pytest.mark.parametrize("algorithm", ["none", "HS512"])
def test_a_statement_signed_otherwise_is_refused(algorithm: str) -> None:
    told = {"sub": "u", "iat": int(time.time()), "exp": int(time.time()) + 60}
    secret = "0" * 64
    forged = jwt.encode(told, "" if algorithm == "none" else secret, algorithm)
    with pytest.raises(NotAuthenticated):
        read_statement(forged, secret)


def test_a_statement_signed_with_another_key_is_refused() -> None:
    with pytest.raises(NotAuthenticated, match="same key"):
        read_statement(statement("pc_other", ALICE, time.time()), statement_secret("pc_key"))


@pytest.mark.parametrize(
    ("readers", "admitted"),
    [
        (("everyone",), True),
        ((), False),
        (("user:alice@example.com",), True),
        (("user:u-alice",), True),
        (("group:legal",), True),
        (("group:Legal", "user:bob@example.com"), False),
    ],
)
def test_readers_admit_by_address_by_id_and_by_group(readers: tuple[str, ...], admitted: bool) -> None:
    assert admits(readers, Person("u-alice", "Alice", "Alice@Example.com", ("legal",))) is admitted


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path, openwebui_secret=OPENWEBUI_SECRET) as served:
        await served.add("contracts", {"contract.pdf": DOCUMENTS["contract.pdf"]})
        await served.add("manuals", {"manual.md": DOCUMENTS["manual.md"]})
        await served.http.patch("/api/knowledge-bases/contracts", json={"settings": {"readers": ["group:legal"]}})
        yield served


def asking(person: dict[str, Any], key: str = ADMIN_KEY) -> dict[str, str]:
    return {"Pincite-Person": statement(key, person, time.time())}


async def names(served: Served, headers: dict[str, str]) -> list[str]:
    listed = await served.http.get("/api/knowledge-bases", headers=headers)
    assert listed.status_code == 200, listed.text
    return [kb["name"] for kb in listed.json()]


async def test_a_person_sees_what_its_readers_let_them_and_nothing_of_the_rest(served: Served) -> None:
    assert await names(served, asking(ALICE)) == ["contracts", "manuals"]
    assert await names(served, asking(BOB)) == ["manuals"]
    question = {"question": "How is the agreement terminated?", "knowledge_base": "contracts"}
    assert (await served.http.post("/api/search", json=question, headers=asking(BOB))).status_code == 404
    everywhere = await served.http.post("/api/search", json={"question": "notice"}, headers=asking(BOB))
    assert {p["document"]["path"] for p in everywhere.json()["passages"]} <= {"manual.md"}


async def test_a_person_reads_no_more_than_the_key_of_their_program(served: Served) -> None:
    manuals = (await served.workspace.knowledge_base(Principal.system(), "manuals")).id
    limited = await served.key({"read"}, frozenset({manuals}))
    key = limited["Authorization"].removeprefix("Bearer ")
    assert await names(served, limited | asking(ALICE, key)) == ["manuals"]


async def test_a_person_may_change_nothing_even_through_an_administrators_key(served: Served) -> None:
    made = await served.http.post("/api/knowledge-bases", json={"name": "mine"}, headers=asking(ALICE))
    assert made.status_code == 403


async def test_an_unsigned_field_says_nothing(served: Served) -> None:
    key = await served.key({"read"})
    unsigned = {"X-OpenWebUI-User-Id": "u-bob", "X-OpenWebUI-User-Email": "bob@example.com"}
    assert await names(served, key | unsigned) == ["contracts", "manuals"]  # those of the key, not of Bob
    forged = key | {"Pincite-Person": statement("pc_guessed", ALICE, time.time())}
    assert (await served.http.get("/api/knowledge-bases", headers=forged)).status_code == 401


async def test_open_webuis_own_signed_header_is_understood(served: Served) -> None:
    now = int(time.time())
    told: dict[str, Any] = {
        "sub": "u-bob",
        "email": "bob@example.com",
        "role": "admin",
        "iss": "open-webui",
        "iat": now,
    }
    told |= {"exp": now + 300}
    signed = {"X-OpenWebUI-User-Jwt": jwt.encode(told, OPENWEBUI_SECRET, "HS256")}
    assert await names(served, signed) == ["manuals"]
    other = {"X-OpenWebUI-User-Jwt": jwt.encode(told, "another secret of thirty-two chars", "HS256")}
    assert (await served.http.get("/api/knowledge-bases", headers=other)).status_code == 401


async def test_a_viewers_link_opens_for_its_reader_as_long_as_they_may_read(served: Served) -> None:
    asked = {"question": "notice of termination", "knowledge_base": "contracts"}
    found = await served.http.post("/api/search", json=asked, headers=asking(ALICE))
    link = found.json()["passages"][0]["url"]
    async with served.anonymous() as browser:
        assert (await browser.get(link)).status_code == 200
        # She leaves the group: the next thing she asks says so, and the old link closes.
        await names(served, asking(ALICE | {"groups": []}))
        assert (await browser.get(link)).status_code == 404
        await names(served, asking(ALICE))
        assert (await browser.get(link)).status_code == 200
        await served.http.patch(
            "/api/knowledge-bases/contracts", json={"settings": {"readers": "user:bob@example.com"}}
        )
        assert (await browser.get(link)).status_code == 404


async def test_a_link_closes_when_the_key_of_the_program_is_taken_back(served: Served) -> None:
    key = await served.key({"read"})
    bearer = key["Authorization"].removeprefix("Bearer ")
    found = await served.http.post(
        "/api/search", json={"question": "notice of termination"}, headers=key | asking(ALICE, bearer)
    )
    link = found.json()["passages"][0]["url"]
    catalog = served.workspace._opened.catalog
    async with served.anonymous() as browser:
        assert (await browser.get(link)).status_code == 200
        catalog.delete_api_key(next(issued.id for issued in catalog.api_keys()))
        assert (await browser.get(link)).status_code == 401


async def test_a_statement_is_about_the_person_of_its_own_program_only(served: Served) -> None:
    """Two programs may have a user of the same id: their links are not each other's."""
    first, second = [await served.key({"read"}) for _ in range(2)]
    people = []
    for key in (first, second):
        bearer = key["Authorization"].removeprefix("Bearer ")
        people.append(await served.workspace.authenticate(bearer, statement(bearer, ALICE, time.time())))
    assert people[0].id != people[1].id
    contracts = await served.workspace.knowledge_base(people[0], "contracts")
    with pytest.raises(UnknownKnowledgeBase):
        await served.workspace.knowledge_base(
            await served.workspace.authenticate(bearer, statement(bearer, BOB, time.time())), contracts.id
        )
    with pytest.raises(UnknownDocument):
        await served.workspace.document(people[0], "doc_unknown")
