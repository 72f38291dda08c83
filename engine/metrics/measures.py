"""The five diversity measures of a set of replicas, from their logits on one test set.

Source: paper, section 3.1. Shapes: R replicas, N examples, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.metrics.ensembles import ensemble_accuracies, ensemble_cross_entropies
from engine.metrics.intervals import jackknife_interval, mean_over_pairs
from engine.metrics.pairwise import correlation_matrix, disagreement_matrix, rank_correlation_matrix
from engine.metrics.parallel import each_in_parallel
from engine.metrics.spread import bootstrap_sd_error, standard_deviation

Interval = tuple[float, float]

SPREADS = ("accuracy_sd", "accuracy_sd_error", "cross_entropy_sd", "cross_entropy_sd_error")
PAIRWISE = ("disagreement", "correlation", "ensemble_delta", "ensemble_cross_entropy_delta", "pearson")
INTERVALS = ("disagreement_ci", "correlation_ci", "ensemble_delta_ci")
MEANS = ("accuracy_mean", "cross_entropy_mean")


@dataclass(frozen=True, kw_only=True)
class Diversity:
    """What R replicas have in common and what not; a value that does not exist is None, with its reason."""

    n: int
    """Replicas."""
    accuracy_mean: float | None = None
    """Percent."""
    accuracy_sd: float | None = None
    """Percentage points over replicas, ddof 0."""
    accuracy_sd_error: float | None = None
    """SD of that SD over bootstrap resamples of the replicas."""
    cross_entropy_mean: float | None = None
    """Nats."""
    cross_entropy_sd: float | None = None
    cross_entropy_sd_error: float | None = None
    disagreement: float | None = None
    """Percent of examples with different argmax, mean over pairs."""
    disagreement_ci: Interval | None = None
    """95 %, jackknife over replicas."""
    correlation: float | None = None
    """Spearman's rank correlation of all logits, mean over pairs."""
    correlation_ci: Interval | None = None
    ensemble_delta: float | None = None
    """Percentage points that the mean logits of two gain over the mean accuracy of the two, mean over pairs."""
    ensemble_delta_ci: Interval | None = None
    ensemble_cross_entropy_delta: float | None = None
    """The same for cross-entropy, in nats; negative is better."""
    pearson: float | None = None
    """Pearson's correlation of all logits, mean over pairs."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Field → why it is None."""


def diversity(logits: np.ndarray, labels: np.ndarray, *, bootstrap: int = 10_000, seed: int = 1) -> Diversity:
    """Measure how different some replicas are.

    Peak memory is about 5 times the logits as float32: 200 MB for R = 100, N = 10,000, C = 10.

    Args:
        logits: Float (R, N, C); not changed.
        labels: True class, int (N,), 0…C−1.
        bootstrap: Resamples behind the errors of the SDs; 0 leaves them out.
        seed: Of the resamples.

    Raises:
        ValueError: If the shapes do not fit, or labels lie outside 0…C−1.
    """
    _check_shapes(logits, labels)
    replicas, examples, _ = logits.shape
    if replicas == 0 or examples == 0:
        reason = "there are no replicas" if replicas == 0 else "there are no test examples"
        return Diversity(n=replicas, reasons=dict.fromkeys(MEANS + SPREADS + PAIRWISE + INTERVALS, reason))
    logits = np.ascontiguousarray(logits if logits.dtype == np.float64 else logits.astype(np.float32, copy=False))
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=(1, 2)))
    if len(broken):
        names = ", ".join(str(replica + 1) for replica in broken)
        reason = f"logits that are not finite in replica {names}"
        return Diversity(n=replicas, reasons=dict.fromkeys(MEANS + SPREADS + PAIRWISE + INTERVALS, reason))
    return _measure(logits, labels.astype(np.int64), bootstrap=bootstrap, seed=seed)


def _check_shapes(logits: np.ndarray, labels: np.ndarray) -> None:
    if logits.ndim != 3 or labels.ndim != 1 or logits.shape[1] != len(labels):
        raise ValueError(f"logits {logits.shape} and labels {labels.shape}, expected (R, N, C) and (N,)")
    if not np.issubdtype(logits.dtype, np.floating) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"logits of {logits.dtype} and labels of {labels.dtype}, expected floats and integers")
    if logits.size and (labels.min() < 0 or labels.max() >= logits.shape[2]):
        raise ValueError(f"labels in {labels.min()}…{labels.max()}, expected 0…{logits.shape[2] - 1}")


def _measure(logits: np.ndarray, labels: np.ndarray, *, bootstrap: int, seed: int) -> Diversity:
    predictions = logits.argmax(axis=2)
    accuracies = 100.0 * np.count_nonzero(predictions == labels, axis=1) / len(labels)
    cross_entropies = measure_cross_entropies(logits, labels)
    values: dict[str, Any] = {
        "accuracy_mean": _mean(accuracies),
        "cross_entropy_mean": _mean(cross_entropies),
    }
    reasons: dict[str, str] = {}
    replicas = len(logits)
    if replicas < 2:
        reasons |= dict.fromkeys(SPREADS + PAIRWISE + INTERVALS, "one replica alone: a spread needs at least two")
        return Diversity(n=replicas, reasons=reasons, **values)
    for name, figures in (("accuracy", accuracies), ("cross_entropy", cross_entropies)):
        values[f"{name}_sd"] = standard_deviation(figures)
        if bootstrap > 0:
            values[f"{name}_sd_error"] = bootstrap_sd_error(figures, resamples=bootstrap, seed=seed)
        else:
            reasons[f"{name}_sd_error"] = "metrics.bootstrap is 0"
    matrices = _pair_matrices(logits, labels, predictions, accuracies, cross_entropies)
    for name, matrix in matrices.items():
        _summarise(name, matrix, values, reasons)
    return Diversity(n=replicas, reasons=reasons, **values)


def _mean(values: np.ndarray) -> float:
    """Mean, exact for equal values."""
    return float(values[0] + np.mean(values - values[0]))


def measure_cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean of −log softmax(logits)[label] per replica, in nats, float64 (R,)."""
    figures = np.empty(len(logits))
    places = np.arange(len(labels))

    def measure(replica: int) -> None:
        part = logits[replica].astype(np.float64)
        part -= part.max(axis=1, keepdims=True)
        wanted = part[places, labels]
        figures[replica] = np.mean(np.log(np.exp(part, out=part).sum(axis=1)) - wanted)

    each_in_parallel(measure, range(len(logits)))
    return figures


def _pair_matrices(
    logits: np.ndarray,
    labels: np.ndarray,
    predictions: np.ndarray,
    accuracies: np.ndarray,
    cross_entropies: np.ndarray,
) -> dict[str, np.ndarray]:
    """Each pairwise measure for all pairs, float64 (R, R)."""
    ensemble = ensemble_accuracies(logits, labels, predictions)
    losses = ensemble_cross_entropies(logits, labels)
    same = _find_equal(logits, cross_entropies)
    # Equal replicas average to themselves; what rounding leaves of that is not a gain.
    gain = ensemble - (accuracies[:, None] + accuracies[None, :]) / 2
    loss_gain = np.where(same, 0.0, losses - (cross_entropies[:, None] + cross_entropies[None, :]) / 2)
    return {
        "disagreement": disagreement_matrix(predictions, logits.shape[2]),
        "correlation": rank_correlation_matrix(logits),
        "ensemble_delta": gain,
        "ensemble_cross_entropy_delta": loss_gain,
        "pearson": correlation_matrix(logits),
    }


def _find_equal(logits: np.ndarray, cross_entropies: np.ndarray) -> np.ndarray:
    """Which replicas have the same logits, bool (R, R); equal logits have equal cross-entropies."""
    group = np.arange(len(logits))
    for i in range(len(logits)):
        for j in np.flatnonzero(cross_entropies[:i] == cross_entropies[i]):
            if group[j] == j and np.array_equal(logits[i], logits[j]):
                group[i] = j
                break
    return group[:, None] == group[None, :]


def _summarise(
    name: str,
    matrix: np.ndarray,
    values: dict[str, Any],
    reasons: dict[str, str],
) -> None:
    """Add a pairwise measure's mean and interval, or why there is none."""
    interval = f"{name}_ci"
    if not np.isfinite(matrix).all():
        constant = np.flatnonzero(~np.isfinite(np.diagonal(matrix)))
        which = ", ".join(str(replica + 1) for replica in constant)
        reasons[name] = f"undefined: all logits of replica {which} are equal"
        if interval in INTERVALS:
            reasons[interval] = reasons[name]
        return
    values[name] = mean_over_pairs(matrix)
    if interval not in INTERVALS:
        return
    if len(matrix) < 3:
        reasons[interval] = "two replicas: an interval over replicas needs at least three"
    else:
        values[interval] = jackknife_interval(matrix)
