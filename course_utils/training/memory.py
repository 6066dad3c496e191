"""Make the C library reuse freed memory instead of returning it to the system."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST_THRESHOLD = 32 << 20  # bytes; glibc accepts no more


def keep_freed_memory(limit: int = 1 << 30) -> bool:
    """Let this process keep up to `limit` bytes that it has freed, instead of returning them to the system.

    A training step allocates and frees the same large tensors again and again, and the system fills every new page
    with zeros first; for small layers that costs about as much as their arithmetic. This affects the whole process
    until it ends, so a program should call it once when it starts; `fit` never does. Results stay the same, bit for
    bit. Returns whether it worked: only glibc (most Linux systems) has this setting; elsewhere nothing happens.

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
    """Return whether this Python uses the GNU C library (unlike on macOS, Windows, or a Linux with musl)."""
    return platform.libc_ver()[0] == "glibc"
