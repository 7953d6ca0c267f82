"""Run the tests under tests/real, which need a real part that is too heavy for scripts/test; all, or the part named."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from environment import ROOT, development, openwebui, run_program, vllm
from node_tools import node_tools

REAL = ROOT / "tests" / "real"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def main() -> int:
    """Return pytest's exit status."""
    arguments = sys.argv[1:]
    named = bool(arguments) and not arguments[0].startswith("-")
    parts = _parts()
    chosen = _chosen(parts, arguments.pop(0)) if named else [path for paths in parts.values() for path in paths]
    folder = development()
    if any(path in chosen for path in parts["vllm"]):
        os.environ["PINCITE_TEST_VLLM"] = str(vllm())
    if any(path in chosen for path in parts["mcp"]):
        os.environ["PINCITE_TEST_NODE"] = str(node_tools())
    if any(path in chosen for path in parts["openwebui"]) and "PINCITE_TEST_OPENWEBUI" not in os.environ:
        os.environ["PINCITE_TEST_OPENWEBUI"] = str(openwebui())
    if any("chromium" in path.name or path in parts["openwebui"] for path in chosen):
        _provide_chromium()
    if any("tesseract" in path.name for path in chosen):
        _install("tesseract-ocr", "tesseract-ocr-eng", "tesseract-ocr-chi-sim")
    # One process: a browser and its server, or a few of vLLM's, are enough for two cores.
    return run_program(folder, "python", "-m", "pytest", "-n", "0", "-rsfER", *map(str, chosen), *arguments)


def _parts() -> dict[str, list[Path]]:
    """Return the parts by name: tests/real/NAME/ and tests/real/test_NAME.py."""
    parts: dict[str, list[Path]] = {}
    for path in sorted({*REAL.glob("test_*.py"), *(tests.parent for tests in REAL.glob("*/test_*.py"))}):
        parts.setdefault(path.stem.removeprefix("test_"), []).append(path)
    del parts["docker"]  # it has a script of its own: scripts/test-docker
    return parts


def _chosen(parts: dict[str, list[Path]], name: str) -> list[Path]:
    found = [path for part, paths in parts.items() if part.startswith(name) for path in paths]
    if not found:
        sys.exit(f"There is no part {name!r}; there are: {', '.join(parts)}")
    return found


def _provide_chromium() -> None:
    if not any(map(shutil.which, CHROMIUM)):
        _install("chromium", "fonts-noto-cjk")
    if not any(map(shutil.which, CHROMIUM)):
        sys.exit("There is no Chromium, which the browser tests need; install it: apt install chromium")


def _install(*packages: str) -> None:
    """Install Debian's packages where that is possible; the tests say what is missing where it is not."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print(f"Installing Debian's {' '.join(packages)} …", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=False, env=quiet)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    subprocess.run(install, check=False, env=quiet, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
