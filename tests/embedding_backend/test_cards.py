"""What nvidia-smi says of the cards, said here by a program of that name."""

from pathlib import Path

import pytest

from embedding_backend.cards import MIB, Card, find_cards
from embedding_backend.embedder import BackendFailure


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "nvidia-smi"


def says(program: Path, text: str, status: int = 0) -> None:
    program.write_text(f"#!/bin/sh\necho '{text}'\nexit {status}\n")
    program.chmod(0o755)


def test_each_line_is_a_card(nvidia_smi: Path) -> None:
    says(nvidia_smi, "NVIDIA GeForce RTX 3060, 12288, 310, 8.6\nNVIDIA H200, 143771, 0, 9.0")
    assert find_cards() == [
        Card("NVIDIA GeForce RTX 3060", 12288 * MIB, 310 * MIB, 8.6),
        Card("NVIDIA H200", 143771 * MIB, 0, 9.0),
    ]


@pytest.mark.usefixtures("nvidia_smi")
def test_a_machine_without_the_driver_has_no_card() -> None:
    assert find_cards() == []


def test_a_driver_without_devices_has_no_card(nvidia_smi: Path) -> None:
    says(nvidia_smi, "No devices were found", 6)
    assert find_cards() == []


def test_a_driver_that_fails_is_quoted(nvidia_smi: Path) -> None:
    says(nvidia_smi, "NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.", 9)
    with pytest.raises(BackendFailure, match=r"could not communicate.*--gpu-memory"):
        find_cards()


def test_a_line_that_is_none_is_quoted(nvidia_smi: Path) -> None:
    says(nvidia_smi, "NVIDIA GB10, [N/A], [N/A], 12.1")
    with pytest.raises(BackendFailure, match="GB10"):
        find_cards()
