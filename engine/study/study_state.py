"""The one state of a study, derived from its runs, its processes and the requests about it.

The list, `ls`, `status`, the monitor and `--batch` all show this state and no other.
"""

from __future__ import annotations

from typing import Literal

from engine.study.control import Control

StudyState = Literal["done", "running", "paused", "stopping", "cancelled", "failed", "incomplete", "damaged"]


ACTIVE: tuple[StudyState, ...] = ("running", "paused", "stopping")
"""States of a study that somebody trains."""


def derive_state(*, total: int, done: int, failed: int, running: int, supervised: bool, control: Control) -> StudyState:
    """Derive a study's state; "damaged", a study whose plan cannot be read, is found where that is read.

    Args:
        total: Runs of the plan.
        done: Runs with a complete result.
        failed: Runs whose last attempt failed.
        running: Runs that a live process trains.
        supervised: Whether the study's supervisor is alive.
        control: Requests that hold.

    Returns:
        incomplete where runs are left that nothing trains, and none of them failed.
    """
    if done == total:
        return "done"
    if supervised or running:
        if control.cancelled:
            return "stopping"
        return "paused" if control.paused else "running"
    if control.cancelled:
        return "cancelled"
    return "failed" if failed else "incomplete"
