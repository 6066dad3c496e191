"""What the C library does with freed memory, and how to make it keep some."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST_THRESHOLD = 32 << 20  # bytes; glibc refuses more


def keep_freed_memory(limit: int = 1 << 30) -> bool:
    """Let this process keep up to `limit` bytes that it has freed, instead of giving them back to the system.

    A training step allocates and frees the same large tensors again and again, and the system fills every new page
    with zeros first; for small layers that costs about as much as their arithmetic. This changes the whole process
    until it ends, so it is for programs to call, once, at their start; `fit` never does. Results stay the same, bit for
    bit. Return whether it was done: only glibc (most of Linux) has such a setting; elsewhere nothing happens.

    Raises:
        ValueError: limit is not an int from 0 to 2**31 - 1.

    >>> keep_freed_memory() == has_glibc()
    True
    """
    if not isinstance(limit, int) or not 0 <= limit < 2**31:
        raise ValueError(f"limit must be an int of bytes from 0 to 2**31 - 1, got {limit!r}.")
    if not has_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    done = [mallopt(M_MMAP_THRESHOLD, LARGEST_THRESHOLD), mallopt(M_TRIM_THRESHOLD, limit)]
    return done == [1, 1]


def has_glibc() -> bool:
    """Return whether this Python runs on the GNU C library (and not on macOS, Windows, or a Linux with musl)."""
    return platform.libc_ver()[0] == "glibc"
