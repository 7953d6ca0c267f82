"""The command line: `pincite COMMAND`. What a command needs is imported when it runs, so that `--help` is quick."""

import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from pincite import __version__
from pincite.cli import (
    adding,
    asking,
    backend,
    backing_up,
    evaluating,
    following,
    inventory,
    keys,
    openwebui,
    reference,
    searching,
    serving,
)
from pincite.cli.terminal import visible
from pincite.errors import InvalidRequest, PinciteError

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130

app = typer.Typer(
    help="One knowledge base for people and agents: every answer opens the exact page with the passage marked.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serving.serve)
app.command("mcp")(serving.mcp)
app.command("add")(adding.add)
app.command("jobs")(following.jobs)
app.command("cancel")(following.cancel)
app.command("retry")(adding.retry)
app.command("sources")(following.sources)
app.command("search")(searching.search)
app.command("ask")(asking.ask)
app.command("list")(inventory.show)
app.command("set")(inventory.change)
app.command("remove")(inventory.remove)
app.command("doctor")(inventory.doctor)
app.command("backup")(backing_up.backup)
app.command("restore")(backing_up.restore)
app.command("eval")(evaluating.evaluate)
app.add_typer(keys.app, name="keys")
app.add_typer(backend.app, name="backend")
app.add_typer(openwebui.app, name="openwebui")
app.add_typer(reference.app, name="docs", hidden=True)


@app.callback(invoke_without_command=True)
def _root(context: typer.Context, version: bool = typer.Option(False, "--version", help="Say the version.")) -> None:
    if version:
        typer.echo(f"pincite {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(WRONG_USAGE)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 something failed and was named, 2 wrong usage."""
    try:
        code = typer.main.get_command(app).main(
            list(sys.argv[1:] if arguments is None else arguments), prog_name="pincite", standalone_mode=False
        )
    except TyperException as error:
        return _complain(error.format_message(), error.exit_code)
    except InvalidRequest as error:
        return _complain(error.message, WRONG_USAGE)
    except PinciteError as error:
        return _complain(error.message, FAILED)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("stopped", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; complaining would only fail again
        return FAILED
    return code if isinstance(code, int) else 0


def main() -> None:
    """Run the command line of this process and end it."""
    sys.exit(run())


def _complain(message: str, code: int) -> int:
    typer.echo(f"pincite: {visible(' '.join(message.split()))}", err=True)
    return code
