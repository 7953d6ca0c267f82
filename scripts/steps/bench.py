"""Measure in the developers' environment; arguments go to `python -m benchmarks`."""

import os
import sys

from environment import development, openwebui, run_program, vllm

if __name__ == "__main__":
    folder = development()
    if sys.argv[1:2] == ["backend"]:
        os.environ["PINCITE_TEST_VLLM"] = str(vllm())
    if sys.argv[1:2] in (["openwebui"], ["openwebui-ingestion"]) and "PINCITE_TEST_OPENWEBUI" not in os.environ:
        os.environ["PINCITE_TEST_OPENWEBUI"] = str(openwebui())
    sys.exit(run_program(folder, "python", "-m", "benchmarks", *sys.argv[1:]))
