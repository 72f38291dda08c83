"""Rates of growth: against numpy on the same stretch, on curves whose rate is known, and where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from engine.metrics.growth import add_rates, find_stretch, fit_line, fit_rate
from engine.study.divergence_record import Divergence, GrowthPoint
from tests.helpers.simulated_growth import Growing, cover_rate


def make_points(values: np.ndarray, *, relative: float = 1.0) -> list[GrowthPoint]:
    return [
        GrowthPoint(step=step, weights=float(value), relative=relative * float(value), logits=float(value) ** 2,
                    logits_relative=float(value) ** 2)
        for step, value in enumerate(values)
    ]  # fmt: skip


def test_line_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(1)
    x = np.sort(rng.choice(1000, 40, replace=False)).astype(float)
    y = 0.3 * x + rng.normal(size=40)
    wanted = np.polyfit(x, y, 1)
    slope, half, fit = fit_line(x, y)
    assert slope == pytest.approx(wanted[0])
    assert fit == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    slopes = [stats.linregress(x[first : first + 10], y[first : first + 10]).slope for first in range(0, 40, 10)]
    assert slope - half == pytest.approx(slope - stats.sem(np.array(slopes)) * stats.t.ppf(0.975, 3))


def test_exponential_part_is_found_between_what_comes_before_and_after() -> None:
    """It begins at 1e-6 after 20 steps, doubles every 8, and saturates at 0.3."""
    steps = np.arange(300)
    values = np.minimum(0.3, 1e-6 * 2.0 ** (np.maximum(steps - 20, 0) / 8))
    rate = fit_rate(make_points(values), "weights")
    assert rate is not None
    assert rate.doubling_steps == pytest.approx(8, rel=0.05)
    assert 20 + 0.05 * 146 <= rate.steps[0] <= 20 + 0.15 * 146
    assert 166 - 0.25 * 146 <= rate.steps[1] <= 166 - 0.15 * 146
    assert rate.interval[0] <= rate.per_step <= rate.interval[1]
    squared = fit_rate(make_points(values), "logits")
    assert squared is not None
    assert squared.per_step == pytest.approx(2 * rate.per_step, rel=0.1)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_power_of_the_steps_has_no_rate(power: float) -> None:
    assert fit_rate(make_points(1e-4 * np.arange(1, 400) ** power), "weights") is None


def test_what_is_as_small_as_rounding_has_no_rate() -> None:
    values = 1e-9 * 2.0 ** np.arange(0, 6, 0.1)
    assert fit_rate(make_points(values), "weights") is None
    assert fit_rate(make_points(values, relative=1e6), "weights") is not None


def test_interval_holds_the_true_rate_also_where_neighbours_err_alike() -> None:
    """Steps of noise that last: residuals with a correlation of 0.6 between neighbours."""
    rng, held = np.random.default_rng(5), 0
    for _ in range(200):
        noise = np.zeros(120)
        for step in range(1, 120):
            noise[step] = 0.6 * noise[step - 1] + 0.2 * rng.normal()
        slope, half, _ = fit_line(np.arange(120.0), 0.1 * np.arange(120.0) + noise)
        held += abs(slope - 0.1) <= half
    assert held >= 0.93 * 200


@pytest.mark.parametrize("world", [Growing(0.03, 0.9), Growing(0.3, 0.6)])
def test_bends_at_both_ends_leave_the_rate_in_its_interval(world: Growing) -> None:
    (simple, ours), mean = cover_rate(world, 100)
    assert simple < 75
    assert ours >= 93
    assert mean == pytest.approx(1.0, abs=0.015)


def test_few_points_and_exact_lines() -> None:
    assert fit_rate(make_points(np.array([0.1, 0.2])), "weights") is None
    assert find_stretch(np.arange(9.0), np.zeros(9)) is None
    rate = fit_rate(make_points(1e-3 * math.e ** (0.5 * np.arange(12))), "weights")
    assert rate is not None
    assert rate.per_step == pytest.approx(0.5)
    assert rate.fit == pytest.approx(1.0)


def test_rates_are_added_to_what_was_found() -> None:
    points = tuple(make_points(1e-3 * 1.5 ** np.arange(12)))
    found = Divergence(
        studies=("s", "s"), arms=("a", "a"), replicas=(1, 2), runs=("x", "y"), epochs=1, epoch=1, growth=points
    )
    assert [rate.quantity for rate in add_rates(found).rates] == ["weights", "logits"]
