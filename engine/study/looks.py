"""Tells which runs need not be looked at again: nothing in their folders has changed since the last look.

A folder's time changes when a file in it appears, is replaced or goes. Where that time is so recent that a further
change could bear the same one, or where it cannot be read, the run is looked at again; and so is each one now and then.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from engine.study.paths import RunPaths
from engine.study.run_state import RunState

SETTLED = frozenset({"queued", "failed", "lost", "cancelled"})
"""States that last until an attempt begins or its end is recorded; every other one may change without a new file."""

RECENT_NS = 2_000_000_000
"""Age below which a folder's time tells nothing: file systems count in steps of up to two seconds."""

SWEEP_S = 60.0
"""Seconds after which a run is looked at again whatever the times say: clocks of servers may be wrong."""

SHARE = 0.02
"""How much of a core looking may take."""

WAITING_SHARE = 0.2
"""How much of its time whoever looks may spend in waiting for a file server."""


@dataclass(frozen=True)
class Look:
    """Notes how the folders of a run that is neither running nor done looked before its files were read."""

    times_ns: tuple[tuple[Path, int], ...]
    """Folder → when it changed last, by the clock of its file system."""
    key: object
    """What the state depended on beside the files."""
    looked_at: float
    """Of the steady clock."""

    def still_holds(self, key: object) -> bool:
        """Tell whether the state that was read then is the state now."""
        if self.key != key or time.monotonic() - self.looked_at > SWEEP_S:
            return False
        try:
            return all(folder.stat().st_ctime_ns == changed_ns for folder, changed_ns in self.times_ns)
        except OSError:
            return False


@dataclass(frozen=True)
class Beginning:
    """The moment before a run's files are read."""

    times_ns: dict[Path, int]
    clock_ns: int
    looked_at: float


def begin_look(run: RunPaths, latest: Path | None) -> Beginning:
    """Note how a run's folders look before its files are read.

    Args:
        run: The run.
        latest: The folder of its latest attempt, as far as one is known.
    """
    times_ns: dict[Path, int] = {}
    for folder in (run.attempts,) if latest is None else (run.attempts, latest):
        try:
            times_ns[folder] = folder.stat().st_ctime_ns
        except OSError:
            continue
    return Beginning(times_ns, time.time_ns(), time.monotonic())


def end_look(beginning: Beginning, state: RunState, latest: Path | None, key: object) -> Look | None:
    """Return what tells later whether the state still holds; None where it has to be read again each time.

    Args:
        beginning: From before the files were read.
        state: What they said.
        latest: The folder of the latest attempt, as it was found with them; None where there is none.
        key: What the state depends on beside the files.
    """
    if state.status not in SETTLED or len(beginning.times_ns) != (1 if latest is None else 2):
        return None
    if latest is not None and latest not in beginning.times_ns:
        return None
    newest_ns = max(beginning.times_ns.values())
    if beginning.clock_ns - newest_ns < RECENT_NS:
        return None
    return Look(tuple(beginning.times_ns.items()), key, beginning.looked_at)


@dataclass
class Pace:
    """Measures what looking costs, and says how long to rest so that it stays a small share; see `rest_s`."""

    cpu_s: float = 0.0
    """Processor time of the latest look."""
    wall_s: float = 0.0

    def rest_s(self, least_s: float) -> float:
        """Return the seconds to wait before the next look, `least_s` or more."""
        return max(least_s, self.cpu_s * (1 / SHARE - 1), self.wall_s * (1 / WAITING_SHARE - 1))
