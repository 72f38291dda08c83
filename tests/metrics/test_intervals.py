"""The jackknife over replicas: its formula, and whether its intervals cover what they say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.metrics.intervals import mean_over_pairs, pairs_interval
from engine.metrics.pairs import disagreement_matrix


def symmetric(replicas: int, seed: int = 0) -> np.ndarray:
    half = np.random.default_rng(seed).normal(size=(replicas, replicas))
    return half + half.T


@given(st.integers(3, 12), st.integers(0, 99))
def test_interval_equals_leaving_out_each_replica_in_turn(replicas: int, seed: int) -> None:
    matrix = symmetric(replicas, seed)
    without = [
        np.mean([matrix[i, j] for i, j in itertools.combinations([r for r in range(replicas) if r != left], 2)])
        for left in range(replicas)
    ]
    error = np.sqrt((replicas - 1) / replicas * np.sum((np.array(without) - np.mean(without)) ** 2))
    centre, half = mean_over_pairs(matrix), stats.t.ppf(0.975, replicas - 1) * error
    assert pairs_interval(matrix) == pytest.approx((centre - half, centre + half), abs=1e-9)


@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_equal_entries_give_no_width(bounds: tuple[float, float] | None) -> None:
    matrix = np.full((7, 7), 0.1 + 0.2)
    assert mean_over_pairs(matrix) == 0.1 + 0.2
    assert pairs_interval(matrix, bounds) == (0.1 + 0.2, 0.1 + 0.2)


@pytest.mark.parametrize(("value", "bounds"), [(0.0, (0.0, 100.0)), (100.0, (0.0, 100.0)), (1.0, (-1.0, 1.0))])
def test_interval_at_a_bound_is_the_bound(value: float, bounds: tuple[float, float]) -> None:
    assert pairs_interval(np.full((4, 4), value), bounds) == (value, value)


@given(st.integers(3, 12), st.integers(0, 99), st.floats(0.001, 3.0))
def test_interval_of_correlations_is_fishers_z(replicas: int, seed: int, size: float) -> None:
    matrix = np.tanh(size * symmetric(replicas, seed) + 1)
    centre = mean_over_pairs(matrix)
    half = (pairs_interval(matrix)[1] - centre) / (1 - centre**2)
    expected = np.tanh(np.arctanh(centre) + np.array([-half, half]))
    low, high = pairs_interval(matrix, (-1.0, 1.0))
    assert (low, high) == pytest.approx(expected, abs=1e-9)
    assert -1 <= low <= centre <= high <= 1


def test_interval_stays_within_bounds_where_the_jackknifes_own_does_not() -> None:
    """Two replicas that agree, and a third that does not: the jackknife alone goes from −10.6 to 19.9 %."""
    matrix = np.array([[0, 0, 7], [0, 0, 7], [7, 7, 0.0]])
    plain, bounded = pairs_interval(matrix), pairs_interval(matrix, (0.0, 100.0))
    assert plain[0] < 0
    assert 0 < bounded[0] < 14 / 3 < bounded[1] < 100


def test_many_studies_at_once_are_each_as_alone() -> None:
    matrices = np.array([symmetric(5, seed) for seed in range(6)]) + 10
    low, high = pairs_interval(matrices, (0.0, 30.0))
    each = np.array([pairs_interval(matrix, (0.0, 30.0)) for matrix in matrices])
    assert np.array_equal(np.stack([low, high], axis=1), each)


@pytest.mark.parametrize("replicas", [0, 1])
def test_no_pair_no_mean(replicas: int) -> None:
    with pytest.raises(ValueError, match="make no pair"):
        mean_over_pairs(np.zeros((replicas, replicas)))


def test_two_replicas_have_no_interval() -> None:
    with pytest.raises(ValueError, match="leaves no pair"):
        pairs_interval(np.zeros((2, 2)))


@pytest.mark.slow
def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    """1,000 studies of R = 20: predictions of a replica are right with a chance of its own quality.

    The truth, the chance that two replicas disagree, is exact: replicas are independent given the examples, and
    a replica's errors are a mixture over its quality.
    """
    rng = np.random.default_rng(7)
    examples, replicas, studies = 200, 20, 1000
    easiness = rng.beta(4, 1, size=examples)
    qualities = np.array([-0.15, 0.0, 0.1])
    right = np.clip(easiness[:, None] + qualities, 0, 1)
    chance = right.mean(axis=1)
    truth = 100.0 * np.mean(2 * chance * (1 - chance))
    covered = 0
    naive = 0
    for _ in range(studies):
        of_replica = right[:, rng.integers(3, size=replicas)].T
        predictions = (rng.random((replicas, examples)) < of_replica).astype(np.int64)
        matrix = disagreement_matrix(predictions, 2)
        low, high = pairs_interval(matrix)
        covered += low <= truth <= high
        pairs = matrix[np.triu_indices(replicas, 1)]
        half = 1.96 * pairs.std(ddof=1) / np.sqrt(len(pairs))
        naive += abs(pairs.mean() - truth) <= half
    assert 910 <= covered <= 970, covered
    assert naive < 700, "pairs taken as independent cover far less, which is what the jackknife is for"
