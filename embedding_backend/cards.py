"""Which graphics cards this machine has, asked of nvidia-smi: no GPU library is loaded for it."""

import shutil
import subprocess
from dataclasses import dataclass

from embedding_backend.embedder import BackendFailure

MIB = 1 << 20
_QUERY = "--query-gpu=name,memory.total,memory.used,compute_cap"
_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Card:
    """One graphics card; `used_bytes` is what other programs hold of its memory.

    `compute_capability` is NVIDIA's number for what the card can calculate with: bfloat16 from 8.0 (Ampere) on.
    """

    name: str
    total_bytes: int
    used_bytes: int = 0
    compute_capability: float = 8.0


def find_cards() -> list[Card]:
    """Return the machine's NVIDIA cards, none where there is no driver.

    Raises:
        BackendFailure: the driver is there and does not answer.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, _QUERY, "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendFailure(
            f"nvidia-smi did not answer ({error}); give the cards with --gpu-memory and --gpus."
        ) from None
    if answer.returncode:
        if "no devices were found" in answer.stdout.lower():
            return []
        said = " ".join((answer.stdout + answer.stderr).split())
        raise BackendFailure(f"nvidia-smi failed: {said}. Give the cards with --gpu-memory and --gpus.")
    return [_card(line) for line in answer.stdout.splitlines() if line.strip()]


def _card(line: str) -> Card:
    try:
        name, total, used, capability = (part.strip() for part in line.rsplit(",", 3))
        return Card(name, int(total) * MIB, int(used) * MIB, float(capability))
    except ValueError:
        raise BackendFailure(f"nvidia-smi says {line!r}; give the cards with --gpu-memory and --gpus.") from None
