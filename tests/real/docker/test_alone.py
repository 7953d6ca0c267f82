"""Pincite alone in a container: no network, nothing writable but its volume, no root, no secret in the image."""

import json
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.real.docker.conftest import ALONE, HOUSE
from tests.real.docker.engine import ROOT, Container, docker, removed

CLOSED = ("--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
QUESTION = "How quickly do I have to report a stolen laptop?"
HEALTHY_S = 600


def wait_until_healthy(container: Container) -> None:
    deadline = time.monotonic() + HEALTHY_S
    while (health := container.inspect()["State"].get("Health", {}).get("Status")) != "healthy":
        assert health == "starting", container.everything()
        assert time.monotonic() < deadline, container.everything()
        time.sleep(1)  # the engine looks every fifteen seconds, and tells only when it is asked


@pytest.fixture(scope="module")
def alone(images: dict[str, float]) -> Iterator[Container]:
    name = f"pincite-test-{uuid.uuid4().hex[:8]}"
    samples = ("--volume", f"{ROOT / 'samples'}:/samples:ro")
    try:
        docker("run", "--detach", *CLOSED, "--volume", f"{name}:/data", *samples, "--name", name, ALONE)
        container = Container(name)
        wait_until_healthy(container)
        container.run(
            "pincite", "add", "samples", "/samples/handbook.pdf", "/samples/contract.zh.pdf", "/samples/manual.md"
        )
        yield container
    finally:
        removed("container", name)
        removed("volume", name)


@pytest.mark.parametrize("tag", [ALONE, HOUSE])
def test_an_image_is_nobodys_root_says_what_it_is_and_holds_no_secret(images: dict[str, float], tag: str) -> None:
    told = json.loads(docker("inspect", tag))[0]["Config"]
    assert told["User"] == "10001:10001"
    assert told["Healthcheck"]["Test"][0] == "CMD"
    assert told["Labels"]["org.opencontainers.image.licenses"] == "AGPL-3.0-or-later"
    assert {"title", "description", "version", "revision"} <= {name.rpartition(".")[2] for name in told["Labels"]}
    names = {variable.partition("=")[0] for variable in told["Env"]}
    assert not [name for name in names if any(word in name for word in ("KEY", "SECRET", "TOKEN", "PASSWORD"))]
    there = docker("run", "--rm", "--entrypoint", "find", tag, "/data", "/models", "/opt/pincite", "-name", "*.sqlite")
    assert there == ""


def test_it_answers_without_network_on_a_read_only_disk(alone: Container) -> None:
    passage = alone.search(QUESTION)
    assert passage["page"] == 12
    assert "within one hour of noticing" in passage["text"]
    assert alone.search("丢失公司笔记本电脑后要在多长时间内报告？")["page"] == 12


def test_it_idles_in_little_memory_and_stops_cleanly(alone: Container, images: dict[str, float]) -> None:
    docker("restart", alone.name)
    wait_until_healthy(alone)
    alone.search(QUESTION)
    images["memory of Pincite alone, idle, MB"] = alone.memory_mb()
    started = time.monotonic()
    docker("stop", alone.name)
    images["`docker stop` of Pincite alone, s"] = time.monotonic() - started
    assert alone.inspect()["State"]["ExitCode"] == 0


def test_a_folder_it_may_not_write_is_named(images: dict[str, float]) -> None:
    name = f"pincite-test-{uuid.uuid4().hex[:8]}"
    try:
        docker("run", "--detach", "--read-only", "--tmpfs", "/data:mode=0500,uid=0", "--name", name, HOUSE)
        assert docker("wait", name).strip() == "1"
        assert "/data cannot be written" in docker("logs", name)
    finally:
        removed("container", name)
