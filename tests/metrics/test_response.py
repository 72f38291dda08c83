"""The growth of a difference: exponentials are found exactly, slopes are scipy's, and what does not grow is said to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.metrics.response import NEAR, average, average_logs, fit_exponent, fit_growth, fit_slope


@given(
    size=st.floats(-6, -4),
    level=st.floats(-2.5, 0),
    doubling=st.floats(20, 60),
    every=st.integers(1, 3),
)
def test_an_exponential_with_an_end_is_found(size: float, level: float, doubling: float, every: int) -> None:
    steps = np.arange(0, 2400, every)
    distances = np.minimum(10**size * 2 ** (steps / doubling), 10**level)
    fit = fit_growth(steps, distances)
    assert fit is not None
    assert fit.size == pytest.approx(10**size)
    assert fit.level == pytest.approx(10**level)
    assert fit.doubling_steps == pytest.approx(doubling, rel=1e-6)
    near = doubling * math.log2(10**level / NEAR / 10**size)
    assert fit.saturation_step is not None
    assert near - 1e-6 <= fit.saturation_step < near + every + 1e-6


def test_slope_is_that_of_the_exponential_part() -> None:
    """What lies below rounding, stands still before it grows, or has come to its end has no part in it."""
    steps = np.arange(0, 400, 5)
    logs = np.interp(steps, [0, 100, 100.1, 200, 300, 400], np.log([1e-9, 1e-7, 1e-6, 1e-6, 1e-1, 1e-1]))
    noisy = np.exp(logs + np.random.default_rng(3).normal(0, 0.05, len(steps)))
    fit = fit_growth(steps, noisy)
    assert fit is not None
    assert fit.doubling_steps == pytest.approx(100 * math.log(2) / math.log(1e5), rel=0.05)
    assert fit.saturation_step == pytest.approx(295, abs=10)


def test_growth_that_is_not_exponential_has_an_end_and_no_rate() -> None:
    fit = fit_growth(np.arange(60), 1e-6 * np.maximum(1, np.arange(60)) ** 0.9)
    assert fit is not None
    assert fit.rate is None
    assert fit.saturation_step is not None


@pytest.mark.parametrize(
    "distances",
    [np.full(20, 1e-6), 1e-6 * 0.9 ** np.arange(20), 1e-6 * np.linspace(1, 9, 20)],
    ids=["level", "falling", "hardly rising"],
)
def test_what_does_not_grow_has_no_rate(distances: np.ndarray) -> None:
    fit = fit_growth(np.arange(20), distances)
    assert fit is not None
    assert (fit.rate, fit.doubling_steps, fit.saturation_step) == (None, None, None)
    assert fit.level == pytest.approx(stats.gmean(distances[-5:]))


def test_too_little_is_no_growth() -> None:
    assert fit_growth(np.arange(2), np.array([1e-6, 1e-3])) is None
    assert fit_growth(np.arange(4), np.array([0.0, 1e-6, 1e-5, 1e-4])) is None
    assert fit_growth(np.arange(0), np.zeros(0)) is None
    gaps = fit_growth(np.arange(5), np.array([1e-6, np.nan, 1e-4, np.inf, 1e-2]))
    assert gaps is not None
    assert gaps.level == pytest.approx(1e-2)


@given(st.lists(st.floats(1e-9, 1e3), min_size=3, max_size=12))
def test_means_have_students_intervals(values: list[float]) -> None:
    logs = np.log(values)
    found = average_logs(values)
    assert found.value == pytest.approx(stats.gmean(values))
    assert found.interval is not None
    if np.ptp(logs) > 1e-6:
        expected = stats.t.interval(0.95, len(values) - 1, float(logs.mean()), float(stats.sem(logs)))
        assert np.log(found.interval) == pytest.approx(expected, rel=1e-6, abs=1e-6)
        plain = average(values)
        expected = stats.t.interval(0.95, len(values) - 1, float(np.mean(values)), float(stats.sem(np.array(values))))
        assert plain.interval == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("values", [[], [2.0], [2.0, 8.0]])
def test_few_values_have_no_interval(values: list[float]) -> None:
    assert average(values).interval is None
    assert average_logs(values).interval is None
    assert average_logs(values).value == (pytest.approx(stats.gmean(values)) if values else None)


def test_exponents_are_the_mean_of_each_replicas_slope() -> None:
    generator = np.random.default_rng(5)
    sizes = 10.0 ** generator.uniform(-8, -1, (6, 5))
    ends = 0.1 * sizes**0.3 * np.exp(generator.normal(0, 0.1, sizes.shape))
    slopes = [stats.linregress(np.log(x), np.log(y)).slope for x, y in zip(sizes, ends, strict=True)]
    found = fit_exponent(sizes, ends)
    assert found.value == pytest.approx(np.mean(slopes))
    assert found.interval == pytest.approx(
        stats.t.interval(0.95, 5, float(np.mean(slopes)), float(stats.sem(np.array(slopes))))
    )
    assert fit_exponent(sizes[:, :2], ends[:, :2]).value is None


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=10))
def test_slope_is_scipys(points: list[tuple[int, int]]) -> None:
    x, y = (np.array(values, dtype=float) for values in zip(*points, strict=True))
    if np.ptp(x) > 0:
        assert fit_slope(x, y) == pytest.approx(stats.linregress(x, y).slope, abs=1e-9)
