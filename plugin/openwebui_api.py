"""Open WebUI's REST interface, as the administrator whose token or API key is given."""

from collections.abc import Sequence
from typing import Any, Self

import httpx

TIMEOUT_S = 60.0
# Not "/api/v1/auths/", which tells who asks: it is for people in a browser and refuses API keys.
ADMINISTRATORS_ONLY = "/api/v1/configs/tool_servers"


class OpenWebUIFailure(Exception):
    """Open WebUI refused or does not answer; the message says what to do."""


class OpenWebUIApi:
    """One Open WebUI at `url`; used inside `with`."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self._url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
            trust_env=False,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def check(self) -> str:
        """Return the version of this Open WebUI.

        Raises:
            OpenWebUIFailure: there is none, or the token is not an administrator's.
        """
        version = self.ask("GET", "/api/version")["version"]
        self.ask("GET", ADMINISTRATORS_ONLY)
        return str(version)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return what it answers, as JSON."""
        try:
            answer = self._http.request(method, path, json=body)
            told = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise OpenWebUIFailure(f"There is no Open WebUI that answers at {self._url}; is it running?") from None
        if answer.is_success:
            return told
        if answer.status_code in {401, 403} and path == ADMINISTRATORS_ONLY:
            raise OpenWebUIFailure(
                "Open WebUI does not take this token for an administrator's, and only one may install functions; "
                "make an API key in the account settings of an administrator."
            )
        detail = told.get("detail") if isinstance(told, dict) else None
        raise OpenWebUIFailure(f"Open WebUI refused {method} {path} ({answer.status_code}): {str(detail)[:300]}")

    def pages(self, path: str) -> list[dict[str, Any]]:
        """Return the items of all pages of a list."""
        items: list[dict[str, Any]] = []
        page = 1
        while True:
            told = self.ask("GET", f"{path}?page={page}")
            items += told["items"]
            if not told["items"] or len(items) >= told["total"]:
                return items
            page += 1

    def file(self, identifier: str) -> bytes:
        """Return a file as it was uploaded."""
        try:
            answer = self._http.get(f"/api/v1/files/{identifier}/content")
            return answer.raise_for_status().content
        except httpx.HTTPError:
            raise OpenWebUIFailure(f"Open WebUI does not hand out the file {identifier}.") from None

    def audience(self) -> "Audience":
        """Return its users and groups."""
        return Audience(self.ask("GET", "/api/v1/users/all")["users"], self.ask("GET", "/api/v1/groups/"))


class Audience:
    """Users and groups: a knowledge base's readers, such as `group:legal`, to grants in Open WebUI and back."""

    def __init__(self, users: Sequence[dict[str, Any]], groups: Sequence[dict[str, Any]]) -> None:
        self._users = {user["id"]: str(user["email"]).casefold() for user in users}
        self._groups = {group["id"]: str(group["name"]) for group in groups}

    def grants(self, readers: Sequence[str]) -> list[dict[str, str]]:
        """Return the grants of a model; a reader who is not there is left out."""
        users = {email: identifier for identifier, email in self._users.items()}
        users |= {identifier: identifier for identifier in self._users}
        groups = {name: identifier for identifier, name in self._groups.items()}
        found: list[tuple[str, str]] = []
        for reader in readers:
            kind, _, name = reader.partition(":")
            if reader == "everyone":
                found.append(("user", "*"))
            elif kind == "user" and (user := users.get(name.casefold()) or users.get(name)):
                found.append(("user", user))
            elif kind == "group" and name in groups:
                found.append(("group", groups[name]))
        return [{"principal_type": kind, "principal_id": who, "permission": "read"} for kind, who in found]

    def readers(self, owner: str, grants: Sequence[dict[str, Any]]) -> list[str]:
        """Return the readers of a collection: its owner, and whom it is shared with."""
        found = {f"user:{self._users[owner]}"} if owner in self._users else set()
        for grant in grants:
            kind, who = grant["principal_type"], grant["principal_id"]
            if kind == "user" and who == "*":
                return ["everyone"]
            if kind == "user" and who in self._users:
                found.add(f"user:{self._users[who]}")
            elif kind == "group" and who in self._groups:
                found.add(f"group:{self._groups[who]}")
        return sorted(found)
