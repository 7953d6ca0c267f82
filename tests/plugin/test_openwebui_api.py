"""Who may install: an administrator, with an API key as well as with the token of a browser."""

import httpx
import pytest

from plugin.openwebui_api import OpenWebUIApi, OpenWebUIFailure

pytestmark = pytest.mark.anyio


def openwebui(request: httpx.Request) -> httpx.Response:
    """Answer as Open WebUI 0.12.4 does."""
    key = request.headers["Authorization"].removeprefix("Bearer ")
    if request.url.path == "/api/version":
        return httpx.Response(200, json={"version": "0.12.4"})
    if request.url.path == "/api/v1/auths/" and key.startswith("sk-"):
        return httpx.Response(403, json={"detail": "A human session is required."})
    if key == "sk-of-an-administrator":
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
