"""Signs of life: how long a process has been silent, and how long what it trains has not moved on.

A training writes a beat every few seconds from a thread of its own, and says in it when the training itself last moved
on. Clocks of two machines are never compared: on the machine of the writer its steady clock counts, elsewhere the time
that has passed since the reader first saw the sign.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from engine.study.processes import read_boot_id
from engine.study.records import Record, encode_record, find_record

BEAT_S = 5.0
"""Seconds between two beats."""

WORTH_TELLING_S = 60.0
"""Silence that viewers mention."""

LOST_S = 120.0
"""Silence after which a process that beat, and that cannot be asked, no longer counts as alive."""

FIRST_EPOCH_S = 3600.0
"""How long a training may stand still at least before its first epoch has ended: data are loaded, models compiled."""

STALL_S = 600.0
"""How long a training may stand still at least once its pace is known, where the protocol does not say."""

STALL_FACTOR = 20.0
"""How much longer than its slowest step so far a training may stand still, where that is more."""


class BeatRecord(Record, frozen=True, kw_only=True, tag=1):
    """beat.json: the latest sign of life of an attempt or of a supervisor."""

    boot_id: str
    """Of the machine whose steady clock the two times are of."""
    beaten: float
    """When it was written."""
    moved: float
    """When the work last moved on."""
    steps: int = 0
    """How often it has moved on."""
    epochs: int = 0
    """How many epochs of this attempt have ended; those of earlier attempts are not counted."""
    slowest_s: float = 0.0
    """The longest time between two steps so far, the first left out."""
    place: str | None = None
    """Where the work stands still, in words."""


@dataclass(frozen=True, kw_only=True)
class Silence:
    """Says how long a process has given no sign, and what it did last."""

    dead_s: float
    """Seconds since the process itself gave one."""
    still_s: float
    """Seconds since its work moved on; at least as many."""
    beat: BeatRecord | None
    """The latest sign; None where the process gives none of its own."""

    @property
    def worth_telling(self) -> bool:
        """Tell whether viewers mention it: it is long, also beside the work's own pace."""
        pace_s = 0.0 if self.beat is None else 3.0 * self.beat.slowest_s
        return self.still_s >= max(WORTH_TELLING_S, pace_s)

    @property
    def place(self) -> str | None:
        """Return where the work stands still, in words; None where that is not known."""
        return None if self.beat is None else self.beat.place

    def exceeds(self, stall_s: float | None) -> bool:
        """Tell whether the work has stood still for so long that it is to be ended.

        Args:
            stall_s: The seconds that a user allows; 0 for no end, None for what the work's own pace suggests.
        """
        if self.beat is None or stall_s == 0:
            return False
        if stall_s is not None:
            return self.still_s >= stall_s
        least_s = STALL_S if self.beat.epochs else FIRST_EPOCH_S
        return self.still_s >= max(least_s, STALL_FACTOR * self.beat.slowest_s)


@dataclass
class Clock:
    """Notes when this process first saw the present sign of each file, by its own steady clock."""

    compares: bool = True
    """Whether the age of a sign that is seen for the first time is told from the time of its file. That compares two
    machines' clocks, which is good enough for viewers, and not for whoever takes something away from another process.
    """
    seen: dict[Path, tuple[object, float]] = field(default_factory=dict[Path, "tuple[object, float]"])

    def measure(self, path: Path, sign: object, *, age_s: float = 0.0) -> float:
        """Return the seconds that a sign is old.

        Args:
            path: Where it was found.
            sign: Anything that changes with every sign.
            age_s: What other clocks say of the age of a sign that is seen for the first time.
        """
        now = time.monotonic()
        known = self.seen.get(path)
        if known is None or known[0] != sign:
            # A time in the future says nothing: waiting begins now.
            known = self.seen[path] = (sign, now - (max(0.0, age_s) if self.compares else 0.0))
        return now - known[1]


CLOCK = Clock()
"""The one of this process: each of its views of a study adds to what was seen."""


def read_silence(path: Path, *, clock: Clock = CLOCK) -> Silence | None:
    """Read how long the writer of a beat has been silent; None where there is no beat."""
    beat = find_record(path, BeatRecord)
    if beat is None:
        return None
    dead_s = time.monotonic() - beat.beaten
    if beat.boot_id != read_boot_id() or dead_s < 0:
        dead_s = clock.measure(path, (beat.beaten, beat.steps), age_s=_age_s(path))
    return Silence(dead_s=dead_s, still_s=dead_s + max(0.0, beat.beaten - beat.moved), beat=beat)


def read_file_silence(paths: tuple[Path, ...], *, clock: Clock = CLOCK) -> Silence:
    """Return the silence of a process that does not beat: since the first of some files that is there changed."""
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        silence_s = clock.measure(path, (status.st_mtime_ns, status.st_size), age_s=time.time() - status.st_mtime)
        return Silence(dead_s=silence_s, still_s=silence_s, beat=None)
    return Silence(dead_s=float("inf"), still_s=float("inf"), beat=None)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def write_beat(path: Path, beat: BeatRecord) -> bool:
    """Write a beat over the earlier one, in one small write; return whether that was possible.

    The file keeps its place and its length, so that a full disk is no obstacle; nothing is forced to the disk, because
    a beat that a crash takes away is of no use any more.
    """
    content = encode_record(beat, compact=True)
    line = content.rstrip(b"\n").ljust(BEAT_BYTES - 1) + b"\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            os.pwrite(descriptor, line, 0)
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return True


BEAT_BYTES = 512
"""The length of a beat's file: one block, whatever it says."""

PLACE_LETTERS = 200
"""Letters of a place at most."""


def make_beat(
    *, moved: float, steps: int = 0, epochs: int = 0, slowest_s: float = 0.0, place: str | None = None
) -> BeatRecord:
    """Return the beat of this moment."""
    return BeatRecord(
        boot_id=read_boot_id(),
        beaten=round(time.monotonic(), 3),
        moved=round(moved, 3),
        steps=steps,
        epochs=epochs,
        slowest_s=round(slowest_s, 3),
        place=None if place is None else place.encode("ascii", "replace").decode()[:PLACE_LETTERS],
    )
