"""Write everything that is made from the code: docs/settings.md, docs/cli.md, the function files and the samples."""

import sys

from environment import development, run_program

if __name__ == "__main__":
    folder = development()
    sys.exit(max(run_program(folder, "python", f"{step}.py") for step in ("scripts/steps/docs", "samples/generate")))
