"""The C library's memory: what a training gives back is kept, as the same is asked for at the next step.

By default the library hands freed memory of some hundred kilobytes back to the system, which has to clear every page of
it again: of small convolutional networks thousands in an epoch, which `python tests/benchmarks freed_memory` counts.
"""

from __future__ import annotations

import contextlib
import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Constants of <malloc.h>: free memory at the end of the heap that is kept, and what is mapped by itself, bytes."""

KEPT_BYTES = 256 * 2**20
MAPPED_BYTES = 32 * 2**20
"""The largest threshold that the GNU C library takes."""


def keep_freed_memory() -> bool:
    """Let this process and its copies keep freed memory; return whether the C library is one that can be told so."""
    library = ctypes.CDLL(None)
    with contextlib.suppress(AttributeError):  # other C libraries have no such function
        settings = (TRIM_THRESHOLD, KEPT_BYTES), (MMAP_THRESHOLD, MAPPED_BYTES)
        return [library.mallopt(name, value) for name, value in settings] == [1, 1]
    return False


def give_freed_memory_back() -> None:
    """Give the system all memory back that is free and that the C library keeps."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
