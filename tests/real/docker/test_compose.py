"""Compose without a card, run with the commands of docs/deploy.md.

The house's Open WebUI stands in for the official image, which may not be at hand. Everything else is as in
compose.yaml, but for the ports, which the system chooses.
"""

import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.real.docker.conftest import ALONE, HOUSE
from tests.real.docker.engine import ROOT, Container, chat, docker, sign_in

UP_S = 1800
SECRET = "a-secret-of-the-tests"
EMAIL = "admin@localhost"
QUESTION = "How quickly do I have to report a stolen laptop?"
STAND_IN = """
services:
  pincite:
    ports: !override ["127.0.0.1::7861"]
  embedding:
    ports: !override ["127.0.0.1::8000"]
  open-webui:
    entrypoint: [/opt/open-webui/.venv/bin/python, -c, "from open_webui import app; app()"]
    command: [serve, --host, 0.0.0.0, --port, "8080"]
    environment: { DATA_DIR: /data, HOME: /data, STATIC_DIR: /tmp/static }
    volumes: !override []
    ports: !override ["127.0.0.1::8080"]
    healthcheck: { test: [CMD, python, -I, /opt/pincite/container/healthy.py, "http://127.0.0.1:8080/health"] }
"""


@dataclass
class Compose:
    """The services of one project."""

    project: str
    folder: Path

    def run(self, *words: str) -> str:
        """Return what a command of compose prints."""
        program = f"{os.environ['PINCITE_TEST_DOCKER_LINTERS']}/bin/docker-compose"
        files = ("--file", str(ROOT / "docker" / "compose.yaml"), "--file", str(self.folder / "stand-in.yaml"))
        made = ("PINCITE_ADMIN_KEY", "PINCITE_BACKEND_KEY", "WEBUI_SECRET_KEY", "WEBUI_ADMIN_PASSWORD")
        given = dict.fromkeys(made, SECRET) | {"WEBUI_ADMIN_EMAIL": EMAIL}
        given |= {"PINCITE_IMAGE": ALONE, "OPENWEBUI_IMAGE": HOUSE}
        command = [program, "--project-name", self.project, *files, "--profile", "cpu", *words]
        ran = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, timeout=UP_S, check=False)
        assert ran.returncode == 0, f"{' '.join(words)}: {ran.stdout[-2000:]}{ran.stderr[-4000:]}"
        return ran.stdout

    def service(self, name: str) -> Container:
        """Return the container of a service."""
        return Container(self.run("ps", "--all", "--quiet", name).strip())


@pytest.fixture
def compose(images: dict[str, float], tmp_path: Path) -> Iterator[Compose]:
    (tmp_path / "stand-in.yaml").write_text(STAND_IN, "utf-8")
    found = Compose(f"pincite-test-{uuid.uuid4().hex[:8]}", tmp_path)
    try:
        found.run("up", "--detach", "--no-build", "--pull", "never")
        yield found
    finally:
        found.run("down", "--volumes", "--timeout", "20")


def test_compose_starts_each_service_after_those_it_needs_and_answers_in_open_webui(compose: Compose) -> None:
    assert docker("wait", compose.service("connect").name).strip() == "0"
    pincite, open_webui, embedding = (compose.service(name) for name in ("pincite", "open-webui", "embedding"))
    docker("cp", str(ROOT / "samples" / "handbook.pdf"), f"{pincite.name}:/data/handbook.pdf")
    pincite.run("pincite", "add", "samples", "/data/handbook.pdf")
    compose.run("run", "--rm", "connect")
    token = sign_in(open_webui.url(8080), EMAIL, SECRET)
    answer = chat(open_webui.url(8080), QUESTION, token)
    assert "within one hour of noticing" in answer["choices"][0]["message"]["content"]
    names = [metadata["name"] for source in answer["sources"] for metadata in source["metadata"]]
    assert "handbook.pdf, p. 12" in names
    body = {"model": "pincite-embedded-1", "input": ["a gauge"]}
    answered = {
        key: httpx.post(
            f"{embedding.url(8000)}/v1/embeddings",
            json=body,
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
            trust_env=False,
        ).status_code
        for key in (SECRET, "another")
    }
    assert answered == {SECRET: 200, "another": 401}
