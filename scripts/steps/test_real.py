"""Run the tests under tests/real, which need a real part that is too heavy for scripts/test; all, or the part named."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from environment import ROOT, development, run_program

REAL = ROOT / "tests" / "real"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def main() -> int:
    """Return pytest's exit status."""
    arguments = sys.argv[1:]
    named = bool(arguments) and not arguments[0].startswith("-")
    paths = _part(arguments.pop(0)) if named else [REAL]
    folder = development()
    _provide_chromium()
    # One process: a browser and its server are enough for two cores.
    return run_program(folder, "python", "-m", "pytest", "-n", "0", "-rs", *map(str, paths), *arguments)


def _part(name: str) -> list[Path]:
    """Return the test files of a part: tests/real/NAME/ or tests/real/test_NAME*.py."""
    found = sorted({*REAL.glob(name), *REAL.glob(f"test_{name}*.py")})
    if not found:
        parts = sorted({path.stem.removeprefix("test_") for path in REAL.glob("test_*.py")})
        sys.exit(f"There is no part {name!r}; there are: {', '.join(parts)}")
    return found


def _provide_chromium() -> None:
    if any(map(shutil.which, CHROMIUM)):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Debian's chromium …", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=False, env=quiet)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-noto-cjk"]
        subprocess.run(install, check=False, env=quiet, stdout=subprocess.DEVNULL)
    if not any(map(shutil.which, CHROMIUM)):
        print("There is no Chromium; the browser tests will be skipped. Install it: apt install chromium", flush=True)


if __name__ == "__main__":
    sys.exit(main())
