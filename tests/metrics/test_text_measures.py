"""Measures of language models against sums written out pair by pair."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from engine.catalog.measures import MEASURES
from engine.metrics.estimates import Measured
from engine.metrics.language import measure_text

RNG = np.random.default_rng(0)
WORDS = 400
LABELS = RNG.integers(0, 50, WORDS)
LIKELIEST = RNG.integers(0, 4, (5, WORDS)).astype(np.int32)
LOGS = np.log(RNG.uniform(0.01, 0.9, (5, WORDS))).astype(np.float32)


def measure(count: int = 5, **arguments: int) -> Measured:
    return measure_text(LIKELIEST[:count], LOGS[:count], LABELS, **arguments)


def test_measures_are_their_definitions() -> None:
    found = measure(bootstrap=200)
    estimates = found.estimates
    perplexities = [math.exp(-np.mean(row.astype(float))) for row in LOGS]
    assert found.n == 5
    assert set(estimates) == {measure.key for measure in MEASURES["text"]}
    assert estimates["perplexity_mean"].value == pytest.approx(np.mean(perplexities))
    assert estimates["perplexity_sd"].value == pytest.approx(np.std(perplexities))
    assert estimates["cross_entropy_mean"].value == pytest.approx(np.mean(np.log(perplexities)))
    assert estimates["accuracy_mean"].value == pytest.approx(100 * np.mean(LIKELIEST == LABELS))
    pairs = list(combinations(range(5), 2))
    differing = [100 * np.mean(LIKELIEST[i] != LIKELIEST[j]) for i, j in pairs]
    assert estimates["disagreement"].value == pytest.approx(np.mean(differing))
    changes = []
    for i, j in pairs:
        mean = (np.exp(LOGS[i].astype(float)) + np.exp(LOGS[j].astype(float))) / 2
        changes.append(math.exp(-np.mean(np.log(mean))) - (perplexities[i] + perplexities[j]) / 2)
    change = estimates["ensemble_perplexity_delta"]
    assert change.value == pytest.approx(np.mean(changes))
    assert change.value is not None
    assert change.value < 0
    assert change.interval is not None
    assert change.interval[0] < change.value < change.interval[1]
    assert estimates["perplexity_sd"].error is not None
    assert found == measure(bootstrap=200)


def test_equal_replicas_differ_in_nothing() -> None:
    found = measure_text(np.stack([LIKELIEST[0]] * 4), np.stack([LOGS[0]] * 4), LABELS).estimates
    assert [found[key].value for key in ("perplexity_sd", "disagreement", "ensemble_perplexity_delta")] == [0.0] * 3
    assert found["disagreement"].interval == (0.0, 0.0)


def test_too_few_replicas_have_reasons() -> None:
    one, two = measure(1), measure(2)
    assert one.estimates["perplexity_mean"].value is not None
    assert one.estimates["perplexity_sd"].value is None
    assert one.reasons["perplexity_sd"] == "one replica alone: a spread needs at least two"
    assert two.estimates["disagreement"].value is not None
    assert two.estimates["disagreement"].interval is None
    assert "three" in two.reasons["disagreement_ci"]
    assert measure(0).reasons["disagreement"] == "there are no replicas"
    assert measure(5, bootstrap=0).reasons["perplexity_sd_error"] == "metrics.bootstrap is 0"


def test_values_that_are_no_numbers_have_a_reason() -> None:
    broken = LOGS.copy()
    broken[2, 7] = -np.inf
    assert "not finite" in measure_text(LIKELIEST, broken, LABELS).reasons["perplexity_mean"]


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        measure_text(LIKELIEST, LOGS[:, :10], LABELS)
