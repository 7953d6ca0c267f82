"""`pincite openwebui`: the functions, models and MCP server in an Open WebUI, installed, shown and taken back."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pincite.cli.terminal import visible
from pincite.errors import BackendError, InvalidRequest

if TYPE_CHECKING:
    from plugin.openwebui_api import OpenWebUIApi

app = typer.Typer(
    help="Install Pincite in an Open WebUI, show what is installed, and take it back.", rich_markup_mode=None
)

KEY_NAME = "open-webui"
FILES_KEY_NAME = "open-webui files"
TIMEOUT_S = 30.0

Url = Annotated[str, typer.Option("--url", envvar="OPENWEBUI_URL", help="The address of Open WebUI.")]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="OPENWEBUI_TOKEN",
        help="An administrator's API key or token of Open WebUI; without one, you are asked for e-mail and password.",
    ),
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

FilesKey = Annotated[
    str | None,
    typer.Option(
        "--pincite-files-key",
        envvar="PINCITE_FILES_KEY",
        help="The API key, with the admin scope, that mirrors files; one is made if there is none.",
    ),
]


@app.command("install")
def install(
    url: Url,
    token: Token = None,
    pincite_url: PinciteUrl = None,
    pincite_key: PinciteKey = None,
    files_key: FilesKey = None,
    answering_model: Annotated[
        str | None,
        typer.Option("--answering-model", help="Id of the model of Open WebUI that writes answers; quotes if unset."),
    ] = None,
) -> int:
    """Install and configure everything; run again after an upgrade: it changes what differs."""
    return asyncio.run(_install(url, token, pincite_url, pincite_key, files_key, answering_model))


async def _install(
    url: str,
    token: str | None,
    pincite_url: str | None,
    pincite_key: str | None,
    files_key: str | None,
    answering_model: str | None,
) -> int:
    from pincite.settings import load_settings
    from plugin.installer import FILES, Installer, Wanted

    settings = load_settings()
    address, sessions = pincite_url or settings.address, settings.openwebui_url is not None
    async with _openwebui(url, token) as openwebui:
        version, installer = await openwebui.check(), Installer(openwebui)
        key, knowledge_bases = _usable_key(address, pincite_key or await installer.key(), KEY_NAME, ["read"])
        typer.echo(f"Open WebUI {version} at {url}")
        files_key = files_key or await installer.key(FILES)
        if files_key or pincite_key is None:
            files_key, _ = _usable_key(address, files_key, FILES_KEY_NAME, ["read", "write", "admin"])
        else:
            typer.echo("  files are not mirrored: that needs a key with the admin scope, --pincite-files-key")
        wanted = Wanted(address, key, files_key, answering_model, sessions)
        async for line in installer.install(wanted, knowledge_bases):
            typer.echo(visible(f"  {line}"))
    return 0


@app.command("status")
def status(url: Url, token: Token = None) -> int:
    """Show what is installed there, and which version."""
    return asyncio.run(_status(url, token))


async def _status(url: str, token: str | None) -> int:
    from plugin.installer import Installer

    async with _openwebui(url, token) as openwebui:
        typer.echo(f"Open WebUI {await openwebui.check()} at {url}")
        async for line in Installer(openwebui).status():
            typer.echo(visible(f"  {line}"))
    return 0


@app.command("uninstall")
def uninstall(url: Url, token: Token = None) -> int:
    """Take back what `install` made there, and the API keys it made here."""
    return asyncio.run(_uninstall(url, token))


async def _uninstall(url: str, token: str | None) -> int:
    from plugin.installer import FILES, Installer

    async with _openwebui(url, token) as openwebui:
        await openwebui.check()
        installer = Installer(openwebui)
        keys = [await installer.key(), await installer.key(FILES)]
        async for line in installer.uninstall():
            typer.echo(visible(line))
    _take_back(keys)
    return 0


@app.command("sync")
def sync(
    url: Url,
    token: Token = None,
    collection: Annotated[
        list[str] | None,
        typer.Option(
            "--collection", help="A collection of Open WebUI's Knowledge; repeat. Default: all, and what is attached."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Remove documents even where more than half of a mirror vanishes.")
    ] = False,
) -> int:
    """Mirror Open WebUI's files: Knowledge and attachments, with who may read them; needs `pincite serve`."""
    return asyncio.run(_sync(url, token, collection or [], force=force))


async def _sync(url: str, token: str | None, collections: list[str], *, force: bool) -> int:
    from pincite.data_lock import running_server
    from pincite.settings import load_settings
    from plugin.function.mirroring import Mirror
    from plugin.function.offering import offer
    from plugin.function.storing import Store
    from plugin.installer import Installer

    server = running_server(load_settings().data)
    if server is None:
        raise BackendError("No server runs on this data folder; start one with `pincite serve`.")
    async with _openwebui(url, token) as openwebui, Store(server.url, server.token) as store:
        await openwebui.check()
        mirror = Mirror(openwebui, store)
        async for line in mirror.collections(collections, force=force):
            typer.echo(visible(line))
        if not collections:
            async for line in mirror.attachments():
                typer.echo(visible(line))
        if await Installer(openwebui).is_installed():
            async for line in offer(openwebui, await store.knowledge_bases()):
                typer.echo(visible(line))
    return 0


@asynccontextmanager
async def _openwebui(url: str, token: str | None) -> AsyncIterator["OpenWebUIApi"]:
    from plugin.function.storing import StoreFailure
    from plugin.openwebui_api import OpenWebUIApi, OpenWebUIFailure

    try:
        async with OpenWebUIApi(url, token or "") as openwebui:
            if not token:
                await openwebui.sign_in(*_account())
            yield openwebui
    except (OpenWebUIFailure, StoreFailure) as failure:
        raise BackendError(str(failure)) from None


def _account() -> tuple[str, str]:
    """Return the e-mail address and the password of an administrator: what a person types, or two lines of a program.

    Raises:
        InvalidRequest: nothing was typed.
    """
    if sys.stdin.isatty():
        return typer.prompt("E-mail address of an administrator of Open WebUI", err=True), typer.prompt(
            "Password", hide_input=True, err=True
        )
    email, password = (sys.stdin.readline().rstrip("\r\n") for _ in range(2))
    if not email or not password:
        raise InvalidRequest(
            "Who asks? Give an administrator's API key of Open WebUI as OPENWEBUI_TOKEN, or e-mail address and "
            "password as two lines of standard input."
        )
    return email, password


def _usable_key(address: str, known: str, name: str, scopes: Sequence[str]) -> tuple[str, list[dict[str, Any]]]:
    """Return a key that opens the server at `address`, and what it reads; a new one if `known` opens nothing.

    Raises:
        BackendError: no server answers there, or none that takes this data folder's keys.
    """
    found = _listed(address, known) if known else None
    if found is None:
        from pincite.cli.keys import open_catalog
        from pincite.keyring import issue_key

        with open_catalog() as catalog:
            _, known = issue_key(catalog, name, scopes, None)
        found = _listed(address, known)
    if found is None:
        raise BackendError(
            f"The server at {address} does not take keys of this data folder; give one of its own with --pincite-key."
        )
    return known, found


def _listed(address: str, key: str) -> list[dict[str, Any]] | None:
    """Return the knowledge bases that a key reads; None if it opens nothing."""
    import httpx

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


def _take_back(keys: Sequence[str]) -> None:
    from pincite.access import hash_api_key
    from pincite.cli.keys import open_catalog

    with open_catalog() as catalog:
        for key in filter(None, keys):
            issued = catalog.api_key(key_hash=hash_api_key(key))
            if issued is not None and issued.name in {KEY_NAME, FILES_KEY_NAME}:
                catalog.delete_api_key(issued.id)
                typer.echo(f"took back the key {issued.id}")
