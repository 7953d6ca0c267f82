"""Pin every dependency: pyproject.toml → requirements.txt and requirements-dev.txt, names and hashes only.

What the image's Open WebUI, the tests with a real vLLM and the linters of docker/ install is pinned in the same way by
the pyproject.toml of each.

`--upgrade` takes the newest versions that pyproject.toml allows; without it, what is pinned stays.
"""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

from environment import DOCKER_LOCK, OPENWEBUI_LOCK, ROOT, VLLM_LOCK, cache_folder

UV = "uv==0.13.9"
HEADER = "# Made by scripts/lock from pyproject.toml: every package that is installed, with the hashes of its files.\n"
# One lock for every platform and for Python 3.11 and later. No index address goes in: a lock names packages and hashes,
# and where they come from is the business of the machine that installs them.
COMPILE = ("pip", "compile", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url")
EVERYWHERE = ("--universal",)
# vLLM for a processor, and the torch that it pins, are built for one platform at a time.
VLLM_PLATFORM = ("--python-platform", "x86_64-manylinux_2_28")
QUIET = ("--no-emit-find-links", "--no-annotate", "--no-header", "--quiet")


def main() -> None:
    """Write the requirements files."""
    uv = _uv()
    upgrade = [argument for argument in sys.argv[1:] if argument == "--upgrade"]
    _compile(uv, ROOT / "requirements.txt", *EVERYWHERE, *upgrade)
    # Constrained by the first, so that the tests run on the very versions that users get.
    _compile(
        uv, ROOT / "requirements-dev.txt", *EVERYWHERE, "--group", "dev", "--constraint", "requirements.txt", *upgrade
    )
    _compile(uv, VLLM_LOCK, *VLLM_PLATFORM, *upgrade)
    _compile(uv, OPENWEBUI_LOCK, *EVERYWHERE, *upgrade)
    _compile(uv, DOCKER_LOCK, *EVERYWHERE, *upgrade)


def _uv() -> str:
    folder = cache_folder() / "environments" / UV.replace("==", "-")
    uv = folder / "bin" / "uv"
    if not uv.exists():
        venv.create(folder, with_pip=True, symlinks=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV]
        subprocess.run(install, check=True)
    return str(uv)


def _compile(uv: str, output: Path, *options: str) -> None:
    """Pin the pyproject.toml that lies beside the output."""
    command = [uv, *COMPILE, *QUIET, "--output-file", output.name, *options, "pyproject.toml"]
    # uv does not read pip's settings, and what pip finds on disk, torch for a processor say, uv has to be told of.
    on_disk = {"UV_FIND_LINKS": found} if (found := os.environ.get("PIP_FIND_LINKS")) else {}
    subprocess.run(command, cwd=output.parent, check=True, env=on_disk | os.environ)
    pinned = output.read_text()
    output.write_text(HEADER + pinned.removeprefix(HEADER))
    print(f"{output.relative_to(ROOT)}: {len(re.findall('^[a-z].*==', pinned, re.MULTILINE))} packages")


if __name__ == "__main__":
    main()
