"""`pincite openwebui`: the functions, models and MCP server in an Open WebUI, installed, shown and taken back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pincite.cli.terminal import visible

if TYPE_CHECKING:
    from plugin.installer import Installer

app = typer.Typer(
    help="Install Pincite in an Open WebUI, show what is installed, and take it back.", rich_markup_mode=None
)

KEY_NAME = "open-webui"
TIMEOUT_S = 30.0

Url = Annotated[str, typer.Option("--url", envvar="OPENWEBUI_URL", help="The address of Open WebUI.")]
Token = Annotated[
    str,
    typer.Option("--token", envvar="OPENWEBUI_TOKEN", help="An administrator's API key or token of Open WebUI."),
]
PinciteUrl = Annotated[
    str | None,
    typer.Option(
        "--pincite-url", help="The address at which Open WebUI reaches this server; PINCITE_PUBLIC_URL if unset."
    ),
]
PinciteKey = Annotated[
    str | None,
    typer.Option(
        "--pincite-key", envvar="PINCITE_KEY", help="The API key for Open WebUI to use; one is made if there is none."
    ),
]


@app.command("install")
def install(
    url: Url,
    token: Token,
    pincite_url: PinciteUrl = None,
    pincite_key: PinciteKey = None,
    answering_model: Annotated[
        str | None,
        typer.Option("--answering-model", help="Id of the model of Open WebUI that writes answers; quotes if unset."),
    ] = None,
) -> int:
    """Install and configure everything; run again after an upgrade or a new knowledge base: it changes what differs."""
    from pincite.settings import load_settings
    from plugin.installer import Wanted

    address = pincite_url or load_settings().address
    with _installer(url, token) as installer:
        version = installer.check()
        key, knowledge_bases = _usable_key(address, pincite_key or installer.key())
        typer.echo(f"Open WebUI {version} at {url}")
        for line in installer.install(Wanted(address, key, answering_model), knowledge_bases):
            typer.echo(visible(f"  {line}"))
    return 0


@app.command("status")
def status(url: Url, token: Token) -> int:
    """Show what is installed there, and which version."""
    with _installer(url, token) as installer:
        typer.echo(f"Open WebUI {installer.check()} at {url}")
        for line in installer.status():
            typer.echo(visible(f"  {line}"))
    return 0


@app.command("uninstall")
def uninstall(url: Url, token: Token) -> int:
    """Take back what `install` made there, and the API key it made here."""
    with _installer(url, token) as installer:
        installer.check()
        key = installer.key()
        for line in installer.uninstall():
            typer.echo(visible(line))
    _take_back(key)
    return 0


@contextmanager
def _installer(url: str, token: str) -> Iterator["Installer"]:
    from pincite.errors import BackendError
    from plugin.installer import InstallationFailure, Installer

    try:
        with Installer(url, token) as installer:
            yield installer
    except InstallationFailure as failure:
        raise BackendError(str(failure)) from None


def _usable_key(address: str, known: str) -> tuple[str, list[dict[str, Any]]]:
    """Return a key that opens the server at `address`, and what it reads; a new one if `known` opens nothing.

    Raises:
        BackendError: no server answers there, or none that takes this data folder's keys.
    """
    from pincite.errors import BackendError

    found = _listed(address, known) if known else None
    if found is None:
        from pincite.cli.keys import open_catalog
        from pincite.keyring import issue_key

        with open_catalog() as catalog:
            _, known = issue_key(catalog, KEY_NAME, ["read"], None)
        found = _listed(address, known)
    if found is None:
        raise BackendError(
            f"The server at {address} does not take keys of this data folder; give one of its own with --pincite-key."
        )
    return known, found


def _listed(address: str, key: str) -> list[dict[str, Any]] | None:
    """Return the knowledge bases that a key reads; None if it opens nothing."""
    import httpx

    from pincite.errors import BackendError

    try:
        answer = httpx.get(
            f"{address.rstrip('/')}/api/knowledge-bases",
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_S,
            trust_env=False,
        )
        if answer.status_code == 401:
            return None
        listed: list[dict[str, Any]] = answer.raise_for_status().json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        raise BackendError(f"No Pincite server answers at {address}; start one with `pincite serve`.") from None
    return listed


def _take_back(key: str) -> None:
    from pincite.access import hash_api_key
    from pincite.cli.keys import open_catalog

    if not key:
        return
    with open_catalog() as catalog:
        issued = catalog.api_key(key_hash=hash_api_key(key))
        if issued is not None and issued.name == KEY_NAME:
            catalog.delete_api_key(issued.id)
            typer.echo(f"took back the key {issued.id}")
