"""Restrict a process to certain folders with Linux's Landlock, which needs neither root nor a namespace."""

import ctypes
import os
import stat
from collections.abc import Iterable

from cohort_grader.sandbox import linux

READ_FILE, READ_FOLDER = 1 << 2, 1 << 3
FOR_FILES = 1 << 0 | 1 << 1 | READ_FILE | 1 << 14 | 1 << 15  # execute, write, read, truncate, ioctl on devices
# How many file-system rights each version of the interface has.
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
ASK_VERSION = 1


class Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64)]


class Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def version() -> int:
    """Return this kernel's version of the interface; 0 if it has none."""
    try:
        return linux.system_call(linux.LANDLOCK_CREATE_RULESET, "landlock", None, 0, ASK_VERSION)
    except OSError:
        return 0


def restrict(readable: Iterable[str], listed: Iterable[str], writable: Iterable[str]) -> None:
    """Let this process read only `readable` and `writable`, and write only `writable`. This cannot be undone.

    It can also list the names in the folders `listed` and in their subfolders.

    Raises:
        OSError: the kernel does not support it.
    """
    every = (1 << RIGHTS[min(version(), 5)]) - 1
    rules = Ruleset(every)
    handle = linux.system_call(
        linux.LANDLOCK_CREATE_RULESET, "landlock_create_ruleset", ctypes.byref(rules), ctypes.sizeof(rules), 0
    )
    for path in readable:
        _allow(handle, path, READ_FILE | READ_FOLDER)
    for path in listed:
        _allow(handle, path, READ_FOLDER)
    for path in writable:
        _allow(handle, path, every & ~1)
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    linux.system_call(linux.LANDLOCK_RESTRICT_SELF, "landlock_restrict_self", handle, 0)
    os.close(handle)


def _allow(handle: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= FOR_FILES
        rule = Beneath(rights, descriptor)
        linux.system_call(linux.LANDLOCK_ADD_RULE, "landlock_add_rule", handle, 1, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
