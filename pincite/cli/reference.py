"""`pincite docs`: the pages of the documentation that are made from the code."""

from typing import Any

import typer

app = typer.Typer(help="Print the documentation that is made from the code.", rich_markup_mode=None)

HEAD = """# The command line

<!-- Made by `python -m pincite.cli docs cli`; change pincite/cli instead. -->

Exit codes: 0 done, 1 something failed and was named, 2 wrong usage. Errors are one line on stderr.
"""


@app.command("settings")
def settings() -> int:
    """Print docs/settings.md."""
    from pincite.settings import settings_markdown

    typer.echo(settings_markdown(), nl=False)
    return 0


@app.command("cli")
def commands() -> int:
    """Print docs/cli.md."""
    from pincite.cli import app as root

    typer.echo(cli_markdown(root), nl=False)
    return 0


def cli_markdown(root: typer.Typer) -> str:
    """Return the reference of every command, from its own help, as Markdown."""
    pages = [HEAD]
    pending: list[tuple[tuple[str, ...], Any]] = [(("pincite",), typer.main.get_command(root))]
    while pending:
        words, command = pending.pop(0)
        children = getattr(command, "commands", {})
        if not children:
            # A fixed width, or the page would depend on the terminal that made it.
            context = command.make_context(
                " ".join(words), [], resilient_parsing=True, terminal_width=100, max_content_width=100
            )
            pages.append(f"## {' '.join(words)}\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
        pending = [((*words, name), child) for name, child in children.items() if not child.hidden] + pending
    return "\n".join(pages)
