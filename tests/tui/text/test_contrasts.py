"""Contrasts of two arms against scipy's distributions and tests, and Holm's correction against its definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.catalog.measures import find_measure
from engine.metrics.spread import mean_interval
from engine.study.metrics_record import ArmMeasures
from tests.helpers.measures import make_measures
from tui.text.contrasts import Contrast, contrast, correct, student_tails

MEAN = find_measure("images", "accuracy_mean")
SD = find_measure("images", "accuracy_sd")
DISAGREEMENT = find_measure("images", "disagreement")


@given(st.floats(1e-6, 0.999), st.floats(1, 500))
def test_tails_are_those_of_students_distribution(chance: float, freedom: float) -> None:
    assert student_tails(float(-stats.t.ppf(chance / 2, freedom)), freedom) == pytest.approx(chance, rel=1e-6)


def arm_of_accuracies(values: np.ndarray) -> ArmMeasures:
    low, high = mean_interval(values)
    return make_measures(n=len(values), accuracy_mean=float(values.mean()), accuracy_mean_ci=[float(low), float(high)])


@given(st.integers(3, 30), st.integers(3, 30), st.floats(0.1, 10), st.integers(0, 99))
def test_difference_of_means_is_welchs_test(one: int, other: int, ratio: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=one), 0.5 + ratio * rng.normal(size=other)
    found = contrast(arm_of_accuracies(a), arm_of_accuracies(b), MEAN)
    assert found is not None
    assert found.chance == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue, rel=5e-3, abs=1e-9)
    assert found.is_seen == (found.chance < 0.05)


def test_replicas_that_would_tell_a_difference_are_those_of_the_power_formula() -> None:
    """n per arm = 2 · (1.96 + 0.84)² · (σ/δ)² for a difference of δ, two-sided at 5 % with a power of 80 %."""
    values = np.linspace(-1, 1, 40)
    found = contrast(arm_of_accuracies(values), arm_of_accuracies(values + 0.2), MEAN)
    assert found is not None
    wanted = 2 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2 * values.var(ddof=1) / 0.2**2
    assert found.more is not None
    assert found.more + 40 == pytest.approx(wanted, rel=0.02)
    same = contrast(arm_of_accuracies(values), arm_of_accuracies(values), MEAN)
    assert same is not None
    assert (same.more, same.chance) == (None, 1.0)


def arm_of_sd(sd: float, n: int) -> ArmMeasures:
    """An arm of normal figures with this SD, R in the denominator, and the chi-square interval around it."""
    spread = sd * math.sqrt(n / (n - 1))
    low, high = (spread * math.sqrt((n - 1) / q) for q in stats.chi2.ppf([0.975, 0.025], n - 1))
    return make_measures(n=n, accuracy_sd=sd, accuracy_sd_ci=[low, high])


def test_ratio_of_sds_has_about_the_chance_of_the_f_test() -> None:
    found = contrast(arm_of_sd(0.6, 101), arm_of_sd(0.5, 101), SD)
    assert found is not None
    assert found.value == pytest.approx(1.2)
    assert stats.f.ppf(1 - found.chance / 2, 100, 100) == pytest.approx(1.44, rel=0.01)
    more = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2 / math.log(1.2) ** 2 + 1 - 101
    assert found.more == pytest.approx(more, rel=0.1), "of SDs the variance of the logarithm is 1/(2(R − 1)) per arm"


def arm_of_disagreement(value: float, low: float, high: float, **others: Any) -> ArmMeasures:
    return make_measures(**({"n": 12, "disagreement": value, "disagreement_ci": [low, high]} | others))


def test_disagreements_are_compared_by_their_ratio() -> None:
    one, other = arm_of_disagreement(2.87, 2.44, 3.37), arm_of_disagreement(3.86, 3.33, 4.48)
    found = contrast(one, other, DISAGREEMENT)
    back = contrast(other, one, DISAGREEMENT)
    assert found is not None
    assert back is not None
    assert found.value == pytest.approx(2.87 / 3.86)
    assert found.interval[0] < found.value < found.interval[1] < 1
    assert [1 / end for end in reversed(back.interval)] == pytest.approx(list(found.interval))
    assert back.chance == pytest.approx(found.chance)


@pytest.mark.parametrize(
    "other",
    [
        arm_of_disagreement(0.0, 0.0, 0.0),
        arm_of_disagreement(1.0, 0.0, 2.0),
        make_measures(n=2, disagreement=1.0),
        make_measures(n=1),
    ],
)
def test_there_is_no_ratio_to_what_may_be_nothing(other: ArmMeasures) -> None:
    assert contrast(arm_of_disagreement(2.87, 2.44, 3.37), other, DISAGREEMENT) is None


@given(st.lists(st.floats(0, 1), max_size=12))
def test_correction_is_holms(chances: list[float]) -> None:
    arm = make_measures(n=3)
    contrasts = [Contrast(arm, arm, MEAN, False, 1.0, (0.0, 2.0), chance, None) for chance in chances]
    ordered = sorted(chances)
    kept = 0
    while kept < len(ordered) and ordered[kept] * (len(ordered) - kept) <= 0.05:
        kept += 1
    assert [one.chance for one in correct(contrasts)] == ordered[:kept]
