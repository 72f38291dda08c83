"""Differences and ratios of two arms against scipy's tests and quantiles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.metrics.spread import mean_interval
from engine.study.estimate import Estimate
from tests.helpers.measures import make_measures
from tui.text.answers.listing import list_answers
from tui.text.answers.sentences import Found
from tui.text.differences import Side, differs_from_published, divide, find_side, student_quantile, subtract, unbias


@given(st.one_of(st.integers(1, 200), st.floats(2.05, 500)))
def test_quantile_is_that_of_students_distribution(freedom: float) -> None:
    assert student_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=5e-4)
    if freedom >= 3:
        assert student_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-5)


def make_side(values: np.ndarray) -> Side:
    low, high = mean_interval(values)
    return Side(float(values.mean()), (float(low), float(high)), len(values))


@given(st.integers(3, 30), st.integers(3, 30), st.floats(0.05, 20), st.integers(0, 99))
def test_difference_of_means_has_welchs_interval(one: int, other: int, ratio: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=one), 3 + ratio * rng.normal(size=other)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    low, high = subtract(make_side(a), make_side(b))
    assert high - low == pytest.approx(expected.high - expected.low, rel=1e-3)
    assert (high + low) / 2 == pytest.approx(a.mean() - b.mean())


def test_sides_of_a_difference_keep_their_own_reach() -> None:
    """An interval of 2 down and 5 up less one of 1 down and 3 up, at R = 1001 each: quadrature of what matters."""
    low, high = subtract(Side(10, (8, 15), 1001), Side(4, (3, 7), 1001))
    assert (low, high) == pytest.approx((6 - math.hypot(2, 3), 6 + math.hypot(5, 1)), rel=1e-2)


def test_equal_control_arms_differ_by_nothing() -> None:
    side = Side(1.0, (1.0, 1.0), 3)
    assert subtract(side, side) == (0.0, 0.0)


def test_ratio_of_sds_is_the_f_tests_for_many_replicas() -> None:
    """s = 0.6 and 0.5 over 200 and 300 replicas, with chi-square intervals as for normal figures."""

    def make(spread: float, n: int) -> Side:
        low, high = stats.chi2.ppf([0.975, 0.025], n - 1)
        return Side(spread, (spread * math.sqrt((n - 1) / low), spread * math.sqrt((n - 1) / high)), n)

    found = divide(make(0.6, 200), make(0.5, 300))
    ends = 1.2 / np.sqrt(stats.f.ppf([0.975, 0.025], 199, 299))
    assert found == pytest.approx(tuple(ends), rel=2e-3)


def test_ratio_to_nothing_is_none() -> None:
    some, nothing = Side(0.5, (0.3, 0.9), 10), Side(0.0, (0.0, 0.0), 3)
    assert divide(some, nothing) is None
    assert divide(nothing, some) is None


def test_sd_is_taken_with_the_denominator_of_its_interval() -> None:
    values = np.random.default_rng(0).normal(size=7)
    assert unbias(Side(float(values.std()), (0, 9), 7)).value == pytest.approx(values.std(ddof=1))


def test_side_needs_value_and_interval() -> None:
    assert find_side(Estimate(1.0), 5) is None
    assert find_side(Estimate(), 5) is None
    assert find_side(Estimate(1.0, interval=(0.0, 2.0)), 5) == Side(1.0, (0.0, 2.0), 5)


MEASURED = Side(3.4, (3.0, 4.0), 10)


@pytest.mark.parametrize(
    ("value", "replicas", "rounding", "differs"),
    [
        (2.99, 10**9, 0.0, True),  # a published mean without any error: the measured interval alone
        (3.01, 10**9, 0.0, False),
        (2.85, 10, 0.0, False),  # as many replicas: 3.4 − 0.4·√2 = 2.83
        (2.82, 10, 0.0, True),
        (2.82, 10, 0.05, False),  # printed so of anything up to 2.87
        (4.24, 10, 0.0, False),  # 3.4 + 0.6·√2 = 4.25
        (4.26, 10, 0.0, True),
    ],
)
def test_published_mean_over_pairs_has_an_error_too(
    value: float, replicas: int, rounding: float, differs: bool
) -> None:
    assert differs_from_published(MEASURED, value, None, replicas, rounding) is differs


def test_published_sd_has_the_error_that_is_printed() -> None:
    spread = Side(0.30, (0.21, 0.58), 10)
    assert not differs_from_published(spread, 0.22, 0.02, 100, 0.005)
    assert differs_from_published(spread, 0.15, 0.01, 100, 0.005)
    assert not differs_from_published(spread, 0.15, 0.06, 6, 0.005)


@pytest.mark.parametrize(("value", "differs"), [(0.0, False), (0.2, True)])
def test_control_without_any_spread_is_told_from_one_with_some(value: float, differs: bool) -> None:
    assert differs_from_published(Side(0.0, (0.0, 0.0), 5), value, 0.1 * value, 100, 0.005) is differs
    some = Side(0.2, (0.1, 0.6), 5)
    assert differs_from_published(some, 0.0, 0.0, 100, 0.005)


@pytest.mark.parametrize("n", [0, 1])
def test_interval_over_one_replica_is_not_compared(n: int) -> None:
    """Only a damaged or forged file holds one."""
    assert find_side(Estimate(1.0, interval=(0.5, 2.0)), n) is None
    forged, real = (
        make_measures(name=f"{size}", n=size, disagreement=1.0 + size, disagreement_ci=[0.5, 9.0]) for size in (n, 5)
    )
    assert list_answers(Found((forged, real)))
