"""The real parts as processes of their own: Open WebUI, offline and without a model of its own, and `pincite serve`."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 600
BETWEEN_LOOKS_S = 0.5
SHOWN_LINES = 40
PASSWORD = "a password of the tests"
ADMIN_KEY = "admin-key-for-the-tests-only"

# It neither downloads anything nor loads a model of its own.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "OFFLINE_MODE": "true",
    "ENABLE_OLLAMA_API": "false",
    "RAG_EMBEDDING_ENGINE": "openai",
    "RAG_OPENAI_API_KEY": "none",
    "RAG_EMBEDDING_MODEL": "none",
    "ENABLE_VERSION_UPDATE_CHECK": "false",
    "ENABLE_API_KEYS": "true",
    "USER_PERMISSIONS_FEATURES_API_KEYS": "true",
    "ENABLE_SIGNUP": "true",
    "WEBUI_SECRET_KEY": "the secret of the tests",
    "CORS_ALLOW_ORIGIN": "*",
    "ANONYMIZED_TELEMETRY": "false",
    "DO_NOT_TRACK": "true",
    "SCARF_NO_ANALYTICS": "true",
}


@dataclass
class User:
    """Someone with an account: the token that a browser keeps, and requests made with it."""

    email: str
    token: str
    http: httpx.AsyncClient

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return what Open WebUI answers, as JSON."""
        answer = await self.http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()


@dataclass
class OpenWebUI:
    """A running Open WebUI."""

    address: str
    running: AsyncExitStack
    command: list[str]
    variables: dict[str, str]
    folder: Path
    admin: User = field(init=False)
    api_key: str = field(init=False)
    _serving: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        started = process(self.command, self.variables, self.folder, f"{self.address}/health")
        self.process = await self._serving.enter_async_context(started)

    async def stop(self) -> None:
        """Stop it."""
        await self._serving.aclose()

    async def crash(self) -> None:
        """Take it away in the middle of what it does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        await self.stop()

    async def sign_up(self, name: str) -> User:
        """Make the first account, which is the administrator's."""
        form = {"name": name, "email": f"{name.lower()}@example.com", "password": PASSWORD}
        async with httpx.AsyncClient(base_url=self.address, timeout=120, trust_env=False) as http:
            return await self._user((await http.post("/api/v1/auths/signup", json=form)).raise_for_status().json())

    async def add_user(self, name: str) -> User:
        """Make an account that may do what people may."""
        form = {"name": name, "email": f"{name.lower()}@example.com", "password": PASSWORD, "role": "user"}
        return await self._user(await self.admin.ask("POST", "/api/v1/auths/add", form))

    async def _user(self, told: dict[str, Any]) -> User:
        headers = {"Authorization": f"Bearer {told['token']}"}
        http = httpx.AsyncClient(base_url=self.address, headers=headers, timeout=120, trust_env=False)
        user = User(told["email"], told["token"], await self.running.enter_async_context(http))
        # Or the news of the release would lie over the chat.
        await user.ask("POST", "/api/v1/users/user/settings/update", {"ui": {"showChangelog": False}})
        return user


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def openwebui(
    environment: Path, folder: Path, model: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[OpenWebUI]:
    """Run Open WebUI with an administrator and the OpenAI-compatible server `model` as its only connection.

    `settings` are variables of its environment besides.
    """
    address = f"http://127.0.0.1:{(port := free_port())}"
    variables = {
        **OFFLINE,
        "DATA_DIR": str(folder),
        "OPENAI_API_BASE_URL": f"{model}/v1",
        "RAG_OPENAI_API_BASE_URL": f"{model}/v1",
        "OPENAI_API_KEY": "none",
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "HOME": str(folder),
        **(settings or {}),
    }
    program = [str(environment / "bin" / "python"), "-c", "from open_webui import app; app()"]
    command = [*program, "serve", "--host", "127.0.0.1", "--port", str(port)]
    async with AsyncExitStack() as running:
        started = OpenWebUI(address, running, command, variables, folder)
        running.push_async_callback(started.stop)
        await started.start()
        started.admin = await started.sign_up("Admin")
        started.api_key = (await started.admin.ask("POST", "/api/v1/auths/api_key"))["api_key"]
        yield started


@asynccontextmanager
async def pincite(folder: Path, port: int, chat: str = "") -> AsyncIterator[str]:
    """Run `pincite serve` on a data folder, with the embedded model, where there is a `chat` for its sessions."""
    variables = pincite_variables(folder, port, chat)
    command = [sys.executable, "-m", "pincite.cli", "serve"]
    address = f"http://127.0.0.1:{port}"
    async with process(command, variables, folder, f"{address}/readyz"):
        yield address


def pincite_variables(folder: Path, port: int, chat: str = "") -> dict[str, str]:
    """Return the environment of `pincite` commands on a data folder."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PINCITE_DATA": str(folder / "data"),
        "PINCITE_PORT": str(port),
        "PINCITE_ADMIN_KEY": ADMIN_KEY,
        "PINCITE_PARSER_WORKERS": "1",
        "PINCITE_OPENWEBUI_URL": chat,
    }


@asynccontextmanager
async def process(
    command: list[str], variables: dict[str, str], folder: Path, ready: str
) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """Run a program for the time of the block, from the moment that it answers at `ready`."""
    log = folder / "process.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=variables, cwd=folder, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        await _until_it_answers(process, ready, log)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, 30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)


async def _until_it_answers(process: "subprocess.Popen[bytes]", ready: str, log: Path) -> None:
    async with httpx.AsyncClient(timeout=5, trust_env=False) as http, asyncio.timeout(DEADLINE_S):
        while True:
            if process.poll() is not None:
                said = log.read_text("utf-8", "replace").splitlines()[-SHOWN_LINES:]
                pytest.fail(f"{log.name} ended with {process.returncode}:\n" + "\n".join(said))
            try:
                if (await http.get(ready)).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(BETWEEN_LOOKS_S)  # a process of its own tells only when it is asked
