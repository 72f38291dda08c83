"""Keeps a worker whose time is limited from starting a run that could not end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from engine.recipe import Recipe
from engine.study.paths import StudyPaths
from engine.study.run_records import read_recipe
from engine.study.run_state import read_result
from engine.study.study_plan import StudyPlan

RESERVE = 1.2
"""How much more time than the longest run so far has to be left."""

FRESH_SHARE = 0.1
"""Share of the time after which a worker no longer counts as fresh: a fresh one may start whatever there is, or a run
that takes longer than any job would never be tried."""

SAMPLE = 16
"""Finished runs that are looked at to know how long one takes."""

CHECKPOINTS = 2.0
"""Intervals between checkpoints for which a run that can go on elsewhere is worth starting."""


@dataclass(frozen=True)
class TimeLeft:
    """Says when a worker has to end; never where nobody limits it."""

    began: float
    limit_s: float | None

    @classmethod
    def begin(cls, limit_s: float | None) -> TimeLeft:
        """Return the time that is left from now on."""
        return cls(time.monotonic(), limit_s)

    def choose(self, paths: StudyPaths, plan: StudyPlan) -> Sequence[str] | None:
        """Return the runs that may still be started; None for all of them.

        A run that another worker can go on with from a checkpoint may be cut; one with free kernels may not.
        """
        if self.limit_s is None:
            return None
        used_s = time.monotonic() - self.began
        left_s = self.limit_s - used_s
        if used_s <= FRESH_SHARE * self.limit_s:
            return None
        needed_s = RESERVE * find_longest_s(paths, plan)
        if left_s >= needed_s:
            return None
        if left_s < CHECKPOINTS * plan.dispatch.checkpoint_s:
            return ()
        return [run for run in plan.order if may_be_cut(read_recipe(paths.run(run), run))]


def find_longest_s(paths: StudyPaths, plan: StudyPlan) -> float:
    """Return the seconds of the longest of some finished runs; 0 where there is none."""
    seconds: list[float] = []
    for run_id in plan.order:
        result = read_result(paths.run(run_id))
        if result is not None:
            seconds.append(result.seconds)
        if len(seconds) == SAMPLE:
            break
    return max(seconds, default=0.0)


def may_be_cut(recipe: Recipe) -> bool:
    """Tell whether a run can go on from its checkpoint in another process, to the same bits."""
    return recipe.lowlevel != "kernels" and not (recipe.bit is not None and recipe.onset is not None)
