"""`pincite keys`: API keys made, listed and taken back. They live in the catalog, which a running server reads anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pincite.catalog import Catalog

app = typer.Typer(help="Make, list and take back API keys.", rich_markup_mode=None)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is, for the list.")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="read, write or admin; repeat for several. Default: read.")
    ] = None,
    kb: Annotated[
        list[str] | None, typer.Option("--kb", metavar="KB", help="A knowledge base it may use; repeat. Default: all.")
    ] = None,
) -> int:
    """Make an API key and print it, this once."""
    from pincite.cli.door import no_such_knowledge_base
    from pincite.keyring import issue_key

    with open_catalog() as catalog:
        found = {name: catalog.knowledge_base(name) for name in kb or ()}
        for wanted, record in found.items():
            if record is None:
                raise no_such_knowledge_base(wanted)
        ids = frozenset(record.id for record in found.values() if record) or None
        issued, key = issue_key(catalog, name, scope or ["read"], ids)
    typer.echo(f"{issued.id}: {issued.name}, {' '.join(sorted(issued.scopes))}; the key is shown only now", err=True)
    typer.echo(key)
    return 0


@app.command("list")
def show() -> int:
    """List the issued keys, without the keys."""
    with open_catalog() as catalog:
        names = {kb.id: kb.name for kb in catalog.knowledge_bases()}
        for key in catalog.api_keys():
            reach = "all" if key.knowledge_bases is None else ", ".join(names.get(i, i) for i in key.knowledge_bases)
            typer.echo(f"{key.id}  {key.name}  {' '.join(sorted(key.scopes))}  {reach}  {key.created_at:%Y-%m-%d}")
    return 0


@app.command("remove")
def remove(key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` shows it.")]) -> int:
    """Take a key back: from now on it opens nothing, and neither do the viewer links made with it."""
    from pincite.errors import NotFound

    with open_catalog() as catalog:
        if not catalog.delete_api_key(key_id):
            raise NotFound(f"There is no key {key_id}; `pincite keys list` shows the ones there are.")
    typer.echo(f"Took back {key_id}.")
    return 0


@contextmanager
def open_catalog() -> Iterator["Catalog"]:
    """Open the catalog of the data folder, beside the server that may be running on it."""
    from pincite.catalog import Catalog
    from pincite.settings import load_settings

    settings = load_settings()
    settings.data.mkdir(parents=True, exist_ok=True)
    catalog = Catalog(settings.catalog_location)
    try:
        yield catalog
    finally:
        catalog.close()
