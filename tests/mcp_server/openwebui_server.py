"""The few addresses of Open WebUI that are asked: who holds a session, their groups, a chat, and a message's events."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.serving import served

SECRET = "the secret of an Open WebUI of the tests"
CHAT, MESSAGE = "0b6f5f5e-chat", "7a1c-message"


@dataclass
class OpenWebUIServer:
    """People by id: `email`, `name`, `role` and `groups`. `asked` are the requests, `cookies` what came with them."""

    people: dict[str, dict[str, Any]]
    address: str = ""
    healthy: bool = True
    ended: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)
    owner: str = "ada"
    sources: list[dict[str, Any]] = field(default_factory=list)

    def session(self, person: str, secret: str = SECRET, **claims: Any) -> str:
        """Return the token of a new session of a person."""
        return jwt.encode({"id": person, "jti": secrets.token_hex(8), **claims}, secret, "HS256")

    def forget(self) -> None:
        """Be as at first: nobody has asked, and no message shows a source."""
        self.healthy = True
        for seen in (self.asked, self.cookies, self.sources, self.ended):
            seen.clear()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/v1/auths/", self._who),
                Route("/api/v1/users/groups", self._groups),
                Route("/api/v1/chats/{chat}", self._chat),
                Route("/api/v1/chats/{chat}/messages/{message}/event", self._event, methods=["POST"]),
            ]
        )

    def _person(self, request: Request) -> dict[str, Any] | None:
        self.asked.append((request.method, request.url.path))
        self.cookies.append(request.headers.get("cookie", ""))
        token = request.headers["authorization"].removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, SECRET, ["HS256"])
        except jwt.InvalidTokenError:
            return None
        found = self.people.get(claims["id"])
        if found is None or token in self.ended:
            return None
        return found | {"id": claims["id"], "expires_at": claims.get("exp"), "token": token}

    async def _who(self, request: Request) -> Response:
        person = self._person(request)
        if not self.healthy:
            return JSONResponse({"detail": "out of order"}, 500)
        if person is None:
            return JSONResponse({"detail": "Invalid token"}, 401)
        answer = JSONResponse({name: value for name, value in person.items() if name != "groups"})
        answer.set_cookie("token", person["token"], httponly=True)
        return answer

    async def _groups(self, request: Request) -> Response:
        person = self._person(request)
        if person is None or person["role"] == "pending":
            return JSONResponse({"detail": "Unauthorized"}, 401)
        return JSONResponse([{"id": name.encode().hex(), "name": name} for name in person["groups"]])

    async def _chat(self, request: Request) -> Response:
        if not self._may(request):
            return JSONResponse({"detail": "Unauthorized"}, 401)
        message = {"id": MESSAGE, "role": "assistant", "content": "", "sources": self.sources}
        return JSONResponse({"id": CHAT, "chat": {"history": {"messages": {MESSAGE: message}}}})

    async def _event(self, request: Request) -> Response:
        if not self._may(request):
            return JSONResponse({"detail": "Unauthorized"}, 401)
        event = await request.json()
        assert event["type"] == "source"
        self.sources.append(event["data"])
        return JSONResponse(True)

    def _may(self, request: Request) -> bool:
        person = self._person(request)
        return person is not None and person["id"] == self.owner and request.path_params["chat"] == CHAT


@asynccontextmanager
async def openwebui_server() -> AsyncIterator[OpenWebUIServer]:
    """Run one with Ada, who is in the group legal, Bob, who is in none, and Eve, whom nobody has admitted yet."""
    people = {
        "ada": {"email": "ada@example.com", "name": "Ada", "role": "user", "groups": ["legal"]},
        "bob": {"email": "bob@example.com", "name": "Bob", "role": "admin", "groups": []},
        "eve": {"email": "eve@example.com", "name": "Eve", "role": "pending", "groups": ["legal"]},
    }
    server = OpenWebUIServer(people)
    async with served(server.app()) as address:
        server.address = address
        yield server


def soon() -> int:
    """Return a time at which a session that is still open ends."""
    return int(time.time()) + 3600
