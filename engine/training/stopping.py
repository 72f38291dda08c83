"""Requests to end or to pause a training: how they reach it, and what it ends with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.study.control import Control, read_control
from engine.study.paths import AttemptPaths, StudyPaths
from engine.study.run_records import is_fenced
from engine.training.pulse import Pulse

CONTROL_PERIOD_S = 0.5
"""How often a training looks for requests."""

StopRequest = Callable[[], bool]
"""Asked before every training step; says whether the training is to end there."""

OnEnd = Callable[[int, Exception], None]
"""Is told the number of a run that has ended before its time, and why."""

ShouldLeave = Callable[[int], bool]
"""Asked before every step of a run; says whether it alone is to end there."""


class Stopped(Exception):
    """Ends a training whose end was asked for."""


class Fenced(Exception):
    """Ends a training whose run was taken from this process: it may write nothing of it, and claims no other."""


def never() -> bool:
    """Let a training go on to its last epoch; a `StopRequest`."""
    return False


def ignore(run: int, error: Exception) -> None:
    """Do nothing; an `OnEnd`."""


def stay(run: int) -> bool:
    """Let every run go on; a `ShouldLeave`."""
    return False


@dataclass(frozen=True)
class Leaving:
    """Says which of several runs side by side leave, and whom to tell of those that end while the others go on."""

    on_end: OnEnd = ignore
    should_leave: ShouldLeave = stay


ALL_STAY = Leaving()


@dataclass
class Requests:
    """Holds what has been asked of a worker, by signal or through the study's control folder."""

    paths: StudyPaths
    terminated: bool = False
    """Whether the worker was told to end by a signal."""
    control: Control = field(default_factory=Control)
    """What the control folder held when it was last looked at."""
    read_at: float = -1e9
    attempt: AttemptPaths | None = None
    """The first attempt of those that are still trained."""
    pulse: Pulse | None = None
    """The signs of life of the training, which is told of every step, and of every look while that waits."""

    def look(self) -> Control:
        """Return the requests that hold, at most half a second old.

        Raises:
            Fenced: If the run that is trained was taken from this process.
        """
        if time.monotonic() - self.read_at >= CONTROL_PERIOD_S:
            self.control, self.read_at = read_control(self.paths), time.monotonic()
            if self.attempt is not None and is_fenced(self.attempt):
                raise Fenced
        return self.control

    def must_stop(self, run_ids: Sequence[str]) -> bool:
        """Tell whether runs that are trained at once are to end: where each of them is. Wait while all are paused.

        Raises:
            Fenced: If they were taken from this process.
        """
        self._move()
        while not self.terminated and all(self.look().holds(run_id) for run_id in run_ids):
            if all(self.control.stops(run_id) for run_id in run_ids):
                break
            time.sleep(CONTROL_PERIOD_S)
            self._move()
        return self.terminated or all(self.control.stops(run_id) for run_id in run_ids)

    def _move(self) -> None:
        if self.pulse is not None:
            self.pulse.move()
