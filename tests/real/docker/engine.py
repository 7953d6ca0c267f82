"""The Docker engine of this machine, by its command line, and one container of the image under test."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[3]
COMMAND_S = 600
READY_S = 1200
BETWEEN_LOOKS_S = 1.0
READY = "Everything is ready."


def docker(*arguments: str, deadline_s: float = COMMAND_S) -> str:
    """Return what a docker command prints; fails the test that it is called in if it fails."""
    ran = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=deadline_s, check=False)
    assert ran.returncode == 0, f"docker {' '.join(arguments)}: {ran.stderr[-2000:]}"
    return ran.stdout


def engine() -> str | None:
    """Return the version of the engine that answers, None if there is none."""
    if not shutil.which("docker"):
        return None
    asked = ["docker", "version", "--format", "{{.Server.Version}}"]
    ran = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    return ran.stdout.strip() or None if ran.returncode == 0 else None


def here(image: str) -> bool:
    """Say whether the engine has an image."""
    asked = ["docker", "image", "inspect", image]
    return subprocess.run(asked, capture_output=True, timeout=COMMAND_S, check=False).returncode == 0


def has(image: str) -> bool:
    """Say whether the engine has an image, or can pull it."""
    pull = ["docker", "pull", image]
    return here(image) or subprocess.run(pull, capture_output=True, timeout=COMMAND_S, check=False).returncode == 0


def build(command: Sequence[str]) -> None:
    """Run a command that builds an image of this checkout."""
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]


@dataclass
class Container:
    """A running container: what it logged, and where its ports are reached."""

    name: str
    since: str = field(default="")

    def log(self) -> str:
        """Return what the house itself has said since the last start: its standard output."""
        return docker("logs", *(("--since", self.since) if self.since else ()), self.name)

    def inspect(self) -> dict[str, Any]:
        """Return what the engine knows of it."""
        told: dict[str, Any] = json.loads(docker("inspect", self.name))[0]
        return told

    def wait_until_ready(self) -> None:
        """Wait until the house says so, or fail with what it said."""
        deadline = time.monotonic() + READY_S
        while READY not in self.log():
            state = self.inspect()["State"]
            assert state["Running"], f"it ended with {state['ExitCode']}:\n{self.everything()}"
            assert time.monotonic() < deadline, f"it is not ready after {READY_S} s:\n{self.everything()}"
            time.sleep(BETWEEN_LOOKS_S)  # a container tells only when it is asked

    def wait_until_healthy(self) -> None:
        """Wait until the engine calls it healthy, or fail with what it said."""
        deadline = time.monotonic() + READY_S
        while (health := self.inspect()["State"].get("Health", {}).get("Status")) != "healthy":
            assert health == "starting", self.everything()
            assert time.monotonic() < deadline, self.everything()
            time.sleep(BETWEEN_LOOKS_S)  # the engine looks every fifteen seconds, and tells only when it is asked

    def everything(self) -> str:
        """Return the end of all that was logged, for a failure."""
        ran = subprocess.run(["docker", "logs", "--tail", "80", self.name], capture_output=True, text=True, check=False)
        return ran.stdout + ran.stderr

    def start_again(self, *verbs: str) -> None:
        """Restart or start it, and look only at what it logs from then on."""
        self.since = docker("run", "--rm", "--entrypoint", "date", self.inspect()["Image"], "-u", "+%FT%TZ").strip()
        docker(*(verbs or ("start",)), self.name)
        self.wait_until_ready()

    def url(self, port: int) -> str:
        """Return where a port of it is reached from here."""
        published = docker("port", self.name, str(port)).splitlines()[0]
        return f"http://127.0.0.1:{published.rpartition(':')[2]}"

    def run(self, *command: str) -> str:
        """Return what a command in it prints."""
        return docker("exec", self.name, *command)

    def fails(self, *command: str) -> str:
        """Return all that a command in it prints, which has to fail."""
        ran = subprocess.run(["docker", "exec", self.name, *command], capture_output=True, text=True, check=False)
        assert ran.returncode == 1, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def search(self, question: str) -> dict[str, Any]:
        """Return the first passage that `pincite search` finds in the samples."""
        told = json.loads(self.run("pincite", "search", "samples", question, "-k", "1", "--json"))
        passage: dict[str, Any] = told["passages"][0]
        return passage

    def memory_mb(self) -> float:
        """Return the memory it uses, as the engine counts it."""
        used = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", self.name).split("/")[0].strip()
        number, unit = re.fullmatch(r"([\d.]+)([KMG]i?B)", used).groups()  # type: ignore[union-attr]
        return float(number) * {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}[unit] * 1.048576


@dataclass
class House:
    """The quickstart's container, and what getting in takes."""

    container: Container
    figures: dict[str, float]
    started: float

    def said(self, pattern: str) -> str:
        """Return the one place in the log where the pattern matches."""
        (found,) = re.findall(pattern, self.container.log(), re.MULTILINE)
        return str(found)

    def chat(self, question: str, token: str) -> dict[str, Any]:
        """Return what Open WebUI's API answers, asked with the model of the samples."""
        return chat(self.container.url(7860), question, token)

    def sign_in(self, email: str, password: str) -> str:
        """Return the token that Open WebUI gives for a password."""
        return sign_in(self.container.url(7860), email, password)


def chat(open_webui: str, question: str, token: str) -> dict[str, Any]:
    """Return what the API of the Open WebUI at this address answers, asked with the model of the samples."""
    with httpx.Client(base_url=open_webui, timeout=300, trust_env=False) as http:
        http.headers["Authorization"] = f"Bearer {token}"
        models = http.get("/api/models").raise_for_status().json()["data"]
        model = next(model["id"] for model in models if model["name"] == "Pincite: samples")
        form = {"model": model, "stream": False, "messages": [{"role": "user", "content": question}]}
        answer: dict[str, Any] = http.post("/api/chat/completions", json=form).raise_for_status().json()
        return answer


def sign_in(open_webui: str, email: str, password: str) -> str:
    """Return the token that the Open WebUI at this address gives for a password."""
    form = {"email": email, "password": password}
    answer = httpx.post(f"{open_webui}/api/v1/auths/signin", json=form, timeout=60, trust_env=False)
    return str(answer.raise_for_status().json()["token"])


def removed(kind: str, *names: str) -> None:
    """Remove containers or volumes, whether they are there or not."""
    force = ["docker", *kind.split(), "rm", "--force", *names]
    subprocess.run(force, capture_output=True, text=True, timeout=COMMAND_S, check=False)


def quickstart(verb: str) -> list[str]:
    """Return the words of the README's `docker VERB` command."""
    (line,) = re.findall(rf"^docker {verb} .*$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    return str(line).split()
