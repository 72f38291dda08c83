"""Measures what a user's own program leaves beside logits: classes alone, and numbers by name.

Shapes: R replicas, N examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from engine.metrics.estimates import Measured, Resampling, measure_nothing, measure_some
from engine.metrics.logits import Logits
from engine.metrics.outputs import IMAGE_FORMULAS, ImageOutputs
from engine.metrics.replicas import Replica, digest_all
from engine.metrics.spread import (
    FEWEST,
    bootstrap_sd_error,
    mean_interval,
    mean_of,
    sd_interval,
    standard_deviation,
)
from engine.plan.records import PlannedArm
from engine.study.metrics_record import ArmMeasures, Score
from engine.study.paths import StudyPaths
from engine.study.run_records import ResultRecord
from engine.study.run_state import find_result
from engine.study.selftest_record import SelfTestRecord, describe_floor
from engine.study.study_plan import StudyPlan

CLASS_KEYS = ("accuracy_mean", "accuracy_sd", "disagreement")
"""The measures that need no more than the predicted classes."""

CLASSES_ONLY = "only predicted classes are known: accuracy and disagreement alone can be measured"
SCORES_ONLY = "only numbers by name are known: no disagreement, no ensembles"

REMARKS = {
    "probabilities": "predictions are probabilities, kept as their logarithms: their rank correlation is not that "
    "of logits, and an ensemble averages logarithms",
}

SEED = 1


def measure_classes(chosen: np.ndarray, labels: np.ndarray, *, bootstrap: int) -> Measured:
    """Measure networks of which only the predicted class is known.

    Args:
        chosen: int (R, N).
        labels: True class, int (N,).
        bootstrap: Resamples behind the errors of SDs.
    """
    replicas, examples = chosen.shape
    classes = int(max(chosen.max(), labels.max())) + 1

    def read(replica: int, rows: slice) -> np.ndarray:
        part = np.zeros((len(chosen[replica, rows]), classes), dtype=np.float32)
        part[np.arange(len(part)), chosen[replica, rows]] = 1.0
        return part

    outputs = ImageOutputs(Logits((replicas, examples, classes), np.dtype(np.float32), read), labels.astype(np.int64))
    return measure_some(
        IMAGE_FORMULAS, outputs, replicas, Resampling(bootstrap, SEED), keys=CLASS_KEYS, reason=CLASSES_ONLY
    )


def measure_scores(results: Iterable[ResultRecord | None], *, bootstrap: int) -> dict[str, Score]:
    """Return mean and SD of every number that replicas have left, by name."""
    values: dict[str, list[float]] = {}
    for result in results:
        for name, value in ({} if result is None else result.scores).items():
            values.setdefault(name, []).append(value)
    return {name: measure_score(found, bootstrap=bootstrap) for name, found in sorted(values.items())}


def measure_score(values: Sequence[float], *, bootstrap: int) -> Score:
    """Return mean and SD of one number over one or more replicas."""
    figures = np.array(values, dtype=np.float64)
    several, many = len(figures) > 1, len(figures) >= FEWEST
    return Score(
        n=len(figures),
        mean=float(mean_of(figures)),
        mean_ci=_as_pair(mean_interval(figures)) if many else None,
        sd=float(standard_deviation(figures)) if several else None,
        sd_error=bootstrap_sd_error(figures, resamples=bootstrap, seed=SEED) if several and bootstrap else None,
        sd_ci=_as_pair(sd_interval(figures)) if many else None,
    )


def _as_pair(interval: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    low, high = interval
    return float(low), float(high)


def measure_scored_arm(paths: StudyPaths, plan: StudyPlan, arm: PlannedArm) -> ArmMeasures:
    """Measure an arm whose runs leave numbers by name and no predictions."""
    found = {run: find_result(paths.run(run)) for run in arm.runs}
    results = [one.result for one in found.values() if one.result is not None]
    usable = [result for result in results if not result.diverged]
    damaged = [
        f"replica {number}, run {run}: {found[run].damage}"
        for number, run in enumerate(arm.runs, start=1)
        if found[run].damage is not None
    ]
    nothing = measure_nothing("images", len(usable), SCORES_ONLY if results else "no replica has finished")
    digests = {result.predictions_sha256 for result in usable}
    reasons = nothing.reasons | ({"damaged": "; ".join(damaged)} if damaged else {})
    diverged = sum(result.diverged for result in results)
    if diverged:
        reasons["diverged"] = f"{diverged} of the replicas left numbers that are not finite, and are left out"
    return ArmMeasures(
        name=arm.name,
        vary=arm.vary,
        text=False,
        planned=len(arm.runs),
        ensemble_size=1,
        finished=len(usable),
        diverged=diverged,
        damaged=len(damaged),
        n=len(usable),
        estimates=nothing.estimates,
        diagnostics={},
        identical_weights=None,
        bootstrap=plan.metrics.bootstrap,
        runs_used=tuple(result.run for result in usable),
        files_sha256=digest_all([Replica(r.run, sha256=r.predictions_sha256) for r in usable]),
        reasons=reasons,
        kind=plan.kind,
        identical_predictions=len(digests) == 1 if len(usable) > 1 else None,
        scores=measure_scores(usable, bootstrap=plan.metrics.bootstrap),
    )


def find_remarks(plan: StudyPlan, selftest: SelfTestRecord | None) -> dict[str, str]:
    """Return what a reader has to know of all rows: their kind, and the floor of a program that does not repeat."""
    remarks = {"kind": REMARKS[plan.kind]} if plan.kind in REMARKS else {}
    return remarks if selftest is None or selftest.repeats else remarks | {"floor": describe_floor(selftest)}
