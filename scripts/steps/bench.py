"""Measure in the developers' environment; arguments go to `python -m benchmarks`."""

import os
import sys

from environment import development, run_program, vllm

if __name__ == "__main__":
    folder = development()
    if sys.argv[1:2] == ["backend"]:
        os.environ["PINCITE_TEST_VLLM"] = str(vllm())
    sys.exit(run_program(folder, "python", "-m", "benchmarks", *sys.argv[1:]))
