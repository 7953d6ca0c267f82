"""`pincite openwebui`: the functions, models and MCP server in an Open WebUI, installed, shown and taken back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pincite.cli.terminal import visible

if TYPE_CHECKING:
    from plugin.openwebui_api import OpenWebUIApi

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
    from plugin.installer import Installer, Wanted

    address = pincite_url or load_settings().address
    with _openwebui(url, token) as openwebui:
        version, installer = openwebui.check(), Installer(openwebui)
        key, knowledge_bases = _usable_key(address, pincite_key or installer.key())
        typer.echo(f"Open WebUI {version} at {url}")
        for line in installer.install(Wanted(address, key, answering_model), knowledge_bases):
            typer.echo(visible(f"  {line}"))
    return 0


@app.command("status")
def status(url: Url, token: Token) -> int:
    """Show what is installed there, and which version."""
    from plugin.installer import Installer

    with _openwebui(url, token) as openwebui:
        typer.echo(f"Open WebUI {openwebui.check()} at {url}")
        for line in Installer(openwebui).status():
            typer.echo(visible(f"  {line}"))
    return 0


@app.command("uninstall")
def uninstall(url: Url, token: Token) -> int:
    """Take back what `install` made there, and the API key it made here."""
    from plugin.installer import Installer

    with _openwebui(url, token) as openwebui:
        openwebui.check()
        installer = Installer(openwebui)
        key = installer.key()
        for line in installer.uninstall():
            typer.echo(visible(line))
    _take_back(key)
    return 0


@app.command("sync")
def sync(
    url: Url,
    token: Token,
    collection: Annotated[
        list[str] | None,
        typer.Option("--collection", help="A collection of Open WebUI's Knowledge; repeat. Default: all."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Remove documents even where more than half of a mirror vanishes.")
    ] = False,
) -> int:
    """Mirror collections of Open WebUI's Knowledge: files, deletions, and who may read; needs `pincite serve`."""
    from pincite.data_lock import running_server
    from pincite.errors import BackendError
    from pincite.settings import load_settings
    from plugin.installer import Installer
    from plugin.mirror import Mirror

    server = running_server(load_settings().data)
    if server is None:
        raise BackendError("No server runs on this data folder; start one with `pincite serve`.")
    with _openwebui(url, token) as openwebui, Mirror(openwebui, server.url, server.token) as mirror:
        openwebui.check()
        installer = Installer(openwebui)
        for line in mirror.sync(collection or (), force=force):
            typer.echo(visible(line))
        if installer.is_installed():
            for line in installer.put_models(mirror.knowledge_bases()):
                typer.echo(visible(line))
    return 0


@contextmanager
def _openwebui(url: str, token: str) -> Iterator["OpenWebUIApi"]:
    from pincite.errors import BackendError
    from plugin.mirror import MirrorFailure
    from plugin.openwebui_api import OpenWebUIApi, OpenWebUIFailure

    try:
        with OpenWebUIApi(url, token) as openwebui:
            yield openwebui
    except (OpenWebUIFailure, MirrorFailure) as failure:
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
