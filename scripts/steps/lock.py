"""Pin every dependency: pyproject.toml → requirements.txt and requirements-dev.txt, names and hashes only.

`--upgrade` takes the newest versions that pyproject.toml allows; without it, what is pinned stays.
"""

import re
import subprocess
import sys
import venv
from pathlib import Path

from environment import ROOT, cache_folder

UV = "uv==0.13.9"
HEADER = "# Made by scripts/lock from pyproject.toml: every package that is installed, with the hashes of its files.\n"
# One lock for every platform and for Python 3.11 and later. No index address goes in: a lock names packages and hashes,
# and where they come from is the business of the machine that installs them.
COMPILE = ("pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url")
QUIET = ("--no-emit-find-links", "--no-annotate", "--no-header", "--quiet")


def main() -> None:
    """Write both requirements files."""
    uv = _uv()
    upgrade = [argument for argument in sys.argv[1:] if argument == "--upgrade"]
    _compile(uv, ROOT / "requirements.txt", *upgrade)
    # Constrained by the first, so that the tests run on the very versions that users get.
    _compile(uv, ROOT / "requirements-dev.txt", "--group", "dev", "--constraint", "requirements.txt", *upgrade)


def _uv() -> str:
    folder = cache_folder() / "environments" / UV.replace("==", "-")
    uv = folder / "bin" / "uv"
    if not uv.exists():
        venv.create(folder, with_pip=True, symlinks=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV]
        subprocess.run(install, check=True)
    return str(uv)


def _compile(uv: str, output: Path, *options: str) -> None:
    command = [uv, *COMPILE, *QUIET, "--output-file", output.name, *options, "pyproject.toml"]
    subprocess.run(command, cwd=ROOT, check=True)
    pinned = output.read_text()
    output.write_text(HEADER + pinned.removeprefix(HEADER))
    print(f"{output.name}: {len(re.findall('^[a-z].*==', pinned, re.MULTILINE))} packages")


if __name__ == "__main__":
    main()
