"""The row of a grid of runs claims nothing that independent replicas alone allow."""

from __future__ import annotations

import numpy as np
from msgspec import structs

from engine.metrics.grid_rows import WHY, leave_out_errors
from engine.metrics.spread import mean_interval
from engine.study.estimate import Estimate
from tests.helpers.studies import make_measures

SCORE = {"n": 12, "mean": 0.5, "mean_ci": [0.4, 0.6], "sd": 0.05, "sd_error": 0.01, "sd_ci": [0.03, 0.2]}


def test_intervals_over_replicas_do_not_hold_of_a_grid() -> None:
    """The reason for all this: 4 seeds that make a difference, 3 that make none, 12 figures."""
    rng = np.random.default_rng(1)
    figures = np.repeat(rng.normal(size=(2000, 4)), 3, axis=1)
    held = [low <= 0 <= high for low, high in map(mean_interval, figures)]
    assert np.mean(held) < 0.8


def test_figures_stay_and_what_does_not_hold_says_why() -> None:
    arm = make_measures(name="Grid", n=12, scores={"f1": SCORE}, vary=["init", "shuffle"])
    bare = leave_out_errors(arm)
    assert {key: found.value for key, found in bare.estimates.items()} == {
        key: found.value for key, found in arm.estimates.items()
    }
    for found in (*bare.estimates.values(), *bare.diagnostics.values()):
        assert found == Estimate(found.value)
    assert (bare.scores["f1"].mean, bare.scores["f1"].sd, bare.scores["f1"].mean_ci) == (0.5, 0.05, None)
    assert bare.reasons["accuracy_mean_ci"] == bare.reasons["accuracy_sd_error"] == WHY


def test_other_reasons_stay() -> None:
    arm = structs.replace(make_measures(name="Grid"), reasons={"correlation_ci": "undefined"})
    assert leave_out_errors(arm).reasons["correlation_ci"] == "undefined"


def test_leaving_out_twice_changes_nothing_more() -> None:
    bare = leave_out_errors(make_measures(name="Grid"))
    assert leave_out_errors(bare) == bare
