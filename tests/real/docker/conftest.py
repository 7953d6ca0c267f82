"""One house for the whole run, made by the README's command; the figures it gives are kept for the measurements."""

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.docker.engine import ROOT, Container, House, build, docker, engine, has, here, quickstart, removed
from tests.real.docker.measurements import write

BASE = "python:3.12-slim-bookworm"
HOUSE, ALONE = "pincite-under-test", "pincite-under-test:alone"
PREVIOUS = f"{ALONE}-before"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def figures() -> Iterator[dict[str, float]]:
    """What is measured on the way; written down where `scripts/test-docker --write` asks for it."""
    measured: dict[str, float] = {}
    yield measured
    if os.environ.get("PINCITE_TEST_WRITE"):
        write(ROOT / "docs" / "measurements" / "docker.md", measured)


@pytest.fixture(scope="session")
def images(figures: dict[str, float]) -> dict[str, float]:
    """Both images, built from this checkout with the README's command; what an earlier run built is kept."""
    found = engine()
    if found is None:
        pytest.skip("no Docker engine answers here (docker version), so no image is built or run")
    if not has(BASE):
        pytest.skip(f"this Docker engine has no {BASE} and cannot pull it, so no image is built or run")
    if here(ALONE):
        docker("tag", ALONE, PREVIOUS)
    words = quickstart("build")
    assert words[2:4] == ["-t", "pincite"], "the command names the image"
    build([*words[:3], ALONE, "--target", "pincite", *words[4:]])
    build([*words[:3], HOUSE, *words[4:]])
    for name, tag in (("Pincite alone", ALONE), ("the house", HOUSE)):
        figures[f"image of {name}, MB unpacked"] = int(docker("inspect", "-f", "{{.Size}}", tag)) / 1e6
    return figures


@pytest.fixture(scope="session")
def house(images: dict[str, float]) -> Iterator[House]:
    """The README's container, under a name and on ports of its own, ready."""
    name = f"pincite-test-{uuid.uuid4().hex[:8]}"
    words = quickstart("run")
    assert (words[0], words[-2], words[-1]) == ("docker", "pincite", "pincite"), "the command names container and image"
    given = {"pincite:/data": f"{name}:/data", "7860:7860": "127.0.0.1::7860"}
    given |= {"7861:7861": "127.0.0.1::7861", "8000:8000": "127.0.0.1::8000"}
    command = [given.get(word, word) for word in words[1:-2]]
    assert sum(word in given for word in words) == len(given), "the command publishes the ports and names the volume"
    started = time.monotonic()
    docker(*command, name, HOUSE)
    try:
        container = Container(name)
        container.wait_until_ready()
        images["from `docker run` until everything is ready, s"] = time.monotonic() - started
        yield House(container, images, started)
    finally:
        removed("container", name)
        removed("volume", name)


@pytest.fixture(scope="session")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of documents that take a while to index."""
    folder = tmp_path_factory.mktemp("notes")
    for number in range(20):
        paragraphs = (
            f"Rule {number}.{part}: gauge {number * 100 + part} is read every {part + 2} days." for part in range(40)
        )
        (folder / f"note-{number:03}.md").write_text(f"# Note {number}\n\n" + "\n\n".join(paragraphs), "utf-8")
    folder.chmod(0o755)
    return folder
