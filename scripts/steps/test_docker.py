"""Lint docker/, and with the Docker engine that is found build the images and run them.

`--write` writes what was measured to docs/measurements/docker.md; `lint` needs no engine; the rest goes to pytest.
"""

import os
import shutil
import subprocess
import sys

from environment import ROOT, development, docker_linters, run_program

TESTS = ROOT / "tests" / "real" / "docker"


def main() -> int:
    """Return pytest's exit status."""
    arguments = sys.argv[1:]
    tests = TESTS
    if arguments[:1] == ["lint"]:
        tests = TESTS / "test_lints.py"
        del arguments[0]
    elif _engine():
        print(f"Building and running the images with Docker {_engine()}.", flush=True)
    else:
        print("No Docker engine answers here (`docker version`): only the lints run.", flush=True)
    if "--write" in arguments:
        arguments.remove("--write")
        os.environ["PINCITE_TEST_WRITE"] = "1"
    os.environ["PINCITE_TEST_DOCKER_LINTERS"] = str(docker_linters())
    os.environ["DOCKER_BUILDKIT"] = "1"
    return run_program(development(), "python", "-m", "pytest", "-n", "0", "-rsfER", str(tests), *arguments)


def _engine() -> str:
    """Return the version of the engine that answers, "" if none does."""
    if not shutil.which("docker"):
        return ""
    asked = ["docker", "version", "--format", "{{.Server.Version}}"]
    ran = subprocess.run(asked, capture_output=True, text=True, check=False)
    return ran.stdout.strip() if ran.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
