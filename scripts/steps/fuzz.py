"""Fuzz the parsers and the upload route; arguments go to `python -m tests.fuzz`."""

import sys

from environment import development, run_program

if __name__ == "__main__":
    sys.exit(run_program(development(), "python", "-m", "tests.fuzz", *sys.argv[1:]))
