"""What is asked of an Open WebUI: who holds one of its sessions, and the sources that a message of its chats shows.

A session's token has every power of its person there. It is sent to that Open WebUI only, never kept and never
logged: what was learnt is remembered for a moment by the token's hash.
"""

import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
import jwt

from pincite.errors import BackendError, NotAuthenticated, NotFound
from pincite.people import Person, person_of_claims
from pincite.settings import Settings

# What Open WebUI signs its sessions with; access tokens, which are signed with public keys, never have it.
ALGORITHM = "HS256"
ID_PREFIX = "openwebui_"
MAX_SESSION_LENGTH = 8_000
MAX_ANSWER_BYTES = 16 * 1024 * 1024  # a chat with all its messages
TIMEOUT_S = 10.0
CONNECTIONS = 16
# How long one that was ended there may go on here.
KEPT_S = 30.0
MOST_KEPT = 1_000
VERIFIED_ROLES = frozenset({"user", "admin"})
# The ids of its chats and messages; one that has another form would change the address it is put into.
IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a chat; `session` is the token of the person whose chat it is."""

    chat: str
    id: str
    session: str

    @staticmethod
    def named(chat: str, identifier: str, session: str) -> "Message | None":
        """Return the message of these ids; None if they cannot be any, as those of a chat that is not kept."""
        if IDENTIFIER.fullmatch(chat) and IDENTIFIER.fullmatch(identifier) and is_session(session):
            return Message(chat, identifier, session)
        return None

    def __repr__(self) -> str:
        return f"Message({self.chat!r}, {self.id!r})"


class OpenWebUI:
    """One Open WebUI at `url`."""

    def __init__(self, url: str, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.id = ID_PREFIX + hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:20]
        self._people: OrderedDict[bytes, tuple[Person, float]] = OrderedDict()
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            timeout=TIMEOUT_S,
            limits=httpx.Limits(max_connections=CONNECTIONS),
            trust_env=False,
            # It answers with the session as a cookie, which must neither be kept nor go along with the next person's.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    @classmethod
    def of(cls, settings: Settings) -> "OpenWebUI | None":
        """Return the one that the settings name; None where they name none."""
        return cls(settings.openwebui_url) if settings.openwebui_url is not None else None

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def person(self, session: str) -> Person:
        """Return who holds a session.

        Raises:
            NotAuthenticated: nobody does, or someone whom an administrator there has not admitted yet.
            BackendError: Open WebUI does not answer.
        """
        digest = hashlib.sha256(session.encode()).digest()
        person, until = self._people.get(digest, (None, 0.0))
        if person is not None and self._now() < until:
            return person
        me = await self._ask("GET", "/api/v1/auths/", session)
        groups = await self._ask("GET", "/api/v1/users/groups", session)
        try:
            if me["role"] not in VERIFIED_ROLES:
                raise NotAuthenticated("Open WebUI has not admitted you yet; ask its administrator.")
            claims = {"sub": me["id"], "name": me["name"], "email": me["email"]}
            person = person_of_claims(claims | {"groups": [group["name"] for group in groups]})
            until = min(self._now() + KEPT_S, float(me.get("expires_at") or "inf"))
        except (KeyError, TypeError, ValueError):
            raise BackendError("Open WebUI says something else than expected of a session; is it 0.12?") from None
        self._people[digest] = person, until
        self._people.move_to_end(digest)
        while len(self._people) > MOST_KEPT:
            self._people.popitem(last=False)
        return person

    async def sources(self, message: Message) -> list[str]:
        """Return the ids of the sources that a message shows, as it numbers them: in order, each once.

        Raises:
            NotFound: its person has no such message.
            BackendError, NotAuthenticated: it cannot be read.
        """
        chat = await self._ask("GET", f"/api/v1/chats/{message.chat}", message.session)
        try:
            found = chat["chat"]["history"]["messages"][message.id]
            shown = [identifier for source in found.get("sources") or [] for identifier in _identifiers(source)]
        except (KeyError, TypeError, AttributeError):
            raise NotFound("There is no such message in this chat.") from None
        return list(dict.fromkeys(shown))

    async def show(self, message: Message, source: Mapping[str, Any]) -> None:
        """Add a source to a message, in the open chat and in what is kept of it.

        Raises:
            NotFound: its person has no such message.
            BackendError, NotAuthenticated: it cannot be added.
        """
        where = f"/api/v1/chats/{message.chat}/messages/{message.id}/event"
        if await self._ask("POST", where, message.session, {"type": "source", "data": dict(source)}) is not True:
            raise NotFound("There is no such message in this chat.")

    async def _ask(self, method: str, path: str, session: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {session}", "Accept": "application/json"}
        data = b""
        try:
            async with self._http.stream(method, path, headers=headers, json=body) as answer:
                async for piece in answer.aiter_bytes():
                    data += piece
                    if len(data) > MAX_ANSWER_BYTES:
                        raise ValueError("too large")
            if answer.is_success:
                return json.loads(data)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise BackendError("Open WebUI does not answer now; try again, or use an API key.") from None
        if answer.status_code in {401, 403}:
            raise NotAuthenticated("Open WebUI does not accept this session; sign in there again.")
        if answer.status_code == 404:
            raise NotFound("Open WebUI has nothing at this address.")
        raise BackendError(f"Open WebUI answers with status {answer.status_code}; look at its log.")


def is_session(credential: str) -> bool:
    """Say whether a credential can be the token of a session."""
    if len(credential) > MAX_SESSION_LENGTH or credential.count(".") != 2:
        return False
    try:
        return bool(jwt.get_unverified_header(credential).get("alg") == ALGORITHM)
    except (jwt.PyJWTError, ValueError, TypeError):
        return False


def _identifiers(source: Mapping[str, Any]) -> list[str]:
    """Return the ids by which a source's documents are numbered; Open WebUI takes the same, in this order."""
    own = (source.get("source") or {}).get("id", "")
    metadata = source.get("metadata") or []
    every = [metadata[at] if at < len(metadata) else None for at in range(len(source.get("document") or []))]
    return [str((each or {}).get("source") or own or "N/A") for each in every]
