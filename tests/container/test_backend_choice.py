"""Which embedding backend a container starts, and the reason it gives."""

import os
import sys
from pathlib import Path

import pytest

from house import EMBEDDED_MODEL, choose_backend

ROOT = Path(__file__).resolve().parents[2]
CARD = "NVIDIA H200, 143771, 0, 9.0"

pytestmark = pytest.mark.anyio


def machine(folder: Path, *programs: str, card: str = CARD) -> dict[str, str]:
    """Return the environment of a container with these programs besides Pincite's."""
    scripts = {
        "nvidia-smi": f"echo '{card}'",
        "vllm": "exit 0",
        "pincite": f'PYTHONPATH={ROOT} exec {sys.executable} -m pincite.cli "$@"',
    }
    for name in ("pincite", *programs):
        (folder / name).write_text(f"#!/bin/sh\n{scripts[name]}\n")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder), "HOME": os.environ.get("HOME", "/")}


async def test_without_a_card_the_embedded_model_serves(tmp_path: Path) -> None:
    backend = await choose_backend(machine(tmp_path))
    assert backend.is_embedded
    assert "no NVIDIA card was given to this container" in backend.why


async def test_a_card_is_of_no_use_to_an_image_without_vllm(tmp_path: Path) -> None:
    backend = await choose_backend(machine(tmp_path, "nvidia-smi"))
    assert backend.model == EMBEDDED_MODEL
    assert "pincite:gpu has it" in backend.why
    assert backend.arguments == ("--gpus", "0")


async def test_the_model_is_planned_for_the_card(tmp_path: Path) -> None:
    backend = await choose_backend(machine(tmp_path, "nvidia-smi", "vllm"))
    assert backend.model == "Qwen/Qwen3-Embedding-8B"
    assert backend.arguments == ()
    assert "bfloat16" in backend.why


async def test_the_model_that_is_named_is_planned(tmp_path: Path) -> None:
    environment = machine(tmp_path, "nvidia-smi", "vllm") | {"PINCITE_BACKEND_MODEL": "0.6B"}
    backend = await choose_backend(environment)
    assert backend.model == "Qwen/Qwen3-Embedding-0.6B"
    assert backend.arguments == ("--model", "0.6B")


async def test_a_card_on_which_nothing_fits_leaves_the_embedded_model_and_says_why(tmp_path: Path) -> None:
    backend = await choose_backend(machine(tmp_path, "nvidia-smi", "vllm", card="NVIDIA T400, 1024, 0, 7.5"))
    assert backend.is_embedded
    assert "does not fit" in backend.why


async def test_embedding_servers_that_are_named_are_left_to_pincite(tmp_path: Path) -> None:
    backend = await choose_backend(machine(tmp_path) | {"PINCITE_EMBEDDING_URL": "http://gpu:8000"})
    assert backend.is_embedded
    assert "PINCITE_EMBEDDING_URL" in backend.why
