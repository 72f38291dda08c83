"""Diagnostics against their definitions written out, and against simulations with a known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.metrics.conditioning import condition_numbers
from engine.metrics.diagnostics import (
    detectable_sd_ratio,
    diagnose,
    distribution_variance,
    independent_variance,
)
from engine.metrics.spread import sd_interval
from engine.study.estimate import NOTHING, Estimate
from engine.study.metrics_record import ConditionNumbers
from tests.helpers.records import make_bit, make_result

outcomes = hnp.arrays(bool, st.tuples(st.integers(3, 8), st.integers(2, 12)))


@given(outcomes)
def test_distribution_variance_is_the_mean_covariance_of_different_examples(right: np.ndarray) -> None:
    covariances = np.cov(right.T.astype(float), ddof=1)
    examples = right.shape[1]
    expected = (covariances.sum() - np.trace(covariances)) / (examples * (examples - 1))
    assert distribution_variance(right)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("replicas", "examples", "hits"), [(6, 500, 475), (3, 797, 761), (7, 1000, 913)])
def test_equal_replicas_have_exactly_no_true_spread(replicas: int, examples: int, hits: int) -> None:
    """The mean of six shares of 475/500 is not 475/500: their SD is 1e-16, which a table would print."""
    right = np.tile(np.arange(examples) < hits, (replicas, 1))
    value, interval = distribution_variance(right)
    assert value == 0
    assert interval == (0, 0)


@given(outcomes)
def test_interval_is_that_of_the_whole_variance_less_the_independent_part(right: np.ndarray) -> None:
    value, interval = distribution_variance(right)
    assert interval is not None
    low, high = sd_interval(right.mean(axis=1))
    own = sum(np.var(column.astype(float), ddof=1) for column in right.T) / right.shape[1] ** 2
    factor = right.shape[1] / (right.shape[1] - 1)
    assert interval == pytest.approx((factor * (low**2 - own), factor * (high**2 - own)), abs=1e-12)
    assert interval[0] <= value + 1e-12
    assert value <= interval[1] + 1e-12


@given(outcomes)
def test_variance_of_accuracy_splits_into_its_parts(right: np.ndarray) -> None:
    """Var(accuracy) = independent part + (1 − 1/n) of the distribution's: lemma 2 of the source."""
    examples = right.shape[1]
    whole = np.var(right.mean(axis=1), ddof=1)
    parts = independent_variance(right) + (1 - 1 / examples) * distribution_variance(right)[0]
    assert parts == pytest.approx(whole, abs=1e-12)


def test_independent_errors_show_no_true_spread() -> None:
    rng = np.random.default_rng(1)
    chance = rng.beta(5, 1, size=3000)
    right = rng.random((200, 3000)) < chance
    value, interval = distribution_variance(right)
    assert interval is not None
    assert interval[0] <= 0 <= interval[1]
    assert abs(value) < independent_variance(right) / 4


def test_true_spread_is_found_among_independent_errors() -> None:
    rng = np.random.default_rng(1)
    quality = rng.normal(0.8, 0.03, size=(400, 1))
    right = rng.random((400, 2000)) < quality
    value, interval = distribution_variance(right)
    assert math.sqrt(value) == pytest.approx(0.03, rel=0.1)
    assert interval is not None
    assert interval[0] < 0.03**2 * 1.05
    assert interval[1] > 0.03**2 * 0.95


def test_interval_of_the_true_spread_covers_it() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        right = rng.random((30, 300)) < rng.normal(0.8, 0.03, size=(30, 1))
        interval = distribution_variance(right)[1]
        assert interval is not None
        covered += interval[0] <= 0.03**2 <= interval[1]
    assert 180 <= covered <= 199, "nominal 190"


def test_diagnostics_of_replicas_by_hand() -> None:
    labels = np.array([0, 0, 0, 0])
    predictions = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    found = diagnose(predictions, labels, disagreement=50.0)
    assert found["error"].value == 50.0
    assert found["test_set_sd"].value == pytest.approx(100 * math.sqrt(0.5 / 8))
    assert found["independent_sd"].value == pytest.approx(100 * math.sqrt(1.0 / 16))
    assert found["true_sd"] == Estimate(0.0)
    assert found["sample_sd"] == Estimate(0.0), "two replicas have no interval"


def test_equal_replicas_have_no_spread_of_any_kind() -> None:
    predictions = np.tile(np.array([0, 1, 1, 0, 2]), (5, 1))
    found = diagnose(predictions, np.array([0, 1, 0, 0, 2]), disagreement=0.0)
    assert (found["test_set_sd"], found["independent_sd"]) == (Estimate(0.0), Estimate(0.0))
    assert found["true_sd"] == Estimate(0.0, interval=(0.0, 0.0))
    assert found["sample_sd"] == Estimate(0.0, interval=(0.0, 0.0))
    assert found["error"].value == pytest.approx(20.0)


def test_too_few_replicas_have_what_they_can_have() -> None:
    labels = np.array([0, 1])
    nothing = dict.fromkeys(("sample_sd", "test_set_sd", "independent_sd", "true_sd", "error", "sd_ratio"), NOTHING)
    assert diagnose(np.zeros((0, 2), dtype=int), labels, disagreement=None) == nothing
    assert diagnose(np.array([[0, 0]]), labels, disagreement=None) == nothing | {"error": Estimate(50.0)}


@pytest.mark.parametrize(("replicas", "ratio"), [(10, 2.54), (20, 1.90), (50, 1.49), (100, 1.33), (1000, 1.09)])
def test_smallest_ratio_of_two_sds(replicas: int, ratio: float) -> None:
    assert detectable_sd_ratio(replicas) == pytest.approx(ratio, abs=0.006)


def test_condition_numbers_are_the_papers_for_its_run() -> None:
    plain = make_result(test_cross_entropy=0.3519, test_accuracy=90.0)
    bit = make_bit(change=2**-31, old=-0.00665)
    moved = make_result(test_cross_entropy=0.34335, test_accuracy=90.12, bit=bit)
    numbers = condition_numbers([moved], plain)
    assert numbers is not None
    assert numbers.cross_entropy == pytest.approx(1.8e7, rel=0.03)
    assert numbers.accuracy == pytest.approx(2.6e8, rel=0.01)
    assert numbers.cross_entropy_relative == pytest.approx(1.84e7 * 0.00665 / 0.3519, rel=0.01)


def test_condition_number_is_the_largest_over_the_runs_and_may_not_exist() -> None:
    plain, bit = make_result(test_cross_entropy=1.0, test_accuracy=50.0), make_bit(change=0.5, old=1.0)
    runs = [make_result(test_cross_entropy=1.0 + d, test_accuracy=50.0, bit=bit) for d in (0.1, 0.3)]
    numbers = condition_numbers(runs, plain)
    assert numbers is not None
    assert numbers.cross_entropy == pytest.approx(0.6)
    assert numbers.accuracy == 0.0
    assert condition_numbers([], plain) is None
    assert condition_numbers([make_result()], plain) is None
    lost = condition_numbers([make_result(test_cross_entropy=None, test_accuracy=50.0, bit=bit)], plain)
    assert lost == ConditionNumbers(accuracy=0.0, accuracy_relative=0.0)
