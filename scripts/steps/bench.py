"""Measure in the developers' environment; arguments go to `python -m benchmarks`."""

import sys

from environment import development, run_program

if __name__ == "__main__":
    sys.exit(run_program(development(), "python", "-m", "benchmarks", *sys.argv[1:]))
