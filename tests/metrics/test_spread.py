"""Intervals of means and SDs against scipy's distributions, and against the formulas of their source written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from engine.metrics.spread import (
    KURTOSIS_WEIGHT,
    LEAST_KURTOSIS,
    count_freedom,
    count_joint_freedom,
    mean_interval,
    sd_interval,
    variance_ends,
)

FIGURES = hnp.arrays(float, st.integers(4, 30), elements=st.integers(-1000, 1000), fill=st.nothing())


def draw(replicas: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(90, 0.3, size=replicas)


@given(st.integers(3, 40), st.integers(0, 99))
def test_mean_has_students_interval(replicas: int, seed: int) -> None:
    values = draw(replicas, seed)
    expected = stats.t.interval(0.95, replicas - 1, values.mean(), stats.sem(values))
    assert mean_interval(values) == pytest.approx(expected, abs=1e-10)


@given(st.floats(0.5, 200), st.floats(1e-9, 1e9))
def test_ends_of_a_variance_are_those_of_chi_square(freedom: float, variance: float) -> None:
    low, high = stats.chi2.ppf([0.025, 0.975], freedom)
    assert variance_ends(np.array(variance), freedom) == pytest.approx(
        (freedom * variance / high, freedom * variance / low), rel=1e-8
    )


@given(FIGURES)
def test_degrees_of_freedom_are_those_of_the_kurtosis(values: np.ndarray) -> None:
    replicas = len(values)
    if np.ptp(values) == 0:
        assert sd_interval(values) == (0.0, 0.0)
        return
    unbiased = stats.kurtosis(values, bias=False)
    shown = KURTOSIS_WEIGHT * (replicas - 3) / (replicas - 1) * unbiased
    excess = max(LEAST_KURTOSIS, shown)
    # The variance of s²/σ² is 2/(R−1) + excess/R, and that of a chi-square over its ν is 2/ν.
    assert 2 / count_freedom(values) == pytest.approx(2 / (replicas - 1) + excess / replicas)


@given(st.integers(0, 99))
def test_three_values_show_nothing_of_the_tails(seed: int) -> None:
    expected = 2 / (1 + LEAST_KURTOSIS / 2 * 2 / 3)
    assert count_freedom(draw(3, seed)) == pytest.approx(expected)


def test_interval_of_an_sd_holds_the_sd_with_either_denominator() -> None:
    for seed in range(50):
        values = draw(3 + seed % 20, seed)
        low, high = sd_interval(values)
        assert low < values.std() < values.std(ddof=1) < high


@given(st.integers(3, 20), st.integers(0, 99), st.floats(0.001, 1000), st.floats(-100, 100))
def test_interval_moves_with_scale_and_not_with_place(replicas: int, seed: int, scale: float, place: float) -> None:
    values = np.random.default_rng(seed).normal(size=replicas)
    ends = np.array(sd_interval(values))
    assert sd_interval(scale * values + place) == pytest.approx(scale * ends, rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1 + 0.2, 91.3, 1e300])
def test_equal_values_have_intervals_of_no_width(value: float) -> None:
    values = np.full(7, value)
    assert sd_interval(values) == (0.0, 0.0)
    assert mean_interval(values) == (value, value)


def test_many_studies_at_once_are_each_as_alone() -> None:
    values = np.random.default_rng(0).normal(size=(6, 9))
    for interval in (mean_interval, sd_interval):
        each = np.array([interval(study) for study in values])
        assert np.array_equal(np.stack(interval(values), axis=1), each)


@pytest.mark.parametrize("replicas", [3, 5, 20])
def test_joint_freedom_of_one_figure_is_that_of_its_sd(replicas: int) -> None:
    values = np.random.default_rng(replicas).gamma(2, size=(replicas, 1))
    assert count_joint_freedom(values) == pytest.approx(float(count_freedom(values[:, 0])), rel=1e-9)


def test_joint_freedom_grows_with_figures_that_move_independently() -> None:
    rng = np.random.default_rng(8)
    figures = rng.normal(size=(4000, 10))
    assert count_joint_freedom(figures) == pytest.approx(10 * 3999, rel=0.2)
    alike = np.repeat(figures[:, :1], 10, axis=1)
    assert count_joint_freedom(alike) == pytest.approx(float(count_freedom(figures[:, 0])), rel=1e-3)
    assert count_joint_freedom(np.ones((5, 10))) == 4
