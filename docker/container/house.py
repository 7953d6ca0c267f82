"""The parts of the house, and with what each is started: the embedding backend, Pincite, Open WebUI."""

import asyncio
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from installation import Installation
from supervision import Part

EVERYWHERE = "0.0.0.0"  # noqa: S104 - in the container; what is published is said at its start
BACKEND_URL = "http://127.0.0.1:8000"
PINCITE_URL = "http://127.0.0.1:7861"
OPENWEBUI_URL = "http://127.0.0.1:7860"
EMBEDDED_MODEL = "pincite-embedded-1"
OPENWEBUI_PYTHON = "/opt/open-webui/.venv/bin/python"
# Fetching the weights of the largest model that is planned may take so long.
BACKEND_WAIT_S = "1800"

# Open WebUI neither downloads anything, nor loads a model of its own, nor asks for its newest version.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "OFFLINE_MODE": "true",
    "ENABLE_VERSION_UPDATE_CHECK": "false",
    "ANONYMIZED_TELEMETRY": "false",
    "DO_NOT_TRACK": "true",
    "SCARF_NO_ANALYTICS": "true",
}


@dataclass(frozen=True, slots=True)
class Backend:
    """Which model the embedding backend serves, why, and the arguments of `pincite backend up` that choose it."""

    model: str
    why: str
    arguments: tuple[str, ...]

    @property
    def is_embedded(self) -> bool:
        """Whether it runs on the processor, from the image itself."""
        return self.model == EMBEDDED_MODEL


async def choose_backend(environment: Mapping[str, str]) -> Backend:
    """Return vLLM with the model planned for the cards this container has been given, or the embedded model."""
    path = environment.get("PATH")
    if environment.get("PINCITE_EMBEDDING_URL"):
        return _embedded("for other programs: Pincite uses the servers of PINCITE_EMBEDDING_URL")
    if not shutil.which("nvidia-smi", path=path):
        return _embedded("on the processor: no NVIDIA card was given to this container (--gpus all)")
    if not shutil.which("vllm", path=path):
        return _embedded("on the processor: there is a card, but no vLLM in this image; pincite:gpu has it")
    wanted = {"--model": "PINCITE_BACKEND_MODEL", "--context": "PINCITE_BACKEND_CONTEXT"}
    options = tuple(
        word for option, name in wanted.items() if (value := environment.get(name)) for word in (option, value)
    )
    planning = await asyncio.create_subprocess_exec(
        *("pincite", "backend", "plan", "--json", *options),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, said = await planning.communicate()
    if planning.returncode:
        return _embedded(f"on the processor: {said.decode().strip().removeprefix('pincite: ')}")
    plan = json.loads(printed)
    if plan["model"] == EMBEDDED_MODEL:
        return _embedded("on the processor: no NVIDIA card answers in this container")
    return Backend(plan["model"], f"with vLLM. {' '.join(plan['reasons'])}", options)


def _embedded(why: str) -> Backend:
    return Backend(EMBEDDED_MODEL, why, ("--gpus", "0"))


def backend_part(backend: Backend, installation: Installation) -> Part:
    """Return the embedding backend, on port 8000."""
    key = {"PINCITE_BACKEND_KEY": backend_key(installation)}
    command = ("pincite", "backend", "up", *backend.arguments, "--host", EVERYWHERE, "--port", "8000")
    return Part("The embedding backend", command, os.environ | key, f"{BACKEND_URL}/health")


def backend_key(installation: Installation) -> str:
    """Return the key that requests to the backend carry."""
    return os.environ.get("PINCITE_BACKEND_KEY") or installation.secret("backend-key")


def pincite_key(installation: Installation) -> str:
    """Return the administrator's key of Pincite."""
    return os.environ.get("PINCITE_ADMIN_KEY") or installation.secret("pincite-admin-key")


def pincite_environment(backend: Backend, installation: Installation) -> dict[str, str]:
    """Return the environment of `pincite` commands and the server."""
    given = {
        "PINCITE_ADMIN_KEY": pincite_key(installation),
        "PINCITE_PORT": "7861",
        "PINCITE_OPENWEBUI_URL": os.environ.get("PINCITE_OPENWEBUI_URL") or OPENWEBUI_URL,
        "PINCITE_LOG_LEVEL": os.environ.get("PINCITE_LOG_LEVEL") or "warning",
    }
    if not backend.is_embedded:
        given |= {"PINCITE_EMBEDDING_URL": BACKEND_URL, "PINCITE_EMBEDDING_KEY": backend_key(installation)}
        given |= {"PINCITE_EMBEDDING_WAIT_S": BACKEND_WAIT_S}
    return os.environ | given


def pincite_part(environment: Mapping[str, str]) -> Part:
    """Return the server, on port 7861."""
    return Part("Pincite", ("pincite", "serve"), environment, f"{PINCITE_URL}/readyz")


def openwebui_part(backend: Backend, installation: Installation, administrator: tuple[str, str], data: Path) -> Part:
    """Return Open WebUI, on port 7860; its first administrator has the e-mail address and the password given.

    What is set here is the start of its own settings: it keeps them in its database, where they can be changed.
    """
    email, password = administrator
    folder = data / "open-webui"
    folder.mkdir(parents=True, exist_ok=True)
    theirs = {name: value for name, value in os.environ.items() if not name.startswith("PINCITE_")}
    own = OFFLINE | {
        "DATA_DIR": str(folder),
        "HOME": str(folder),
        # It writes its pictures and scripts anew at each start, which the image itself does not allow.
        "STATIC_DIR": "/tmp/open-webui-static",  # noqa: S108 - nobody else is in this container
        "WEBUI_SECRET_KEY": openwebui_secret(installation),
        "WEBUI_ADMIN_EMAIL": email,
        "WEBUI_ADMIN_PASSWORD": password,
        "ENABLE_SIGNUP": "false",
        "ENABLE_OLLAMA_API": str("OLLAMA_BASE_URL" in theirs).lower(),
        "ENABLE_OPENAI_API": str("OPENAI_API_KEY" in theirs or "OPENAI_API_BASE_URL" in theirs).lower(),
        "RAG_EMBEDDING_ENGINE": "openai",
        "RAG_EMBEDDING_MODEL": backend.model,
        "RAG_OPENAI_API_BASE_URL": f"{BACKEND_URL}/v1",
        "RAG_OPENAI_API_KEY": backend_key(installation),
        # The embedded model must know which text is a question; vLLM passes this over.
        "RAG_EMBEDDING_PREFIX_FIELD_NAME": "input_type",
        "RAG_EMBEDDING_QUERY_PREFIX": "query",
        "RAG_EMBEDDING_CONTENT_PREFIX": "document",
        "RAG_EMBEDDING_BATCH_SIZE": "32",
        "RAG_EMBEDDING_CONCURRENT_REQUESTS": "2",
        "ENABLE_API_KEYS": "true",
        "GLOBAL_LOG_LEVEL": "WARNING",
    }
    program = (OPENWEBUI_PYTHON, "-c", "from open_webui import app; app()")
    command = (*program, "serve", "--host", EVERYWHERE, "--port", "7860")
    return Part("Open WebUI", command, own | theirs, f"{OPENWEBUI_URL}/health")


def openwebui_secret(installation: Installation) -> str:
    """Return the secret that Open WebUI signs its sessions with."""
    return os.environ.get("WEBUI_SECRET_KEY") or installation.secret("open-webui-secret-key")
