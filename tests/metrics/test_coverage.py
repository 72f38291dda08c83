"""Nominal 95 % intervals hold what they are intervals of, in simulations; tests/helpers/coverage.py has all of them.

With 4,000 trials the error of a rate is 0.7 percentage points (95 %), so that limits of 93 and 97 % are widened by it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.metrics.spread import bootstrap_sd_error
from tests.helpers.coverage import (
    FEW,
    bootstrap_errors,
    cover_component,
    cover_correlation,
    cover_disagreement,
    cover_disagreement_difference,
    cover_mean,
    cover_mean_difference,
    cover_sd,
    cover_sd_ratio,
    cover_true_sd,
    find_ratio,
    mark_disagreements,
    mark_sds,
)
from tests.helpers.simulated_replicas import HARD_TO_TELL, HELD, USUAL, WORLDS, Correlated

LEAST, MOST = 92.3, 97.7
FEW_TO_MANY = (3, 5, 10, 20)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_worlds_have_the_mean_and_the_sd_that_they_say(world: str) -> None:
    found = WORLDS[world](np.random.default_rng(3), 20_000, 4)
    assert found.values.mean() == pytest.approx(found.mean, abs=0.02 * found.sd)
    assert found.values.std() == pytest.approx(found.sd, rel=0.05)


def test_classifiers_disagree_as_they_say() -> None:
    matrices = USUAL.draw_disagreements(np.random.default_rng(4), 4000, 2)
    assert matrices[:, 0, 1].mean() == pytest.approx(USUAL.disagreement, rel=0.01)


def test_simpler_intervals_have_the_errors_of_the_published_code() -> None:
    values = np.random.default_rng(5).normal(size=(3, 8))
    expected = [bootstrap_sd_error(study, resamples=20_000, seed=1) for study in values]
    assert bootstrap_errors(values, np.random.default_rng(6)) == pytest.approx(expected, rel=0.2)


def test_equal_seeds_give_equal_rates() -> None:
    assert cover_sd("normal", 5, 400) == cover_sd("normal", 5, 400)


@pytest.mark.parametrize("replicas", [5, 20])
def test_intervals_of_sds_and_means_cover(replicas: int) -> None:
    for world in ("normal", "heavy tails", "skewed"):
        assert 90.5 <= cover_sd(world, replicas, 1000)[1] <= 98.7, world
        assert 90.5 <= cover_mean(world, replicas, 1000)[1] <= 98.7, world


@pytest.mark.slow
@pytest.mark.parametrize("world", HELD)
@pytest.mark.parametrize("replicas", FEW_TO_MANY)
def test_sds_and_means_are_covered(world: str, replicas: int) -> None:
    simple, ours = cover_sd(world, replicas, 4000)
    assert LEAST <= ours <= MOST
    assert simple < 92, "1.96 bootstrap errors around the SD are no 95 %"
    assert LEAST <= cover_mean(world, replicas, 4000)[1] <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("replicas", FEW_TO_MANY)
def test_measures_of_pairs_are_covered(replicas: int) -> None:
    for world in (FEW, USUAL):
        assert LEAST <= cover_disagreement(world, replicas, 4000)[1] <= MOST
    for noise in (0.05, 0.3, 1.0):
        assert LEAST - 1 <= cover_correlation(Correlated(noise), replicas, 4000)[1] <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [3, 5, 10])
def test_true_sd_and_components_are_covered(replicas: int) -> None:
    for world in (HARD_TO_TELL, USUAL):
        assert LEAST <= cover_true_sd(world, replicas, 2000, few=10)[1] <= 98.2
    for truth in ((0.3, 0.3, 0.4), (0.0, 0.0, 1.0), (0.9, 0.05, 0.05)):
        for part in (0, 2):
            assert LEAST <= cover_component(truth, replicas, 2000, part=part)[1] <= 98.5


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(3, 3), (5, 5), (10, 10), (20, 20), (5, 100)])
def test_comparisons_of_equal_arms_are_covered(sizes: tuple[int, int]) -> None:
    for world in ("normal", "hierarchical"):
        assert LEAST <= cover_sd_ratio(world, sizes, 2000)[1] <= 98.9
        assert LEAST <= cover_mean_difference(world, sizes, 2000)[1] <= 98.2
    trials = 500 if max(sizes) > 20 else 2000  # each of 100 replicas has 100 others
    assert LEAST <= cover_disagreement_difference(USUAL, sizes, trials)[1] <= 99.5


def test_ratio_called_detectable_is_found_by_four_f_tests_in_five() -> None:
    by_f_test, compared = find_ratio(50, 1000)
    assert by_f_test == pytest.approx(80, abs=4)
    assert compared < by_f_test


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mark", "world"), [(mark_sds, "normal"), (mark_sds, "hierarchical"), (mark_disagreements, USUAL)]
)
@pytest.mark.parametrize("sizes", [(5, 5), (10, 10), (10, 100), (100, 100)])
def test_equal_studies_are_marked_as_seldom_as_is_said(
    mark: Callable[..., tuple[float, float]], world: object, sizes: tuple[int, int]
) -> None:
    assert 1.0 <= mark(world, sizes, 4000 if min(sizes) <= 20 else 2000)[1] <= 7.5
