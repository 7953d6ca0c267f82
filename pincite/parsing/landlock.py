"""The files that a parser may read: the libraries it is made of, and nothing else of the machine.

Landlock (landlock(7), Linux 5.13): a process gives up what it does not name, and cannot have it back. A document
reaches the parser as an open file, which Landlock does not ask about.
"""

import contextlib
import ctypes
import os
import stat
import struct
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION_ONLY = 1
_PATH_BENEATH = 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
# Rights on files by the version of the interface that has them first: all from execute to make_sym, then refer,
# truncate, ioctl_dev.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_TCP = (1 << 0) | (1 << 1)  # bind, connect; from version 4
_SCOPES = (1 << 0) | (1 << 1)  # abstract sockets and signals of others; from version 6

_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/usr/share/zoneinfo")
_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types", "/dev/null", "/dev/urandom", "/proc/self")


def read_only(folders: Iterable[str]) -> bool:
    """Leave this thread, and all it starts, nothing of the file system but libraries and `folders`, to be read.

    Return whether the kernel took it. Needs PR_SET_NO_NEW_PRIVS; must run while the process has one thread only.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, 0, _VERSION_ONLY)
    if version < 1:
        return False
    handled = 0
    for first, rights in _FILE_RIGHTS.items():
        handled |= rights if version >= first else 0
    limits = struct.pack("=QQQ", handled, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, limits[:size], size, 0)
    if ruleset < 0:
        return False
    try:
        for path in {*_readable(), *folders}:
            _allow(libc, ruleset, path)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str) -> None:
    with contextlib.suppress(OSError):
        place = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
        try:
            is_folder = stat.S_ISDIR(os.fstat(place).st_mode)
            rights = _READ_FILE | _READ_FOLDER if is_folder else _READ_FILE
            libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
        finally:
            os.close(place)


def _readable() -> Iterator[str]:
    """Yield where the interpreter, the packages and the shared libraries lie; parsers are imported when needed."""
    yield from _LIBRARIES
    yield from _FILES
    yield from (sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
    yield from (entry for entry in sys.path if Path(entry).name in {"site-packages", "dist-packages"})
    yield from (entry for entry in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry)
    yield str(Path(__file__).parents[1])
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            path = line.partition("/")[2]
            if ".so" in path:
                yield str(Path(f"/{path}").parent)
