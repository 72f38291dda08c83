"""Watches a job that gives no signs of life of its own: whether it, or a process that it started, does anything."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from engine.study.beats import STALL_S, WORTH_TELLING_S
from engine.study.processes import Usage, read_group_usage

LOOK_S = 2.0
"""Seconds between two looks."""

ROUNDED_S = 30.0
"""Seconds to which a silence is rounded in words."""

IDLE_SHARE = 0.005
"""Share of one core below which a process does nothing but wake up now and then."""


@dataclass
class JobWatch:
    """Notes when a process group last computed, read or wrote anything; see `look`."""

    group: int
    stall_s: float | None
    """Seconds for which it may do nothing before it is to be ended; 0 for no end, None for STALL_S."""
    last_sign: float = field(default_factory=time.monotonic)
    looked: float = field(default_factory=time.monotonic)
    seen: Usage = field(default_factory=Usage)

    def look(self) -> float:
        """Look, unless that was a moment ago; return the seconds since the last sign."""
        now = time.monotonic()
        if now - self.looked >= LOOK_S:
            found = read_group_usage(self.group)
            computed_s = found.cpu_s - self.seen.cpu_s
            if abs(computed_s) > IDLE_SHARE * (now - self.looked) or found.moved_bytes != self.seen.moved_bytes:
                self.last_sign = now
            self.seen, self.looked = found, now
        return now - self.last_sign

    @property
    def limit_s(self) -> float:
        """Return the silence after which the job is to be ended."""
        return STALL_S if self.stall_s is None else self.stall_s or float("inf")

    @property
    def obstacle(self) -> str | None:
        """Say how long it has done nothing; None where that is not worth telling."""
        silent_s = self.look()
        if silent_s < min(WORTH_TELLING_S, self.limit_s / 2) and not self.seen.stopped:
            return None
        # The words stay the same for a while: each change of them is written to a file.
        shown_s = silent_s // ROUNDED_S * ROUNDED_S
        what = "is halted by a signal" if self.seen.stopped else f"has given no sign for {shown_s:.0f} s"
        until = "" if self.limit_s == float("inf") else f", and is ended after {self.limit_s:.0f} s"
        return f"process {self.group} {what}{until}"
