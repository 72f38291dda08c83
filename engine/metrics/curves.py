"""Instability over time: how far an arm's replicas lie apart at each epoch, and one moved bit's first epochs.

Source: paper, section 4.1 and figure 3 (SD over replicas per epoch, and the middle 95 % of their figures).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.metrics.conditioning import find_twin
from engine.metrics.spread import standard_deviation
from engine.study.epochs import EpochRecord, read_epochs
from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.run_records import ResultRecord

FORMAT = 1
MIDDLE = (2.5, 97.5)
"""Percentiles between which the middle 95 % lie."""

FIRST_EPOCHS = 3
MEASURES = ("test_accuracy", "test_cross_entropy", "test_perplexity")


def measure_curves(paths: StudyPaths, plan: dict[str, Any], previous: dict[str, Any] | None) -> dict[str, Any]:
    """The content of curves.json.

    Args:
        paths: The study.
        plan: Its plan.json.
        previous: An earlier content; arms with the same finished runs are taken from it.
    """
    known = (previous or {}).get("arms", []) if (previous or {}).get("v") == FORMAT else []
    earlier = {arm["name"]: arm for arm in known}
    finished: dict[str, ResultRecord] = {}
    records: dict[str, tuple[EpochRecord, ...]] = {}
    for run in dict.fromkeys(run for arm in plan["arms"] for run in arm["runs"]):
        result = find_record(paths.run(run).result, ResultRecord)
        if result is not None:
            finished[run] = result
    arms = []
    for arm in plan["arms"]:
        if arm.get("group", 1) > 1:
            continue
        runs = [run for run in arm["runs"] if run in finished]
        before = earlier.get(arm["name"])
        if before is not None and before["runs"] == runs:
            arms.append(before)
            continue
        for run in runs:
            if run not in records:
                records[run] = read_run(paths, run, finished[run])
        entry = {"name": arm["name"], "runs": runs} | spread_by_epoch([records[run] for run in runs])
        arms.append(entry | {"first_epochs": compare_first_epochs(paths, arm, runs, finished)})
    return {"v": FORMAT, "study": plan["study"], "arms": arms}


def read_run(paths: StudyPaths, run: str, result: ResultRecord) -> tuple[EpochRecord, ...]:
    """The epochs of the attempt that gave the run's result."""
    return read_epochs(paths.run(run).attempt(result.attempt).epochs).records


def spread_by_epoch(runs: Sequence[tuple[EpochRecord, ...]]) -> dict[str, Any]:
    """Per measure and epoch: n, mean, SD (ddof 0), ends of the middle 95 %, minimum, maximum.

    Replicas whose figure is not finite at an epoch, or that have not reached it, are not counted there.

    Returns:
        {"epochs": […], "<measure>": {"n": […], "mean": […], …}}; null where no replica counts.
    """
    by_epoch: dict[int, list[EpochRecord]] = {}
    for run in runs:
        for record in run:
            by_epoch.setdefault(record.epoch, []).append(record)
    epochs = sorted(by_epoch)
    content: dict[str, Any] = {"epochs": epochs}
    for measure in MEASURES:
        found = [[getattr(record, measure) for record in by_epoch[epoch]] for epoch in epochs]
        values = [[v for v in row if v is not None and math.isfinite(v)] for row in found]
        if any(values):
            rows = [_summarise(row) for row in values]
            content[measure] = {key: [row[key] for row in rows] for key in rows[0]}
    return content


def _summarise(values: list[float]) -> dict[str, float | int | None]:
    if not values:
        return {"n": 0, "mean": None, "sd": None, "low": None, "high": None, "min": None, "max": None}
    array = np.array(values)
    low, high = np.percentile(array, MIDDLE)
    return {
        "n": len(values),
        "mean": float(array.mean()),
        "sd": standard_deviation(array),
        "low": float(low),
        "high": float(high),
        "min": float(array.min()),
        "max": float(array.max()),
    }


def compare_first_epochs(
    paths: StudyPaths, arm: dict[str, Any], runs: list[str], finished: dict[str, ResultRecord]
) -> list[dict[str, Any]] | None:
    """Test accuracies of the first epochs with one bit moved and without, percent; None for other arms.

    Source: paper, section 4.1, whose example goes apart by 10 percentage points within three epochs.
    """
    twin = find_twin(paths, arm, finished)
    if twin is None:
        return None
    plain = read_run(paths, twin, finished[twin])[:FIRST_EPOCHS]
    moved = [read_run(paths, run, finished[run]) for run in runs]
    return [
        {
            "epoch": record.epoch,
            "unmoved": record.test_accuracy,
            "moved": [run[number].test_accuracy for run in moved if len(run) > number],
        }
        for number, record in enumerate(plain)
    ]
