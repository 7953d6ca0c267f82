"""What other programs have used of the processor, as Linux counts it."""

import os
from contextlib import suppress
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_s(session: int) -> float:
    """Return the CPU seconds of a program that leads a session, and of all that it has started; proc(5)."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile, and is in its parent's account
            fields = stat.read_text("utf-8").rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS_A_SECOND
