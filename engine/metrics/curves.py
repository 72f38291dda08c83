"""Instability over time: how far an arm's replicas lie apart at each epoch, and one moved bit's first epochs.

Source: paper, section 4.1 and figure 3 (SD over replicas per epoch, and the middle 95 % of their figures).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engine.metrics.conditioning import find_twin
from engine.metrics.spread import standard_deviation
from engine.plan.records import PlannedArm
from engine.study.curves_record import ArmCurves, FirstEpoch, SpreadCurve, StudyCurves
from engine.study.epochs import EpochRecord, read_epochs
from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.run_records import ResultRecord
from engine.study.study_plan import StudyPlan

MIDDLE = (2.5, 97.5)
"""Percentiles between which the middle 95 % lie."""

FIRST_EPOCHS = 3

Epochs = tuple[EpochRecord, ...]


def measure_curves(paths: StudyPaths, plan: StudyPlan, previous: StudyCurves | None) -> StudyCurves:
    """Return the content of curves.json.

    Args:
        paths: The study.
        plan: What was planned in it.
        previous: An earlier content; arms with the same finished runs are taken from it.
    """
    earlier = {arm.name: arm for arm in previous.arms} if previous is not None else {}
    finished = _find_finished(paths, plan)
    records: dict[str, Epochs] = {}
    arms: list[ArmCurves] = []
    for arm in plan.arms:
        if arm.group > 1:
            continue
        runs = tuple(run for run in arm.runs if run in finished)
        ends = {run: epoch for run in runs if (epoch := finished[run].diverged_epoch) is not None}
        before = earlier.get(arm.name)
        if before is not None and before.runs == runs and before.diverged == tuple(ends.values()):
            arms.append(before)
            continue
        for run in runs:
            if run not in records:
                records[run] = read_run(paths, run, finished[run])
        first = compare_first_epochs(paths, arm, runs, finished)
        arms.append(spread_by_epoch(arm.name, {run: records[run] for run in runs}, first, diverged=ends))
    return StudyCurves(study=plan.study, arms=tuple(arms))


def _find_finished(paths: StudyPaths, plan: StudyPlan) -> dict[str, ResultRecord]:
    """Return the results of all runs that have one."""
    runs = dict.fromkeys(run for arm in plan.arms for run in arm.runs)
    results = {run: find_record(paths.run(run).result, ResultRecord) for run in runs}
    return {run: result for run, result in results.items() if result is not None}


def read_run(paths: StudyPaths, run: str, result: ResultRecord) -> Epochs:
    """Read the epochs of the attempt that gave the run's result."""
    return read_epochs(paths.run(run).attempt(result.attempt).epochs).records


def spread_by_epoch(
    name: str,
    runs: Mapping[str, Epochs],
    first_epochs: tuple[FirstEpoch, ...] | None = None,
    *,
    diverged: Mapping[str, int] | None = None,
) -> ArmCurves:
    """Return the spread of each figure at each epoch over an arm's runs.

    Replicas whose figure is not finite at an epoch, or that have not reached it, are not counted there. Neither are
    those that diverge in it: what such a network still answers says nothing of how far trained ones lie apart.

    Args:
        name: The arm's.
        runs: The epochs of each run.
        first_epochs: See `compare_first_epochs`.
        diverged: Run → the epoch in which it diverged.
    """
    ends = diverged or {}
    by_epoch: dict[int, list[EpochRecord]] = {}
    for run, records in runs.items():
        for record in records:
            counted = by_epoch.setdefault(record.epoch, [])
            if record.epoch < ends.get(run, math.inf):
                counted.append(record)
    epochs = sorted(by_epoch)
    ordered = [by_epoch[epoch] for epoch in epochs]
    return ArmCurves(
        name=name,
        runs=tuple(runs),
        epochs=tuple(epochs),
        test_accuracy=_spread([[record.test_accuracy for record in records] for records in ordered]),
        test_cross_entropy=_spread([[record.test_cross_entropy for record in records] for records in ordered]),
        test_perplexity=_spread([[record.test_perplexity for record in records] for records in ordered]),
        reported=_spread([[record.reported for record in records] for records in ordered]),
        first_epochs=first_epochs,
        diverged=tuple(ends.values()),
    )


def _spread(figures: Sequence[Sequence[float | None]]) -> SpreadCurve | None:
    """Return the spread of one figure, given by epoch and replica; None where there is not one finite figure."""
    values = [[v for v in row if v is not None and math.isfinite(v)] for row in figures]
    if not any(values):
        return None
    rows = [_summarise(row) for row in values]
    return SpreadCurve(
        n=tuple(row.n for row in rows),
        mean=tuple(row.mean for row in rows),
        sd=tuple(row.sd for row in rows),
        low=tuple(row.low for row in rows),
        high=tuple(row.high for row in rows),
        min=tuple(row.least for row in rows),
        max=tuple(row.most for row in rows),
    )


class _Summary(NamedTuple):
    """One figure at one epoch."""

    n: int = 0
    mean: float | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    least: float | None = None
    most: float | None = None


def _summarise(values: list[float]) -> _Summary:
    if not values:
        return _Summary()
    array = np.array(values)
    low, high = np.percentile(array, MIDDLE)
    return _Summary(
        len(values),
        float(array.mean()),
        standard_deviation(array),
        float(low),
        float(high),
        float(array.min()),
        float(array.max()),
    )


def compare_first_epochs(
    paths: StudyPaths, arm: PlannedArm, runs: Sequence[str], finished: Mapping[str, ResultRecord]
) -> tuple[FirstEpoch, ...] | None:
    """Return the test accuracies of the first epochs with one bit moved and without; None for other arms.

    A bit that is moved later leaves these epochs as they are.

    Source: paper, section 4.1, whose example goes apart by 10 percentage points within three epochs.
    """
    twin = None if arm.onset else find_twin(paths, arm, finished)
    if twin is None:
        return None
    plain = read_run(paths, twin, finished[twin])[:FIRST_EPOCHS]
    moved = [read_run(paths, run, finished[run]) for run in runs]
    return tuple(
        FirstEpoch(
            epoch=record.epoch,
            unmoved=record.test_accuracy,
            moved=tuple(
                accuracy for run in moved if len(run) > number and (accuracy := run[number].test_accuracy) is not None
            ),
        )
        for number, record in enumerate(plain)
        if record.test_accuracy is not None
    )
