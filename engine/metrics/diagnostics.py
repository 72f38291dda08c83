"""What the same predictions tell beyond the diversity measures: how much of a spread is the test set's doing.

Shapes: R replicas, N examples, C classes. Accuracies and their SDs are in percent and percentage points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

CONFIDENCE = 0.95
POWER = 0.80


@dataclass(frozen=True, kw_only=True)
class Diagnostics:
    """Figures of one arm; None where there are too few replicas."""

    test_set_sd: float | None = None
    """√(d/2n), d the disagreement: the SD of accuracy that independent errors would give at most."""
    independent_sd: float | None = None
    """SD of accuracy if replicas erred independently from example to example."""
    true_sd: float | None = None
    """SD of the replicas' accuracy on the distribution that the test set is drawn from; 0 where the estimate of its
    square is negative."""
    true_sd_ci: tuple[float, float] | None = None
    """95 %, jackknife over replicas."""
    error: float | None = None
    """Mean test error, percent; equals the disagreement where an ensemble's votes are calibrated class by class."""
    sd_ratio: float | None = None
    """Smallest ratio of two SDs that two arms of this many replicas tell apart with 80 % power at 5 %."""


def diagnose(predictions: np.ndarray, labels: np.ndarray, *, disagreement: float | None) -> Diagnostics:
    """Diagnose some replicas.

    Args:
        predictions: Predicted class, int (R, N).
        labels: True class, int (N,).
        disagreement: Percent, mean over pairs.
    """
    replicas, examples = predictions.shape
    if replicas == 0 or examples == 0:
        return Diagnostics()
    right = predictions == labels
    error = 100.0 * (1.0 - float(right.mean()))
    if replicas < 2 or disagreement is None:
        return Diagnostics(error=error)
    variance, interval = distribution_variance(right)
    return Diagnostics(
        test_set_sd=100.0 * math.sqrt(disagreement / 100.0 / (2 * examples)),
        independent_sd=100.0 * math.sqrt(independent_variance(right)),
        true_sd=100.0 * _root(variance),
        true_sd_ci=None if interval is None else (100.0 * _root(interval[0]), 100.0 * _root(interval[1])),
        error=error,
        sd_ratio=detectable_sd_ratio(replicas),
    )


def independent_variance(right: np.ndarray) -> float:
    """Variance of accuracy, as a fraction, from each example's own variance over the replicas: (1/n²) Σ Var(c_i).

    Args:
        right: Whether a replica is right, bool (R, N), R of 2 or more.

    Source: Jordan, "On the Variance of Neural Network Training with respect to Test Sets and Distributions",
    ICLR 2024, section 3.
    """
    return float(right.var(axis=0, ddof=1).sum()) / right.shape[1] ** 2


def distribution_variance(right: np.ndarray) -> tuple[float, tuple[float, float] | None]:
    """Unbiased estimate of the variance of replicas' accuracy on the whole distribution, as a fraction squared.

    n/(n−1) · (Var(accuracy) − (1/n²) Σ Var(c_i)), all variances over replicas with ddof 1: the mean covariance of two
    different examples. May be negative.

    Returns:
        The estimate and its 95 % jackknife interval over replicas; None for the interval of two replicas.

    Source: Jordan (2024), theorem 2.
    """
    replicas = len(right)
    value = _covariance(right.sum(axis=0), right.sum(axis=1), right.shape[1])
    if replicas < 3:
        return value, None
    counts, hits = right.sum(axis=0), right.sum(axis=1)
    without = np.array([_covariance(counts - right[i], np.delete(hits, i), right.shape[1]) for i in range(replicas)])
    error = math.sqrt((replicas - 1) / replicas * float(np.sum((without - without.mean()) ** 2)))
    half = float(special.stdtrit(replicas - 1, (1 + CONFIDENCE) / 2)) * error
    return value, (value - half, value + half)


def _covariance(counts: np.ndarray, hits: np.ndarray, examples: int) -> float:
    """Theorem 2 from how many replicas are right on each example, and on how many examples each replica is."""
    replicas = len(hits)
    share = counts / replicas
    of_examples = float(np.sum(share * (1.0 - share))) * replicas / (replicas - 1)
    if examples < 2:
        return 0.0
    return examples / (examples - 1) * (float(np.var(hits / examples, ddof=1)) - of_examples / examples**2)


def _root(variance: float) -> float:
    return math.sqrt(max(0.0, variance))


def detectable_sd_ratio(replicas: int) -> float:
    """exp((z₀.₉₇₅ + z₀.₈)·√(1/(R−1))): from the normal approximation of ln SD, whose variance is 1/(2(R−1)) per arm."""
    z = float(special.ndtri((1 + CONFIDENCE) / 2) + special.ndtri(POWER))
    return math.exp(z * math.sqrt(1.0 / (replicas - 1)))
