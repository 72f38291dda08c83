"""Tells viewers how far the process that measures a study is; it writes this about once a second, and nothing else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import StudyError
from engine.study.beats import CLOCK, LOST_S
from engine.study.paths import StudyPaths
from engine.study.processes import Owner, current_owner, is_alive
from engine.study.records import Record, find_record, write_record

PERIOD_S = 1.0
"""Seconds between two writes at least."""


class MeasuringRecord(Record, frozen=True, kw_only=True, tag=1):
    """measuring.json: how many arms are measured; there while a process measures."""

    owner: Owner
    done: int
    total: int
    """Arms of the plan."""


@dataclass
class Teller:
    """Writes how far measuring is, and takes that back at its end."""

    paths: StudyPaths
    silent: bool = False
    """Write nothing: the study cannot be written."""
    clock: Callable[[], float] = time.monotonic
    due: float = -1e9
    """When the next record may be written."""

    def tell(self, done: int, total: int) -> None:
        """Write how many arms of all are measured, unless that was written a moment ago."""
        if not self.silent and self.clock() >= self.due:
            self.due = self.clock() + PERIOD_S
            with contextlib.suppress(StudyError):
                write_record(self.paths.measuring, MeasuringRecord(owner=current_owner(), done=done, total=total))

    def end(self) -> None:
        """Take back what was written; another process that measures too tells of itself."""
        found = find_record(self.paths.measuring, MeasuringRecord)
        if found is not None and found.owner == current_owner():
            with contextlib.suppress(OSError):
                self.paths.measuring.unlink()


def describe_measuring(paths: StudyPaths) -> str | None:
    """Say how far measuring is, as "3 of 12 arms"; None where no process does it, or none that says so."""
    found = find_record(paths.measuring, MeasuringRecord)
    if found is None:
        return None
    alive = is_alive(found.owner)
    if alive is None:  # another machine's: it is alive as long as it goes on telling
        alive = CLOCK.measure(paths.measuring, found, age_s=_find_age(paths)) < LOST_S
    return f"{found.done} of {found.total} arm{'' if found.total == 1 else 's'}" if alive else None


def _find_age(paths: StudyPaths) -> float:
    """Return how old the record is by its file's time, with which `Clock` compares what it sees first."""
    try:
        return time.time() - paths.measuring.stat().st_mtime
    except OSError:
        return 0.0
