"""Independent pieces of array work over the machine's cores; numpy lets go of the interpreter while it computes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


def each_in_parallel(work: Callable[[int], None], pieces: Iterable[int], *, at_once: int | None = None) -> None:
    """Do some work for every piece, in any order.

    Args:
        work: Must write to a place of its own for each piece, so that the result does not depend on the order.
        pieces: What it is called with.
        at_once: How many pieces there is memory for at once; None where that does not matter.
    """
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores if at_once is None else max(1, min(cores, at_once))) as pool:
        for _ in pool.map(work, pieces):
            pass
