"""What an installation made for itself at its first start and keeps in its volume: secrets, and what was done once."""

import secrets
from pathlib import Path

SECRET_BYTES = 24  # 32 characters


class Installation:
    """A folder that only its owner reads, with a file for each secret and each thing done."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if it is missing; raises OSError where the volume cannot be written."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def secret(self, name: str) -> str:
        """Return the secret of this name, made at random when it is first asked for."""
        return self.kept(name) or self.keep(name, secrets.token_urlsafe(SECRET_BYTES))

    def kept(self, name: str) -> str:
        """Return what is kept under this name, "" if there is nothing."""
        path = self.path(name)
        return path.read_text("utf-8").strip() if path.exists() else ""

    def keep(self, name: str, value: str) -> str:
        """Keep a value and return it; whoever is killed meanwhile leaves the old one or the new one."""
        path = self.path(name)
        new = path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(f"{value}\n", "utf-8")
        new.replace(path)
        return value

    def path(self, name: str) -> Path:
        """Return the file of this name."""
        return self._folder / name
