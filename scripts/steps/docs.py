"""Write what is made from the code, docs and function files; `--check` proves that the committed ones are those."""

import sys
from pathlib import Path

from pincite.cli import app
from pincite.cli.reference import cli_markdown
from pincite.settings import settings_markdown
from plugin.bundle import FILES, bundled

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Return 1 if `--check` found a file that differs."""
    pages = {"docs/settings.md": settings_markdown(), "docs/cli.md": cli_markdown(app)}
    pages |= {f"plugin/{name}": bundled(name) for name in FILES}
    if "--check" not in sys.argv[1:]:
        for name, text in pages.items():
            (ROOT / name).write_text(text, "utf-8")
        return 0
    stale = [name for name, text in pages.items() if _committed(name) != text]
    for name in stale:
        print(f"{name} is stale; run `scripts/generate` and commit the result")
    return 1 if stale else 0


def _committed(name: str) -> str | None:
    page = ROOT / name
    return page.read_text("utf-8") if page.exists() else None


if __name__ == "__main__":
    sys.exit(main())
