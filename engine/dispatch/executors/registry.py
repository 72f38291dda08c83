"""Finds the executor of a name; the names themselves are in `engine/catalog/executors.py`."""

from __future__ import annotations

from collections.abc import Callable

from engine.dispatch.executors.base import Executor, Wanted
from engine.dispatch.executors.local import open_local
from engine.dispatch.executors.slurm import open_slurm

OPENERS: dict[str, Callable[[Wanted], Executor]] = {
    "local": open_local,
    "slurm": open_slurm,
}
"""Name → what makes the executor of a protocol or of a study."""


def open_executor(wanted: Wanted) -> Executor:
    """Make the executor that a protocol or a study names; nothing is started by that.

    Raises:
        NondetError: If a device that is asked for is not there.
    """
    return OPENERS[wanted.executor](wanted)
