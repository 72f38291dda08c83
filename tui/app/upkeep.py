"""Keeps the event loop free: cycles of objects are collected while nobody types, screens are imported in advance.

With a study of 700 runs the interpreter's own collections of all objects take 40 to 90 ms, and come when they want.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

PERIOD_S = 1.0
"""Seconds between two looks at whether a collection is due."""

REST_S = 3.0
"""Seconds without a key or the mouse after which nobody waits for an answer."""

DUE_AFTER, AT_LATEST = 10, 2000
"""Collections of young objects after which all are looked at: as the interpreter does it, and where nobody rests."""

NEVER = 1_000_000


@dataclass
class Upkeep:
    """Decides when all objects are looked at for cycles that nothing refers to; see `collect`."""

    clock: Callable[[], float] = time.monotonic
    touched_at: float = 0.0

    def begin(self) -> None:
        """Take over from the interpreter when all objects are collected; import what is not needed yet meanwhile.

        What the program consists of is left out of collections from then on.
        """
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, NEVER)
        import_screens()
        gc.freeze()

    def touch(self) -> None:
        """Remember that somebody pressed a key or moved the mouse now."""
        self.touched_at = self.clock()

    def collect(self) -> bool:
        """Collect where enough has happened and nobody waits for an answer; tell whether that was so."""
        since = gc.get_count()[2]
        due = since >= DUE_AFTER and self.clock() - self.touched_at >= REST_S
        if due or since >= AT_LATEST:
            gc.collect()
            return True
        return False


def import_screens() -> None:
    """Import the screens that are not shown first, so that opening them need not."""
    from tui.app.screens import builder, monitor, results, runs

    del builder, monitor, results, runs
