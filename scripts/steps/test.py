"""Run the tests in their environment; arguments go to pytest."""

import sys

from environment import development, run_program

if __name__ == "__main__":
    # The tests that need a browser or another heavy part have a script of their own.
    sys.exit(run_program(development(), "python", "-m", "pytest", "--ignore=tests/real", *sys.argv[1:]))
