"""Who may install: an administrator, with an API key as well as with the token of a browser."""

import json

import httpx
import pytest

from plugin.openwebui_api import OpenWebUIApi, OpenWebUIFailure

pytestmark = pytest.mark.anyio


def openwebui(request: httpx.Request) -> httpx.Response:
    """Answer as Open WebUI 0.12.4 does."""
    if request.url.path == "/api/v1/auths/signin":
        given = json.loads(request.content)
        known = given == {"email": "admin@example.com", "password": "right"}
        return httpx.Response(200, json={"token": "of-a-session"}) if known else httpx.Response(400, json={})
    key = request.headers["Authorization"].removeprefix("Bearer ")
    if request.url.path == "/api/version":
        return httpx.Response(200, json={"version": "0.12.4"})
    if request.url.path == "/api/v1/auths/" and key.startswith("sk-"):
        return httpx.Response(403, json={"detail": "A human session is required."})
    if key in {"sk-of-an-administrator", "of-a-session"}:
        return httpx.Response(200, json={"TOOL_SERVER_CONNECTIONS": []})
    return httpx.Response(401, json={"detail": "You do not have permission to access this resource."})


async def test_an_administrators_api_key_is_enough() -> None:
    async with OpenWebUIApi("http://chat", "sk-of-an-administrator", httpx.MockTransport(openwebui)) as api:
        assert await api.check() == "0.12.4"


async def test_someone_elses_key_is_refused_with_what_to_do() -> None:
    said = "make an API key in the account settings of an administrator"
    async with OpenWebUIApi("http://chat", "sk-of-a-user", httpx.MockTransport(openwebui)) as api:
        with pytest.raises(OpenWebUIFailure, match=said):
            await api.check()


async def test_an_administrator_signs_in_with_a_password() -> None:
    async with OpenWebUIApi("http://chat", transport=httpx.MockTransport(openwebui)) as api:
        with pytest.raises(OpenWebUIFailure, match="no account with this e-mail address and password"):
            await api.sign_in("admin@example.com", "wrong")
        await api.sign_in("admin@example.com", "right")
        assert await api.check() == "0.12.4"


async def test_where_no_password_opens_anything_the_key_is_named() -> None:
    refused = httpx.MockTransport(lambda _: httpx.Response(403, json={"detail": "Action prohibited"}))
    async with OpenWebUIApi("http://chat", transport=refused) as api:
        with pytest.raises(OpenWebUIFailure, match="OPENWEBUI_TOKEN"):
            await api.sign_in("admin@example.com", "right")
