"""Access tokens of a real authorisation server that runs beside: from the first refusal to the viewer's link."""

import base64
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from http_server.app import create_app
from mcp_server.server import METADATA_PATH, streamable_http_app
from pincite.access import granted_by_token
from pincite.errors import BackendError, NotAuthenticated, NotPermitted
from pincite.oauth import BETWEEN_FETCHES_S, KEYS_KEPT_S, AccessTokens
from pincite.settings import load_settings
from pincite.workspace import Workspace
from tests.fakes import FakeEmbedder
from tests.mcp_server.authorization_server import AuthorizationServer, SigningKey, authorization_server
from tests.mcp_server.conftest import MANUAL, OWNER
from tests.mcp_server.test_http import ACCEPT, DISCOVER, connected
from tests.serving import listening, served

pytestmark = pytest.mark.anyio

AUDIENCE = "https://pincite.example/mcp"


@dataclass(frozen=True)
class Guarded:
    """A running server with two knowledge bases that accepts tokens of a running authorisation server."""

    address: str
    authorization: AuthorizationServer
    workspace: Workspace
    ids: dict[str, str]

    def token(self, scopes: str = "pincite:read", **claims: Any) -> str:
        return self.authorization.token(f"{self.address}/mcp", scopes, **claims)


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "manual.md").write_text(MANUAL)
    with listening() as listener:
        port = listener.getsockname()[1]
        async with authorization_server() as authorization:
            settings = load_settings(
                data=folder / "data",
                port=port,
                parser_workers=1,
                oauth_issuer=authorization.issuer,
                oauth_jwks_url=authorization.jwks_url,
            )
            async with Workspace(settings, embedder=FakeEmbedder()) as workspace:
                ids = {}
                for name in ("open", "secret"):
                    added = await workspace.add(OWNER, name, [str(folder / "manual.md")], create=True)
                    finished = [job async for job in workspace.job_events(OWNER, added.id)][-1]
                    ids[name] = finished.knowledge_base_id
                app = create_app(workspace, streamable_http_app(workspace))
                async with served(app, listener) as address:
                    yield Guarded(address, authorization, workspace, ids)


class InMemory(TokenStorage):
    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def test_a_client_that_knows_only_the_address_gets_a_token_and_searches(guarded: Guarded) -> None:
    """Refused, it reads where to go, registers, lets its user authorise, exchanges the code, and is answered."""
    came_back: dict[str, str] = {}

    async def open_in_browser(url: str) -> None:
        async with httpx2.AsyncClient() as browser:
            redirected = await browser.get(url)
        query = parse_qs(urlsplit(redirected.headers["location"]).query)
        came_back.update({name: values[0] for name, values in query.items()})

    async def callback() -> AuthorizationCodeResult:
        return AuthorizationCodeResult(code=came_back["code"], state=came_back["state"], iss=came_back["iss"])

    url = f"{guarded.address}/mcp"
    metadata = OAuthClientMetadata.model_validate(
        {"client_name": "an agent", "redirect_uris": ["http://localhost:1/back"]}
    )
    storage = InMemory()
    provider = OAuthClientProvider(url, metadata, storage, open_in_browser, callback)
    async with (
        httpx2.AsyncClient(auth=provider, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        names = [tool.name for tool in (await client.list_tools()).tools]
        found = await client.call_tool("search", {"query": "torque of the bolt of the pump", "knowledge_base": "open"})
    assert storage.tokens is not None
    assert storage.tokens.scope == "pincite:read"
    assert "add_document" not in names
    assert found.structured_content is not None
    assert found.structured_content["results"]


async def test_the_refusal_and_the_metadata_say_where_to_get_a_token(guarded: Guarded) -> None:
    async with httpx2.AsyncClient() as http:
        refused = await http.post(f"{guarded.address}/mcp", json=DISCOVER, headers=ACCEPT)
        metadata = await http.get(f"{guarded.address}{METADATA_PATH}")
    assert refused.status_code == 401
    assert f'resource_metadata="{guarded.address}{METADATA_PATH}"' in refused.headers["WWW-Authenticate"]
    assert 'scope="pincite:read"' in refused.headers["WWW-Authenticate"]
    assert metadata.json() == {
        "resource": f"{guarded.address}/mcp",
        "authorization_servers": [guarded.authorization.issuer],
        "scopes_supported": ["pincite:read", "pincite:write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Pincite",
    }


async def test_scopes_give_rights_and_knowledge_bases(guarded: Guarded) -> None:
    url = f"{guarded.address}/mcp"
    async with connected(url, guarded.token("openid pincite:read")) as client:
        everywhere = await client.call_tool("list_knowledge_bases")
    async with connected(url, guarded.token(f"pincite:write pincite:read pincite:kb:{guarded.ids['open']}")) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        one = await client.call_tool("list_knowledge_bases")
        hidden = await client.call_tool("search", {"query": "torque", "knowledge_base": "secret"})
    assert names_in(everywhere.structured_content) == ["open", "secret"]
    assert names_in(one.structured_content) == ["open"]
    assert hidden.is_error
    assert "add_document" in tools


def names_in(listed: dict[str, Any] | None) -> list[str]:
    assert listed is not None
    return [kb["name"] for kb in listed["knowledge_bases"]]


async def test_a_token_opens_rest_and_its_citations_open_the_viewer(guarded: Guarded) -> None:
    headers = {"Authorization": f"Bearer {guarded.token()}"}
    asked = {"question": "Tighten bolt 1-1 of the pump", "knowledge_base": "open", "k": 1}
    async with httpx2.AsyncClient() as http:
        found = await http.post(f"{guarded.address}/api/search", json=asked, headers=headers)
        view = await http.get(found.json()["passages"][0]["url"])
    assert view.status_code == 200


async def test_a_token_without_a_scope_of_ours_is_told_so(guarded: Guarded) -> None:
    headers = ACCEPT | {"Authorization": f"Bearer {guarded.token('openid profile')}"}
    async with httpx2.AsyncClient() as http:
        answer = await http.post(f"{guarded.address}/mcp", json=DISCOVER, headers=headers)
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def authorization() -> AsyncIterator[AuthorizationServer]:
    async with authorization_server() as running:
        yield running


def unsigned(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "", "none")


def signed_with_the_public_key(authorization: AuthorizationServer) -> str:
    """Return a token whose secret is what everybody can read, as a verifier that trusts `alg` would accept it."""
    published = json.dumps(authorization.key.published()).encode()
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "first"}, {"sub": "ada", "aud": AUDIENCE}]
    head = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    seal = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(head, published)
    return (head + b"." + base64.urlsafe_b64encode(seal).rstrip(b"=")).decode()


async def is_refused(tokens: AccessTokens, token: str) -> bool:
    try:
        await tokens.verified(token)
    except NotAuthenticated:
        return True
    return False


async def test_only_tokens_of_this_issuer_for_this_server_and_this_time_count(
    authorization: AuthorizationServer,
) -> None:
    tokens = AccessTokens(authorization.issuer, AUDIENCE, authorization.jwks_url)
    good = authorization.token(AUDIENCE)
    assert (await tokens.verified(good))["name"] == "Ada"
    stranger = SigningKey("first")
    claims = jwt.decode(good, options={"verify_signature": False})
    now = int(time.time())
    forged = {
        "another audience": authorization.token("https://elsewhere.example/mcp"),
        "another issuer": authorization.token(AUDIENCE, iss="https://elsewhere.example"),
        "expired": authorization.token(AUDIENCE, exp=now - 3600),
        "not yet valid": authorization.token(AUDIENCE, nbf=now + 3600),
        "no expiry": authorization.token(AUDIENCE, exp=None),
        "no subject": authorization.token(AUDIENCE, sub=None),
        "no audience": authorization.token(AUDIENCE, aud=None),
        "another's key": stranger.sign(claims),
        "unknown key": SigningKey("second").sign(claims),
        "unsigned": unsigned(claims),
        "signed with the public key": signed_with_the_public_key(authorization),
        "changed": good[:-8] + "AAAAAAAA",
        "no token": "a.b.c",
        "too long": f"{good}{'A' * 20_000}",
    }
    accepted = [what for what, token in forged.items() if not await is_refused(tokens, token)]
    assert accepted == []


@pytest.mark.parametrize(
    ("claims", "rights", "knowledge_bases"),
    [
        ({"scope": "openid pincite:read pincite:admin"}, {"read", "admin"}, None),
        ({"scp": ["pincite:read", "pincite:write"]}, {"read", "write"}, None),
        ({"scp": "pincite:read other"}, {"read"}, None),
        ({"scope": "pincite:read pincite:kb:kb_1 pincite:kb:kb_2"}, {"read"}, {"kb_1", "kb_2"}),
    ],
)
def test_scopes_are_read_as_the_servers_in_use_write_them(
    claims: dict[str, Any], rights: set[str], knowledge_bases: set[str] | None
) -> None:
    granted = granted_by_token("issuer_1", claims)
    assert set(granted.scopes) == rights
    assert granted.knowledge_bases == (frozenset(knowledge_bases) if knowledge_bases else None)


@pytest.mark.parametrize("claims", [{}, {"scope": ""}, {"scope": "read write"}, {"scope": "pincite:kb:kb_1"}])
def test_without_a_scope_of_ours_there_is_no_right(claims: dict[str, Any]) -> None:
    with pytest.raises(NotPermitted):
        granted_by_token("issuer_1", claims)


async def test_the_readers_of_a_knowledge_base_hold_for_tokens_and_for_links_made_with_them(guarded: Guarded) -> None:
    lawyer, other = guarded.token(groups=["legal"]), guarded.token(sub="bob", email="x@y.z", email_verified=False)
    asked = {"question": "Tighten bolt 1-1 of the pump", "knowledge_base": "secret", "k": 1}
    change = {"readers": ["group:legal", "user:x@y.z"]}
    url = f"{guarded.address}/api/search"
    await guarded.workspace.update_knowledge_base(OWNER, "secret", change)
    try:
        async with httpx2.AsyncClient() as http:
            found = await http.post(url, json=asked, headers={"Authorization": f"Bearer {lawyer}"})
            hidden = await http.post(url, json=asked, headers={"Authorization": f"Bearer {other}"})
            link = found.json()["passages"][0]["url"]
            opened = await http.get(link)
            await guarded.workspace.update_knowledge_base(OWNER, "secret", {"readers": []})
            closed = await http.get(link)
    finally:
        await guarded.workspace.update_knowledge_base(OWNER, "secret", {"readers": ["everyone"]})
    assert (found.status_code, hidden.status_code) == (200, 404)
    assert (opened.status_code, closed.status_code) == (200, 404)


async def test_a_new_key_is_fetched_and_unknown_ones_do_not_make_us_fetch_again_and_again(
    authorization: AuthorizationServer,
) -> None:
    clock = Clock()
    tokens = AccessTokens(authorization.issuer, AUDIENCE, authorization.jwks_url, clock)
    await tokens.verified(authorization.token(AUDIENCE))
    authorization.key = SigningKey("second")
    renewed = authorization.token(AUDIENCE)
    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            await tokens.verified(renewed)
    assert authorization.fetches == 1
    clock.now += BETWEEN_FETCHES_S
    await tokens.verified(renewed)
    assert authorization.fetches == 2


async def test_keys_that_are_known_serve_while_their_server_is_away(authorization: AuthorizationServer) -> None:
    clock = Clock()
    tokens = AccessTokens(authorization.issuer, AUDIENCE, authorization.jwks_url, clock)
    authorization.reachable = False
    with pytest.raises(BackendError):
        await tokens.verified(authorization.token(AUDIENCE))
    authorization.reachable = True
    clock.now += BETWEEN_FETCHES_S
    await tokens.verified(authorization.token(AUDIENCE))
    authorization.reachable = False
    clock.now += KEYS_KEPT_S + 1
    await tokens.verified(authorization.token(AUDIENCE))
