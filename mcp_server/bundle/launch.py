"""Start the Pincite of this machine over stdio, for the client that opened the bundle; any Python 3 runs it."""

import os
import shutil
import sys
from pathlib import Path

ASKED = "PINCITE_PROGRAM"


def main() -> None:
    """Become `pincite mcp`, or say what is missing."""
    program = str(Path(os.environ.get(ASKED) or "pincite").expanduser())
    found = shutil.which(program)
    if found is None:
        sys.exit(f"There is no program {program}; install Pincite, and name its .venv/bin/pincite in the settings.")
    os.execv(found, [found, "mcp"])  # noqa: S606 - the user chose the program, and there is no shell to fool


if __name__ == "__main__":
    main()
