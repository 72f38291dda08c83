"""Measures of language models against sums written out pair by pair."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from engine.metrics.language import TextDiversity, text_diversity

RNG = np.random.default_rng(0)
WORDS = 400
LABELS = RNG.integers(0, 50, WORDS)
LIKELIEST = RNG.integers(0, 4, (5, WORDS)).astype(np.int32)
LOGS = np.log(RNG.uniform(0.01, 0.9, (5, WORDS))).astype(np.float32)


def measure(count: int = 5, **arguments: int) -> TextDiversity:
    return text_diversity(LIKELIEST[:count], LOGS[:count], LABELS, **arguments)


def test_measures_are_their_definitions() -> None:
    found = measure(bootstrap=200)
    perplexities = [math.exp(-np.mean(row.astype(float))) for row in LOGS]
    assert found.n == 5
    assert found.perplexity_mean == pytest.approx(np.mean(perplexities))
    assert found.perplexity_sd == pytest.approx(np.std(perplexities))
    assert found.accuracy_mean == pytest.approx(100 * np.mean(LIKELIEST == LABELS))
    pairs = list(combinations(range(5), 2))
    differing = [100 * np.mean(LIKELIEST[i] != LIKELIEST[j]) for i, j in pairs]
    assert found.disagreement == pytest.approx(np.mean(differing))
    changes = []
    for i, j in pairs:
        mean = (np.exp(LOGS[i].astype(float)) + np.exp(LOGS[j].astype(float))) / 2
        changes.append(math.exp(-np.mean(np.log(mean))) - (perplexities[i] + perplexities[j]) / 2)
    assert found.ensemble_perplexity_delta == pytest.approx(np.mean(changes))
    assert found.ensemble_perplexity_delta is not None
    assert found.ensemble_perplexity_delta < 0
    assert found.disagreement is not None
    assert found.disagreement_ci is not None
    assert found.disagreement_ci[0] < found.disagreement < found.disagreement_ci[1]
    assert found == measure(bootstrap=200)


def test_equal_replicas_differ_in_nothing() -> None:
    found = text_diversity(np.stack([LIKELIEST[0]] * 4), np.stack([LOGS[0]] * 4), LABELS)
    assert (found.perplexity_sd, found.disagreement, found.ensemble_perplexity_delta) == (0.0, 0.0, 0.0)
    assert found.disagreement_ci == (0.0, 0.0)


def test_too_few_replicas_have_reasons() -> None:
    one, two = measure(1), measure(2)
    assert one.perplexity_mean is not None
    assert (one.perplexity_sd, one.reasons["perplexity_sd"]) == (None, "one replica alone: a spread needs at least two")
    assert two.disagreement is not None
    assert two.disagreement_ci is None
    assert "three" in two.reasons["disagreement_ci"]
    assert measure(0).reasons["disagreement"] == "there are no replicas"
    assert measure(5, bootstrap=0).reasons["perplexity_sd_error"] == "metrics.bootstrap is 0"


def test_values_that_are_no_numbers_have_a_reason() -> None:
    broken = LOGS.copy()
    broken[2, 7] = -np.inf
    assert "not finite" in text_diversity(LIKELIEST, broken, LABELS).reasons["perplexity_mean"]


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        text_diversity(LIKELIEST, LOGS[:, :10], LABELS)
