"""What the system limits for one process, where it can: memory, core dumps, and living on after its parent."""

import ctypes
import importlib
import os
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def limit(name: str, value: int) -> None:
    """Set a limit of this process, such as RLIMIT_AS, where the system has it; one that is lower already stays."""
    resource = importlib.import_module("resource")  # there is none on Windows
    which = getattr(resource, name, None)
    if which is not None:
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))


def address_space() -> int:
    """What this process has taken of its address space, in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")


def die_with_parent(signal: int = 9) -> None:
    """Let the kernel end this process as soon as its parent has ended (Linux)."""
    _prctl(PR_SET_PDEATHSIG, signal)


def adopt_orphans() -> None:
    """Become the parent of all that this process has started and whose own parents end (Linux): so it can be found."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), *(ctypes.c_ulong(0),) * 3)
