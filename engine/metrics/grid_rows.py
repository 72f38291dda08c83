"""Leaves out what does not hold of a grid's row: errors and intervals that take its runs for independent replicas."""

from __future__ import annotations

from msgspec import structs

from engine.study.estimate import Estimate
from engine.study.metrics_record import ArmMeasures

WHY = "runs of a grid share seeds, so no error or interval over them as replicas holds; those of its components do"


def leave_out_errors(arm: ArmMeasures) -> ArmMeasures:
    """Return the measures of an arm in which two sources are crossed without errors and intervals over replicas.

    With all variance in a source of 4 seeds, 12 runs are 4 replicas, and Student's t of 12 holds far too seldom.
    """
    fields = [
        name for measure in arm.measures for name in (measure.error_field, measure.interval_field) if name is not None
    ]
    return structs.replace(
        arm,
        estimates={key: Estimate(found.value) for key, found in arm.estimates.items()},
        diagnostics={key: Estimate(found.value) for key, found in arm.diagnostics.items()},
        scores={
            name: structs.replace(score, mean_ci=None, sd_error=None, sd_ci=None) for name, score in arm.scores.items()
        },
        reasons={**dict.fromkeys(fields, WHY), **arm.reasons},
    )
