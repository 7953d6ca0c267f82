"""The MCP conformance suite and the Inspector, from npm, in the user's cache folder."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from environment import ROOT, cache_folder, short

PACKAGES = ROOT / "tests" / "real" / "mcp"
FILES = ("package.json", "package-lock.json")


def node_tools() -> Path:
    """Return the folder with `node_modules`; install it if it is missing or its lock has changed."""
    digest = hashlib.sha256(b"".join((PACKAGES / name).read_bytes() for name in FILES)).hexdigest()
    folder = cache_folder() / "environments" / f"node-{digest[:12]}"
    made = folder / ".made-from"
    if not made.exists():
        if not shutil.which("npm"):
            sys.exit("The conformance suite is installed by npm, which is not here; apt install npm")
        print(f"Installing the conformance suite and the Inspector into {short(folder)} …", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in FILES:
            shutil.copy(PACKAGES / name, folder)
        # No package's own script runs: nothing here needs one.
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        if subprocess.run(install, cwd=folder, check=False, env=os.environ).returncode:
            sys.exit("npm could not install them; is the package registry reachable?")
        made.write_text(digest)
    made.touch()
    return folder
