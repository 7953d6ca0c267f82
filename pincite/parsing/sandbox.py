"""What a worker process gives up before it opens its first document: memory, files, network, noise."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterable

from pincite.parsing.landlock import read_only
from pincite.parsing.system_calls import refuse_system_calls

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def confine(readable: Iterable[str]) -> dict[str, bool]:
    """Give up network, other files and other programs; return what of it the kernel holds this process to.

    `readable` are the folders it may still read, besides its libraries; open files stay open. Call `die_with_parent`
    before. A kernel that knows none of it leaves the limits, and parsers that fetch, write and start nothing.
    """
    cut = _cut_network()
    closed = read_only(readable)
    refused = refuse_system_calls()
    return {"network": refused or cut, "reading": closed, "writing": refused, "programs": refused}


def _cut_network() -> bool:
    """Move this process into a network of its own, which has no interface; return whether the kernel allowed it.

    Best effort: containers often refuse it. The parsers fetch nothing by themselves; this holds one taken over.
    Must run while the process has one thread only (unshare(2)).
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) == 0:
        return True
    return bool(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, and forbid it new privileges."""
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def limit_resources(memory_bytes: int) -> None:
    """Bound the memory of this process; let it write no file, leave no core, and open few files.

    RLIMIT_DATA counts what is written to, so that PyMuPDF's and Arrow's large reservations do not count (getrlimit(2)).
    """
    _lower(resource.RLIMIT_DATA, memory_bytes)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, 256)


def limit_cpu(seconds: float) -> None:
    """Have the kernel end this process with SIGXCPU after `seconds` more of CPU time."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    spent = usage.ru_utime + usage.ru_stime
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent + seconds) + 1, hard))


def resident_bytes() -> int:
    """The memory this process holds now, in bytes; its peak where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def silence() -> tuple[int, int]:
    """Keep standard input and output for the protocol alone, and return the two descriptors.

    Libraries print about the documents they read; that must neither break the protocol nor reach a log.
    """
    requests, replies = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    return requests, replies


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(kind, (value, value))
