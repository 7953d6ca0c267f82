"""The system calls that a parser never needs, refused by the kernel: sockets, programs, other processes, writing files.

A seccomp filter (seccomp(2), Documentation/userspace-api/seccomp_filter.rst of Linux): it holds whatever code runs in
the process, the parsers' own or a document's, and cannot be taken off again.
"""

import ctypes
import errno
import platform
import struct
import sys

# Numbers by architecture (arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h); None where the
# architecture has no such call.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # network; io_uring opens sockets without calling socket
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # programs and other processes
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "kill": (62, 129),
    "tkill": (200, 130), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    # files: making, changing, removing
    "creat": (85, None), "truncate": (76, 45), "mknod": (133, None), "mknodat": (259, 33), "mkdir": (83, None),
    "mkdirat": (258, 34), "rmdir": (84, None), "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None),
    "renameat": (264, 38), "renameat2": (316, 276), "link": (86, None), "linkat": (265, 37), "symlink": (88, None),
    "symlinkat": (266, 36), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None),
    "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16), "open_by_handle_at": (304, 265),
    # the system
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsmount": (432, 432), "open_tree": (428, 428), "mount_setattr": (442, 442),
    "setns": (308, 268), "unshare": (272, 97), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "reboot": (169, 142), "swapon": (167, 224), "settimeofday": (164, 170), "clock_settime": (227, 112),
}  # fmt: skip
# Refused as if the kernel did not know them: the C library then makes a call that a filter can look into.
_UNKNOWN = {"clone3": (435, 435), "openat2": (437, 437)}
_OPEN, _OPENAT, _CLONE = (2, None), (257, 56), (56, 220)

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32_BIT = 0x40000000
_TO_WRITE = 0o1 | 0o2 | 0o100 | 0o1000  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC
_CLONE_THREAD = 0x10000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2


def refuse_system_calls() -> bool:
    """Install the filter in this thread and all it starts; return whether the kernel took it.

    Needs PR_SET_NO_NEW_PRIVS, and should run while the process has one thread only.
    """
    if not sys.platform.startswith("linux") or platform.machine() not in _ARCHITECTURES or sys.maxsize < 2**32:
        return False
    program = ctypes.create_string_buffer(_program(platform.machine()))
    count = (len(program) - 1) // 8
    descriptor = struct.pack("@HxxxxxxP", count, ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, descriptor, 0, 0) == 0)


def _program(machine: str) -> bytes:
    """Return the filter as classic BPF instructions of 8 bytes each."""
    column, architecture = _ARCHITECTURES[machine]
    refuse, unknown = _return_error(errno.EPERM), _return_error(errno.ENOSYS)
    program = [_step(_LOAD, _AT_ARCHITECTURE), _step(_EQUAL, architecture, 1, 0), refuse, _step(_LOAD, _AT_NUMBER)]
    if machine == "x86_64":
        program += [_step(_AT_LEAST, _X32_BIT, 0, 1), refuse]
    for call, argument, bits, refused_if_set in (
        (_OPEN, 1, _TO_WRITE, True),
        (_OPENAT, 2, _TO_WRITE, True),
        (_CLONE, 0, _CLONE_THREAD, False),
    ):
        if (number := call[column]) is not None:
            program += [
                _step(_EQUAL, number, 0, 4),
                _step(_LOAD, _AT_ARGUMENTS + 8 * argument),
                _step(_ANY_BIT, bits, *((0, 1) if refused_if_set else (1, 0))),
                refuse,
                _step(_RETURN, _ALLOW),
            ]
    for calls, answer in ((_UNKNOWN, unknown), (_REFUSED, refuse)):
        for numbers in calls.values():
            if (number := numbers[column]) is not None:
                program += [_step(_EQUAL, number, 0, 1), answer]
    return b"".join([*program, _step(_RETURN, _ALLOW)])


def _return_error(number: int) -> bytes:
    return _step(_RETURN, _ERRNO | number)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("@HBBI", code, if_true, if_false, value)
