"""Write the docs that are made from the code; `--check` proves instead that the committed ones are those."""

import sys
from pathlib import Path

from pincite.cli import app
from pincite.cli.reference import cli_markdown
from pincite.settings import settings_markdown

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main() -> int:
    """Return 1 if `--check` found a page that differs."""
    pages = {"settings.md": settings_markdown(), "cli.md": cli_markdown(app)}
    if "--check" not in sys.argv[1:]:
        for name, text in pages.items():
            (DOCS / name).write_text(text, "utf-8")
        return 0
    stale = [name for name, text in pages.items() if _committed(name) != text]
    for name in stale:
        print(f"docs/{name} is stale; run `scripts/generate` and commit the result")
    return 1 if stale else 0


def _committed(name: str) -> str | None:
    page = DOCS / name
    return page.read_text("utf-8") if page.exists() else None


if __name__ == "__main__":
    sys.exit(main())
