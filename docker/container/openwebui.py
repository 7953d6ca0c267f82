"""The account with which this installation keeps its functions and models in Open WebUI.

It is an account of its own: people may change their passwords and keys without taking the installation's.
"""

from typing import Any

import httpx

from installation import Installation

ACCOUNT = "pincite@localhost"
KEY = "open-webui-api-key"
TIMEOUT_S = 60.0
# Not "/api/v1/auths/", which tells who asks: it is for people in a browser and refuses API keys.
ADMINISTRATORS_ONLY = "/api/v1/configs/tool_servers"


class Refused(Exception):
    """Open WebUI does not let this installation in; the message says what to do."""


async def installation_key(url: str, installation: Installation, administrator: tuple[str, str]) -> str:
    """Return an API key that may install; the account it belongs to is made the first time.

    Raises:
        Refused: Open WebUI does not answer, or fails; the account is gone, or may not have a key.
    """
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False) as http:
        try:
            if key := installation.kept(KEY):
                await _ask(http, key, "GET", ADMINISTRATORS_ONLY)
                return key
            password = installation.secret("open-webui-account")
            token = await _sign_in(http, ACCOUNT, password) or await _make_account(http, administrator, password)
            return installation.keep(KEY, (await _ask(http, token, "POST", "/api/v1/auths/api_key"))["api_key"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            if _may_pass(error):
                raise Refused(f"Open WebUI does not answer as it should ({_why(error)}).") from None
            raise Refused(
                f"Open WebUI does not let the account {ACCOUNT} in ({_why(error)}): its functions and models "
                f"stay as they are. To let it make another, remove that account in Open WebUI and "
                f"{installation.path(KEY)}, and start anew; or run `pincite openwebui install` with a key of your own."
            ) from None


async def _make_account(http: httpx.AsyncClient, administrator: tuple[str, str], password: str) -> str:
    token = await _sign_in(http, *administrator)
    if not token:
        raise Refused("Open WebUI does not let its first administrator in; was the password changed?")
    form = {"name": "Pincite", "email": ACCOUNT, "password": password, "role": "admin"}
    added = await _ask(http, token, "POST", "/api/v1/auths/add", form)
    return str(added["token"])


async def _sign_in(http: httpx.AsyncClient, email: str, password: str) -> str:
    """Return a token, "" if they do not open."""
    answer = await http.post("/api/v1/auths/signin", json={"email": email, "password": password})
    if answer.status_code in {httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return ""
    return str(answer.raise_for_status().json()["token"])


async def _ask(http: httpx.AsyncClient, token: str, method: str, path: str, form: Any = None) -> Any:
    answer = await http.request(method, path, json=form, headers={"Authorization": f"Bearer {token}"})
    return answer.raise_for_status().json()


def _may_pass(error: Exception) -> bool:
    """Say whether the reason may go by itself: it is not there, it fails, or it was asked too often."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error or error.response.status_code == httpx.codes.TOO_MANY_REQUESTS
    return isinstance(error, httpx.TransportError)


def _why(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"{error.response.status_code} to {error.request.method} {error.request.url.path}"
    return type(error).__name__
