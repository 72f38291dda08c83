"""Measures of arms as metrics.json would hold them, made of the fields that a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.catalog.measures import MEASURES, list_fields
from engine.study.curves_record import ArmCurves, SpreadCurve
from engine.study.metrics_record import ArmMeasures, gather_arm


def make_measures(**fields: Any) -> ArmMeasures:
    """Make an arm from fields of metrics.json; what is left out is as of an arm without anything remarkable."""
    n = fields.get("n", 0)
    plain = {
        "name": "Arm", "vary": ["init"], "text": False, "planned": n, "ensemble_size": 1, "finished": n, "diverged": 0,
        "damaged": 0, "n": n, "identical_weights": None, "bootstrap": 0, "runs_used": [], "files_sha256": None,
        "reasons": {},
    }  # fmt: skip
    text = fields.get("text", False)
    unknown = dict.fromkeys(list_fields(MEASURES["text" if text else "images"]))
    undiagnosed = dict.fromkeys(list_fields(MEASURES["diagnostics"]))
    return gather_arm(plain | unknown | fields | {"diagnostics": undiagnosed | fields.get("diagnostics", {})})


def make_spread(sd: Sequence[float | None], *, n: list[int] | None = None) -> SpreadCurve:
    """Make the spread of a figure by epoch; all but the SD and the counts are the SD again."""
    figures = tuple(sd)
    return SpreadCurve(
        n=tuple(n or [3] * len(sd)), mean=figures, sd=figures, low=figures, high=figures, min=figures, max=figures
    )


def make_curves(name: str, *, accuracy: SpreadCurve | None = None, **fields: Any) -> ArmCurves:
    """Make the curves of an arm, with an epoch for every value of the spread."""
    any_spread = accuracy or fields.get("test_cross_entropy")
    epochs = tuple(range(1, 1 + len(any_spread.n))) if any_spread is not None else ()
    return ArmCurves(
        **({"name": name, "runs": (), "epochs": epochs, "test_accuracy": accuracy, "first_epochs": None} | fields)
    )
