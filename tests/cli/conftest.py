"""A data folder for the commands, and documents to give them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import pincite.assembly
from pincite.cli import run
from tests.cli.fake_model import fake_model

LEAVE = "Every employee may take thirty days of parental leave after one year of service."
PUMP = "Change the oil of the pump every four hundred hours of operation."


@dataclass(frozen=True)
class Ran:
    """What a command did: its exit code, what it printed, what it complained."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines it printed."""
        return [json.loads(line) for line in self.out.splitlines()]


Pincite = Callable[..., Ran]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PINCITE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PINCITE_PARSER_WORKERS", "1")
    return tmp_path / "data"


@pytest.fixture
def pincite_command(data: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Pincite:
    """Return a function that runs a command in this process."""
    monkeypatch.setattr(pincite.assembly, "_embedded_model", fake_model)

    def call(*arguments: str | Path) -> Ran:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    (made / "leave.md").write_text(f"# Leave\n\n{LEAVE}\n")
    (made / "pump.md").write_text(f"# Pump\n\n{PUMP}\n")
    return made
