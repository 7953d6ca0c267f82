"""The functions come into Open WebUI as soon as it lets them in, and whenever a knowledge base changes."""

import os
import socket
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import house
from functions import AGAIN, BETWEEN_LOOKS_S, LONGEST_WAIT_S, Functions
from installation import Installation
from tests.serving import served

pytestmark = pytest.mark.anyio

ADMINISTRATOR = ("admin@localhost", "a password of the tests")
NOW = "Open WebUI has Pincite's functions and models now."


class Enough(Exception):
    """The test has seen what it waited for."""


class Servers:
    """What the house asks of Open WebUI and of Pincite, and the `pincite` command."""

    def __init__(self, folder: Path) -> None:
        self.status = 200
        self.names = ["samples"]
        self.accounts = dict([ADMINISTRATOR])
        self._runs = folder / "runs"
        program = folder / "pincite"
        program.write_text(f'#!/bin/sh\necho "$OPENWEBUI_TOKEN $*" >> {self._runs}\n')
        program.chmod(0o755)
        self.environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PINCITE_ADMIN_KEY": "key"}

    def app(self) -> Starlette:
        """Return both servers as one."""
        return Starlette(
            routes=[
                Route("/api/v1/auths/signin", self._sign_in, methods=["POST"]),
                Route("/api/v1/auths/add", self._add, methods=["POST"]),
                Route("/api/v1/auths/api_key", self._answer({"api_key": "sk-installation"}), methods=["POST"]),
                Route("/api/v1/configs/tool_servers", self._answer({})),
                Route("/api/knowledge-bases", self._knowledge_bases),
            ]
        )

    @property
    def runs(self) -> list[str]:
        """With which key and arguments `pincite` was run."""
        return self._runs.read_text("utf-8").splitlines() if self._runs.exists() else []

    def _answer(self, body: dict[str, str]):  # type: ignore[no-untyped-def] # an endpoint, as Starlette takes it
        async def endpoint(_: Request) -> JSONResponse:
            return JSONResponse(body, self.status)

        return endpoint

    async def _sign_in(self, request: Request) -> JSONResponse:
        form = await request.json()
        right = self.accounts.get(form["email"]) == form["password"]
        return JSONResponse({"token": "t"}, self.status if right or self.status != 200 else 400)

    async def _add(self, request: Request) -> JSONResponse:
        form = await request.json()
        self.accounts[form["email"]] = form["password"]
        return JSONResponse({"token": "t"}, self.status)

    async def _knowledge_bases(self, _: Request) -> JSONResponse:
        return JSONResponse([{"id": name, "name": name, "settings": {"readers": None}} for name in self.names])


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    return Servers(tmp_path)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def functions(servers: Servers, said: list[str], tmp_path: Path) -> Functions:
    installation = Installation(tmp_path / "installation")
    return Functions(installation, ADMINISTRATOR, servers.environment, said.append)


async def test_open_webui_that_fails_is_tried_again_later_each_time_and_told_once(
    servers: Servers, functions: Functions, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def pause(wait_s: float) -> None:
        waits.append(wait_s)
        if len(waits) == 9:
            servers.status = 200
        if len(waits) == 11:
            raise Enough

    servers.status = 503
    async with served(servers.app()) as address:
        for name in ("OPENWEBUI_URL", "PINCITE_URL"):
            monkeypatch.setattr(house, name, address)
        assert not await functions.install()
        with pytest.raises(Enough):
            await functions.keep(pause)
    doubled = [BETWEEN_LOOKS_S * 2**times for times in range(6)]
    assert waits == [*doubled, *[LONGEST_WAIT_S] * 3, BETWEEN_LOOKS_S, BETWEEN_LOOKS_S]
    reason = "Open WebUI does not answer as it should (503 to POST /api/v1/auths/signin)."
    assert said == [f"{reason} {AGAIN}", NOW]
    assert servers.runs == [f"sk-installation openwebui install --url {address} --pincite-url {address}"]


async def test_nobody_listening_is_no_reason_to_remove_an_account(
    servers: Servers, functions: Functions, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        monkeypatch.setattr(house, "OPENWEBUI_URL", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        async with served(servers.app()) as address:
            monkeypatch.setattr(house, "PINCITE_URL", address)
            assert not await functions.install()
            assert not await functions.install()
    assert said == [f"Open WebUI does not answer as it should (ConnectError). {AGAIN}"]


async def test_an_administrator_who_has_another_password_is_named_and_let_in_once_it_is_right(
    servers: Servers, functions: Functions, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.accounts[ADMINISTRATOR[0]] = "another"
    async with served(servers.app()) as address:
        for name in ("OPENWEBUI_URL", "PINCITE_URL"):
            monkeypatch.setattr(house, name, address)
        assert not await functions.install()
        servers.accounts[ADMINISTRATOR[0]] = ADMINISTRATOR[1]
        assert await functions.install()
    assert "was the password changed?" in said[0]
    assert said[1:] == [NOW]


async def test_a_new_knowledge_base_is_installed_and_what_has_not_changed_is_not(
    servers: Servers, functions: Functions, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []

    async def pause(_: float) -> None:
        runs.append(len(servers.runs))
        if len(runs) == 2:
            servers.names.append("contracts")
        if len(runs) == 4:
            raise Enough

    async with served(servers.app()) as address:
        for name in ("OPENWEBUI_URL", "PINCITE_URL"):
            monkeypatch.setattr(house, name, address)
        assert await functions.install()
        with pytest.raises(Enough):
            await functions.keep(pause)
    assert runs == [1, 1, 2, 2]
    assert said == []
