"""Finds the executor of a name; the names themselves are in `engine/catalog/executors.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from engine.dispatch.executors.base import Executor, Wanted
from engine.dispatch.executors.local import open_local
from engine.dispatch.executors.slurm import open_slurm
from engine.dispatch.executors.slurm_left import end_left_jobs
from engine.study.paths import StudyPaths

OPENERS: dict[str, Callable[[Wanted], Executor]] = {
    "local": open_local,
    "slurm": open_slurm,
}
"""Name → what makes the executor of a protocol or of a study."""


class EndLeft(Protocol):
    """Ends workers that wait in a queue, and that no supervisor looks after; see `slurm_left.end_left_jobs`."""

    def __call__(self, paths: StudyPaths, *, begun: bool) -> str | None: ...


ENDERS: dict[str, EndLeft] = {"slurm": end_left_jobs}
"""Name → what ends them, for executors whose workers may be waiting while nobody looks after them."""


def open_executor(wanted: Wanted) -> Executor:
    """Make the executor that a protocol or a study names; nothing is started by that.

    Raises:
        NondetError: If a device that is asked for is not there.
    """
    return OPENERS[wanted.executor](wanted)
