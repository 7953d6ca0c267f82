"""Install Pincite in an Open WebUI that runs in another container, and end: the service `connect` of compose.yaml."""

import asyncio
import os
import sys
from pathlib import Path

from installation import Installation
from openwebui import Refused, installation_key


def main() -> None:
    """Become `pincite openwebui install`; exit with 1 where Open WebUI lets nobody in."""
    url = os.environ["OPENWEBUI_URL"]
    token = os.environ.get("OPENWEBUI_TOKEN")
    if not token:
        administrator = os.environ["WEBUI_ADMIN_EMAIL"], os.environ["WEBUI_ADMIN_PASSWORD"]
        try:
            token = asyncio.run(installation_key(url, Installation(Path("/data/installation")), administrator))
        except Refused as refused:
            sys.exit(str(refused))
    arguments = ("openwebui", "install", "--url", url, "--pincite-url", os.environ["PINCITE_URL"])
    os.execvpe("pincite", ("pincite", *arguments), os.environ | {"OPENWEBUI_TOKEN": token})  # noqa: S606 - no shell needed


if __name__ == "__main__":
    main()
