"""Prove format, lint, types, the import contract, and that generated files and docs are what their generators write."""

import sys

from environment import development, run_program

CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "types of the scripts": ["mypy", "scripts/steps", "samples", "docker/container"],
    "import contract": ["lint-imports"],
    "samples": ["python", "samples/generate.py", "--check"],
    "docs": ["python", "scripts/steps/docs.py", "--check"],
}


def main() -> int:
    """Run every check, or those named, and say which failed."""
    chosen = {name: command for name, command in CHECKS.items() if not sys.argv[1:] or name in sys.argv[1:]}
    folder = development()
    failed = []
    for name, command in chosen.items():
        print(f"== {name}", flush=True)
        if run_program(folder, *command):
            failed.append(name)
    print(f"checks: {len(chosen) - len(failed)} passed, {len(failed)} failed{': ' * bool(failed)}{', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
