"""What a killed process leaves: a copy of a data folder at one moment, while its owner goes on."""

import shutil
from contextlib import suppress
from pathlib import Path


def leave_behind(data: Path, copy: Path) -> None:
    """Copy a data folder as it is; files that its owner removes meanwhile are gone."""

    def copied(source: str, target: str) -> None:
        with suppress(FileNotFoundError):
            shutil.copy2(source, target)

    shutil.copytree(data, copy, copy_function=copied)
