"""Intervals of what replicas disagree about hold the truth, in simulations; docs/measures.md has the whole tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.metrics.disputes import measure_class_sd, measure_error_gap, measure_wrong_against_wrong
from tests.helpers.simulated_votes import (
    DRIFTING,
    SURE,
    UNSURE,
    Voters,
    cover_class_sd,
    cover_gap,
    cover_wrong,
    take_estimate,
    take_matrix,
)

TRIALS = 400
LEAST, MOST = 91.0, 98.5
"""93 and 97 %, widened by the error of so many trials."""


@pytest.mark.slow
@pytest.mark.parametrize("voters", [SURE, UNSURE, DRIFTING])
def test_voters_disagree_as_they_say(voters: Voters) -> None:
    studies = list(voters.draw(np.random.default_rng(1), 300, 2))
    wrong = [take_matrix(measure_wrong_against_wrong, outputs)[0, 1] for outputs in studies]
    gaps = [take_matrix(measure_error_gap, outputs)[0, 1] for outputs in studies]
    assert np.mean(wrong) == pytest.approx(voters.wrong_against_wrong, rel=0.03)
    assert np.mean(gaps) == pytest.approx(voters.error_gap, abs=4 * np.std(gaps) / len(gaps) ** 0.5)


@pytest.mark.parametrize("voters", [SURE, UNSURE, DRIFTING])
def test_voters_spread_within_a_class_as_they_say(voters: Voters) -> None:
    studies = voters.draw(np.random.default_rng(2), 40, 10)
    squares = [take_estimate(measure_class_sd, outputs)[0] ** 2 for outputs in studies]
    assert np.sqrt(np.mean(squares)) == pytest.approx(voters.class_sd, rel=0.05)


@pytest.mark.slow
def test_spread_within_a_class_is_held_where_classes_move_as_one() -> None:
    simple, ours = cover_class_sd(DRIFTING, 8, TRIALS)
    assert ours >= LEAST
    assert simple < 70


@pytest.mark.slow
@pytest.mark.parametrize("voters", [SURE, UNSURE])
@pytest.mark.parametrize(("cover", "most"), [(cover_wrong, MOST), (cover_gap, MOST), (cover_class_sd, 100.0)])
def test_intervals_of_disputes_cover(
    cover: Callable[[Voters, int, int], tuple[float, float]], most: float, voters: Voters
) -> None:
    simple, ours = cover(voters, 5, TRIALS)
    assert LEAST <= ours <= most
    assert simple < LEAST
