"""What a benchmark reports, and timing that a busy moment of the machine does not decide."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """One benchmark's result."""

    text: str
    """The figures, with their units and the baseline."""
    budget: str
    within: bool | None
    """None where it could not be judged, as what it is compared with is not there."""


def best_s(work: Callable[[], object], repeats: int) -> float:
    """Shortest of some repetitions, in seconds: everything else on the machine only ever adds."""
    shortest = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - started)
    return shortest
