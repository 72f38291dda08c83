"""Watches a job: whether it, or a process that it started, does anything, and what it says itself where it beats."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from engine.study.beats import STALL_FACTOR, STALL_S, WORTH_TELLING_S, Silence, read_silence
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
    beat: Path | None = None
    """Where the process says itself when its work last moved on; None where it does not."""
    started: float = field(default_factory=time.monotonic)
    last_sign: float = field(default_factory=time.monotonic)
    looked: float = field(default_factory=time.monotonic)
    seen: Usage = field(default_factory=Usage)
    silence: Silence | None = None
    """What its latest beat says."""

    def look(self) -> float:
        """Look, unless that was a moment ago; return the seconds since the last sign."""
        now = time.monotonic()
        if now - self.looked >= LOOK_S:
            found = read_group_usage(self.group)
            computed_s = found.cpu_s - self.seen.cpu_s
            if abs(computed_s) > IDLE_SHARE * (now - self.looked) or found.moved_bytes != self.seen.moved_bytes:
                self.last_sign = now
            self.seen, self.looked = found, now
            self.silence = None if self.beat is None else read_silence(self.beat)
        # A beat that is older than the process was left by an earlier one.
        still_s = 0.0 if self.silence is None else min(self.silence.still_s, now - self.started)
        return max(now - self.last_sign, still_s)

    def note_sign(self) -> None:
        """Begin anew: something else says that the process is well."""
        self.last_sign = time.monotonic()

    @property
    def limit_s(self) -> float:
        """Return the silence after which the job is to be ended."""
        if self.stall_s is not None:
            return self.stall_s or float("inf")
        beat = None if self.silence is None else self.silence.beat
        return max(STALL_S, 0.0 if beat is None else STALL_FACTOR * beat.slowest_s)

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
        place = None if self.silence is None else self.silence.place
        return f"process {self.group} {what}{'' if place is None else f' ({place})'}{until}"
