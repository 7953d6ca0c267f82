"""The tables that measurements write."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks.quality import Outcome

_STEPS = ("parse", "chunk", "embed", "index", "embed questions", "search")


def quality(outcomes: Sequence[Outcome]) -> str:
    """Return the quality tables as Markdown: figures against what they are meant to reach, and their cost."""
    lines = [
        "# How often the right page is found",
        "",
        "Written by `scripts/bench quality` on judged material that is not part of the project; the",
        "embedded model, 512-token passages, every setting at its default. *Meant*: what the project set itself.",
        "",
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}.",
        "",
    ]
    for outcome in outcomes:
        lines += [f"## {outcome.title}", "", f"{outcome.questions:,} questions.", ""]
        lines += ["| figure | measured | meant | |", "|---|---|---|---|"]
        for figure in outcome.figures:
            meant = "" if figure.at_least is None else f"≥ {figure.at_least:g}"
            verdict = "" if figure.at_least is None else ("met" if figure.value >= figure.at_least else "**not met**")
            lines.append(f"| {figure.name} | {figure.value:.3f} | {meant} | {verdict} |")
        costs = outcome.costs
        lines += ["", f"{costs.passages:,} passages, {costs.tokens:,} tokens" + _pages(costs.pages) + ".", ""]
        lines += ["| step | CPU s | wall s |", "|---|---|---|"]
        lines += [
            f"| {step} | {costs.cpu_s[step]:.1f} | {costs.wall_s.get(step, 0):.1f} |"
            for step in _STEPS
            if step in costs.cpu_s
        ]
        lines.append("")
    lines += [
        "Wall time of `index` and `search` includes the embedding inside them; CPU time does not. Other work ran on",
        "the machine at times: compare CPU seconds.",
        "",
    ]
    return "\n".join(lines)


def machine() -> str:
    """Return what the figures were measured on."""
    return f"{os.cpu_count()} shared {platform.machine()} cores, Python {platform.python_version()}"


def _pages(pages: int) -> str:
    return f", {pages:,} pages" if pages else ""
