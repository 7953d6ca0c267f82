"""Writes docs/measurements/docker.md from what the tests measured on their way."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from tests.real.docker.engine import docker

REACH = {
    "from `docker run` to the first cited answer, s": 180,
    "image of Pincite alone, MB unpacked": 900,
    "memory of Pincite alone, idle, MB": 900,
    "`docker stop` of the house, s": 10,
    "`docker stop` of Pincite alone, s": 10,
}


def write(page: Path, figures: dict[str, float]) -> None:
    """Write the page; `figures` are by what they measure, unit included."""
    version = docker("version", "--format", "{{.Server.Version}}").strip()
    base = int(docker("inspect", "-f", "{{.Size}}", "python:3.12-slim-bookworm")) / 1e6
    without = figures["image of Pincite alone, MB unpacked"] - base
    lines = [
        "# What the images cost",
        "",
        f"Written by `scripts/test-docker --write`: {datetime.now(UTC):%Y-%m-%d}, Docker {version}, {os.cpu_count()} "
        f"{platform.machine()} cores, load {os.getloadavg()[1]:.0f} at the end (other work ran beside it).",
        "",
        "| figure | measured | to reach |",
        "|---|---|---|",
    ]
    for name, value in figures.items():
        reach = REACH.get(name)
        told = "" if reach is None else f"≤ {reach}{'' if value <= reach else ', **not met**'}"
        lines.append(f"| {name} | {value:,.0f} | {told} |" if value >= 10 else f"| {name} | {value:.1f} | {told} |")
    lines += [
        "",
        f"{base:,.0f} MB of each image are its base: here a stand-in for python:3.12-slim-bookworm, made on a machine "
        f"that reaches no registry. Pincite's own part is {without:,.0f} MB.",
        "",
    ]
    page.write_text("\n".join(lines), "utf-8")
