"""Compares the parts of a plan.json with each other: what is planned must be possible, whoever wrote the file.

Run ids become names of folders, epochs become lengths of lists: neither may be what a file from others makes of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from engine.plan.records import PlannedArm
from engine.recipe import MAX_BOOTSTRAP, MAX_EPOCHS

RUN_ID = re.compile(r"[0-9A-Za-z_-]{1,80}")
"""Names of runs; no path leads out of a folder with them."""


def check_runs(
    order: Sequence[str], epochs: Mapping[str, int], forks: Mapping[str, tuple[str, int]], reuses: Mapping[str, str]
) -> None:
    """Compare a plan's runs with what is said of each of them.

    Raises:
        ValueError: With what does not fit.
    """
    known = set(order)
    for run_id in (*order, *(prefix for prefix, _ in forks.values())):
        if RUN_ID.fullmatch(run_id) is None:
            raise ValueError(f"{run_id[:40]!r} is no id of a run")
    if len(known) != len(order):
        raise ValueError("a run is planned twice")
    if set(epochs) != known:
        raise ValueError("epochs are not those of the planned runs")
    if not (forks.keys() <= known and reuses.keys() <= known and known.issuperset(reuses.values())):
        raise ValueError("a run is named that is not planned")
    if not all(1 <= count <= MAX_EPOCHS for count in (*epochs.values(), *(epoch + 1 for _, epoch in forks.values()))):
        raise ValueError(f"a number of epochs is none from 1 to {MAX_EPOCHS}")


def check_arms(arms: Iterable[PlannedArm], order: Sequence[str]) -> None:
    """Compare a plan's arms with its runs.

    Raises:
        ValueError: With what does not fit.
    """
    known = set(order)
    names: set[str] = set()
    for arm in arms:
        name = repr(arm.name[:40])
        if arm.name in names:
            raise ValueError(f"two arms are named {name}")
        names.add(arm.name)
        if not known.issuperset(arm.runs):
            raise ValueError(f"arm {name} has a run that is not planned")
        if arm.group < 1:
            raise ValueError(f"arm {name} has ensembles of {arm.group}")
        levels = [count for _, count in arm.crossed]
        if levels and (len(levels) != 2 or min(levels) < 2 or math.prod(levels) != len(arm.runs)):
            raise ValueError(f"arm {name} crosses {levels} seeds in {len(arm.runs)} runs")


def check_bootstrap(resamples: int) -> None:
    """Refuse a number of resamples that no computer gets through.

    Raises:
        ValueError: If it is none that is allowed.
    """
    if not 0 <= resamples <= MAX_BOOTSTRAP:
        raise ValueError(f"metrics.bootstrap is {resamples}, and not from 0 to {MAX_BOOTSTRAP}")
