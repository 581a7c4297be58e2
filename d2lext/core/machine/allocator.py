"""Keeps the pages of large buffers instead of returning them to the system.

A training step allocates and frees the same large tensors again and again. By default,
glibc maps fresh pages for each of them, and the system clears every page before the first
write: about half the time of a step on a CPU. Without glibc this does nothing.
"""

import ctypes
import functools

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


@functools.cache
def keep_pages() -> None:
    """Tell glibc's malloc to keep freed pages; call it before large allocations."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # not glibc: macOS, musl
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, -1)  # never: a step of JAX frees over 2 GiB at once
    mallopt(_M_TOP_PAD, 2**28)
