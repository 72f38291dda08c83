"""Measures how much of the spread between replicas is due to the finite size of the test set.

Shapes: R replicas, N examples. Accuracies and their SDs are in percent and percentage points.
"""

from __future__ import annotations

import math

import numpy as np

from engine.catalog.measure_declaration import CONFIDENCE, POWER
from engine.catalog.measures import MEASURES
from engine.metrics import special
from engine.metrics.outputs import DIAGNOSTIC_FORMULAS, Outcomes
from engine.metrics.spread import FEWEST, sd_interval
from engine.study.estimate import NOTHING, Estimate, Interval


def diagnose(predictions: np.ndarray, labels: np.ndarray, *, disagreement: float | None) -> dict[str, Estimate]:
    """Diagnose some replicas.

    Args:
        predictions: Predicted class, int (R, N).
        labels: True class, int (N,).
        disagreement: Percent, mean over pairs.

    Returns:
        An estimate for the key of every diagnostic, without a value where there are too few replicas.
    """
    if 0 in predictions.shape:
        return dict.fromkeys((measure.key for measure in MEASURES["diagnostics"]), NOTHING)
    outcomes = Outcomes(predictions == labels, disagreement if len(predictions) > 1 else None)
    return {measure.key: DIAGNOSTIC_FORMULAS.by_key[measure.key](outcomes) for measure in MEASURES["diagnostics"]}


@DIAGNOSTIC_FORMULAS.computes("sample_sd")
def measure_sample_sd(outcomes: Outcomes) -> Estimate:
    """Return the SD of accuracy with R − 1, comparable with the independent and the true SD."""
    if outcomes.disagreement is None:
        return NOTHING
    accuracies = 100.0 * outcomes.right.mean(axis=1)
    value = float(np.std(accuracies - accuracies[0], ddof=1))
    if len(accuracies) < FEWEST:
        return Estimate(value)
    low, high = sd_interval(accuracies)
    return Estimate(value, interval=(float(low), float(high)))


@DIAGNOSTIC_FORMULAS.computes("test_set_sd")
def measure_test_set_sd(outcomes: Outcomes) -> Estimate:
    """Return √(d/2N), d the disagreement: the SD of accuracy that independent errors would give at most."""
    if outcomes.disagreement is None:
        return NOTHING
    return Estimate(100.0 * math.sqrt(outcomes.disagreement / 100.0 / (2 * outcomes.right.shape[1])))


@DIAGNOSTIC_FORMULAS.computes("independent_sd")
def measure_independent_sd(outcomes: Outcomes) -> Estimate:
    """Return the SD of accuracy if replicas erred independently from example to example."""
    if outcomes.disagreement is None:
        return NOTHING
    return Estimate(100.0 * math.sqrt(independent_variance(outcomes.right)))


@DIAGNOSTIC_FORMULAS.computes("true_sd")
def measure_true_sd(outcomes: Outcomes) -> Estimate:
    """Return the SD of accuracy on the distribution behind the test set; 0 where its square is estimated negative."""
    if outcomes.disagreement is None:
        return NOTHING
    variance, ends = distribution_variance(outcomes.right)
    return Estimate(
        100.0 * _root(variance),
        interval=None if ends is None else (100.0 * _root(ends[0]), 100.0 * _root(ends[1])),
    )


@DIAGNOSTIC_FORMULAS.computes("error")
def measure_error(outcomes: Outcomes) -> Estimate:
    """Return the mean test error."""
    return Estimate(100.0 * (1.0 - float(outcomes.right.mean())))


@DIAGNOSTIC_FORMULAS.computes("sd_ratio")
def measure_sd_ratio(outcomes: Outcomes) -> Estimate:
    """Return the smallest ratio of two SDs that two arms of this many replicas tell apart."""
    return NOTHING if outcomes.disagreement is None else Estimate(detectable_sd_ratio(len(outcomes.right)))


DIAGNOSTIC_FORMULAS.check()


def independent_variance(right: np.ndarray) -> float:
    """Return the variance of accuracy, as a fraction, from each example's own over the replicas: (1/n²) Σ Var(c_i).

    Args:
        right: Whether a replica is right, bool (R, N), R of 2 or more.

    Source: Jordan, "On the Variance of Neural Network Training with respect to Test Sets and Distributions",
    ICLR 2024, section 3.
    """
    return float(right.var(axis=0, ddof=1).sum()) / right.shape[1] ** 2


def distribution_variance(right: np.ndarray) -> tuple[float, Interval | None]:
    """Estimate the variance of replicas' accuracy on the whole distribution without bias, as a fraction squared.

    n/(n−1) · (Var(accuracy) − (1/n²) Σ Var(c_i)), all variances over replicas with ddof 1: the mean covariance of two
    different examples. May be negative.

    Returns:
        The estimate, and the 95 % interval of Var(accuracy) less the same sum of examples' own variances, which N
        examples determine far better than R replicas do the first; None for the interval of two replicas.

    Source: Jordan (2024), theorem 2.
    """
    counts, hits = right.sum(axis=0), right.sum(axis=1)
    examples = right.shape[1]
    value = _covariance(counts, hits, examples)
    if len(right) < FEWEST:
        return value, None
    if examples < 2:
        return value, (value, value)
    own = independent_variance(right)
    ends = sd_interval(hits.astype(float))  # of whole numbers: the share of equal replicas may have an SD of 1e-16
    low, high = (examples / (examples - 1) * ((float(end) / examples) ** 2 - own) for end in ends)
    return value, (low, high)


def _covariance(counts: np.ndarray, hits: np.ndarray, examples: int) -> float:
    """Apply theorem 2 to the number of right replicas per example, and of right examples per replica (`hits`)."""
    replicas = len(hits)
    if examples < 2:
        return 0.0
    # both variances times R(R−1), in whole numbers: replicas that are right equally often have exactly no spread
    of_accuracy = replicas * int(np.sum(hits**2)) - int(hits.sum()) ** 2
    of_examples = int(np.sum(counts * (replicas - counts)))
    return (of_accuracy - of_examples) / (replicas * (replicas - 1) * examples * (examples - 1))


def _root(variance: float) -> float:
    return math.sqrt(max(0.0, variance))


def detectable_sd_ratio(replicas: int) -> float:
    """Return exp((z₀.₉₇₅ + z₀.₈)·√(1/(R−1))).

    ln SD is taken as normal with the variance 1/(2(R−1)) in each of two arms.
    """
    z = float(special.ndtri((1 + CONFIDENCE) / 2) + special.ndtri(POWER))
    return math.exp(z * math.sqrt(1.0 / (replicas - 1)))
