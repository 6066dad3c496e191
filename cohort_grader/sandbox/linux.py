"""Linux system calls that Python's standard library lacks in some version that the course supports."""

import ctypes
import os
import platform
from pathlib import Path

# From linux/sched.h, linux/mount.h and linux/prctl.h; these are the same on every processor.
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_THREAD = 0x10000000, 0x20000000, 0x40000000, 0x00010000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4
PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38
MADV_COLLAPSE = 25
HUGE = 2 << 20  # bytes of a huge page; if pages are larger, MADV_COLLAPSE rounds outward to a whole one
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
# System calls added since 2019 have the same number on every processor.
MOUNT_SETATTR, LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 442, 444, 445, 446
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}
CAPSET = {"x86_64": 126, "aarch64": 91, "riscv64": 91}


class MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]


def processor() -> str:
    return platform.machine()


def call(name: str, *arguments):
    """Call a function of the C library; `arguments` are int, bytes or None.

    Raises:
        OSError: the call failed; the message names it.
    """
    result = getattr(_library(), name)(*(ctypes.c_ulong(a) if type(a) is int else a for a in arguments))
    return _checked(result, name)


def system_call(number: int, name: str, *arguments):
    """Make a system call by its number; otherwise as `call`."""
    wide = (ctypes.c_long(a) if type(a) is int else a for a in arguments)
    return _checked(_library().syscall(ctypes.c_long(number), *wide), name)


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, name: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    call("unshare", flags)


def setns(descriptor: int, kind: int) -> None:
    call("setns", descriptor, kind)


def prctl(option: int, value: int) -> None:
    call("prctl", option, value, 0, 0, 0)


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    call("mount", source.encode(), os.fsencode(target), kind and kind.encode(), flags, options.encode() or None)


def bind(source: str, target: str) -> None:
    """Make `source` and everything mounted below it also visible at `target` (a bind mount)."""
    try:
        call("mount", os.fsencode(source), os.fsencode(target), None, MS_BIND | MS_REC, None)
    except OSError as error:
        raise OSError(error.errno, f"binding {source}: {error.strerror}") from None


def restrict_mount(target: str, attributes: int) -> None:
    """Set MOUNT_ATTR_… on the mount at `target` and on all mounts below it. Needs Linux 5.12."""
    change = MountAttributes(set=attributes)
    path = os.fsencode(target)
    system_call(
        MOUNT_SETATTR, "mount_setattr", AT_FDCWD, path, AT_RECURSIVE, ctypes.byref(change), ctypes.sizeof(change)
    )


def change_root(folder: str) -> None:
    """Make `folder`, which must be a mount, the root of the file system, and unmount the old root."""
    os.chdir(folder)
    system_call(PIVOT_ROOT[processor()], "pivot_root", b".", b".")
    call("umount2", b".", MNT_DETACH)
    os.chdir("/")


def take_huge_pages() -> None:
    """Move this process's memory into huge pages (Linux 6.1 or later), so that a fork copies a shorter page table."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, rights, _, _, file = line.split()[:5]
        if rights != "rw-p" or file != "0":
            continue
        start, end = (int(address, 16) for address in addresses.split("-"))
        for page in range(-(-start // HUGE) * HUGE, end - HUGE + 1, HUGE):
            # This fails on an older kernel, or where no memory is in use. Both are harmless, so ignore the result.
            _library().madvise(ctypes.c_void_p(page), ctypes.c_size_t(HUGE), MADV_COLLAPSE)


def drop_capabilities() -> None:
    """Drop every capability that this process has in its own user namespace."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    system_call(CAPSET[processor()], "capset", header, nothing)
