"""Independent pieces of array work over the machine's cores; numpy lets go of the interpreter while it computes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


def each_in_parallel(work: Callable[[int], None], pieces: Iterable[int]) -> None:
    """Do some work for every piece, in any order.

    Args:
        work: Must write to a place of its own for each piece, so that the result does not depend on the order.
        pieces: What it is called with.
    """
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for _ in pool.map(work, pieces):
            pass
