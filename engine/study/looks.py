"""Tells what need not be looked at again: nothing in its folders has changed since the last look.

A folder's time changes when a file in it appears, is replaced or goes. Where that time is so recent that a further
change could bear the same one, or where it cannot be read, everything is read again; and so it is now and then.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

RECENT_NS = 2_000_000_000
"""Age below which a folder's time tells nothing: file systems count in steps of up to two seconds."""

SWEEP_S = 60.0
"""Seconds after which everything is looked at again whatever the times say: clocks of servers may be wrong."""

SHARE = 0.02
"""How much of a core looking may take."""

WAITING_SHARE = 0.2
"""How much of its time whoever looks may spend in waiting for a file server."""


@dataclass(frozen=True)
class Look:
    """Notes how some folders looked before the files in them were read."""

    times_ns: tuple[tuple[Path, int], ...]
    """Folder → when it changed last, by the clock of its file system."""
    key: object
    """What was found depended on this beside the files."""
    looked_at: float
    """Of the steady clock."""

    def still_holds(self, key: object) -> bool:
        """Tell whether what was found then would be found now."""
        if self.key != key or time.monotonic() - self.looked_at > SWEEP_S:
            return False
        try:
            return all(folder.stat().st_ctime_ns == changed_ns for folder, changed_ns in self.times_ns)
        except OSError:
            return False


@dataclass(frozen=True)
class Beginning:
    """The moment before some files are read."""

    times_ns: dict[Path, int]
    clock_ns: int
    looked_at: float


def begin_look(folders: Iterable[Path]) -> Beginning:
    """Note how some folders look before the files in them are read; one that cannot be looked at is left out."""
    times_ns: dict[Path, int] = {}
    for folder in folders:
        try:
            times_ns[folder] = folder.stat().st_ctime_ns
        except OSError:
            continue
    return Beginning(times_ns, time.time_ns(), time.monotonic())


def end_look(beginning: Beginning, folders: Collection[Path], key: object) -> Look | None:
    """Return what tells later whether the files would say the same; None where they have to be read again.

    Args:
        beginning: From before the files were read.
        folders: Those that they were in: any other than before tell that something has changed meanwhile.
        key: What the result depends on beside the files.
    """
    if not folders or set(folders) != set(beginning.times_ns):
        return None
    if beginning.clock_ns - max(beginning.times_ns.values()) < RECENT_NS:
        return None
    return Look(tuple(beginning.times_ns.items()), key, beginning.looked_at)


@dataclass
class Pace:
    """Measures what looking costs, and says how long to rest so that it stays a small share; see `rest_s`."""

    cpu_s: float = 0.0
    """Processor time of the latest look."""
    wall_s: float = 0.0
    _began: tuple[float, float] = (0.0, 0.0)

    def begin(self) -> None:
        """Begin a look."""
        self._began = time.thread_time(), time.monotonic()

    def end(self) -> None:
        """End a look, and note what it took."""
        self.cpu_s, self.wall_s = time.thread_time() - self._began[0], time.monotonic() - self._began[1]

    def rest_s(self, least_s: float) -> float:
        """Return the seconds to wait before the next look, `least_s` or more."""
        return max(least_s, self.cpu_s * (1 / SHARE - 1), self.wall_s * (1 / WAITING_SHARE - 1))
