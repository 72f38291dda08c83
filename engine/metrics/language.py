"""The measures of language models: perplexity for accuracy, and ensembles that average probabilities.

Rank correlation is not defined here: only the true word's probability is kept. Source: paper, section 3.3.
Shapes: R replicas, N words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.metrics.intervals import jackknife_interval, mean_over_pairs
from engine.metrics.parallel import each_in_parallel
from engine.metrics.spread import bootstrap_sd_error, standard_deviation

Interval = tuple[float, float]

TEXT_MEANS = ("perplexity_mean", "cross_entropy_mean", "accuracy_mean")
TEXT_SPREADS = ("perplexity_sd", "perplexity_sd_error")
TEXT_PAIRWISE = ("disagreement", "ensemble_perplexity_delta")
TEXT_INTERVALS = ("disagreement_ci", "ensemble_perplexity_delta_ci")


@dataclass(frozen=True, kw_only=True)
class TextDiversity:
    """What R language models have in common and what not; a value that does not exist is None, with its reason."""

    n: int
    """Replicas."""
    perplexity_mean: float | None = None
    perplexity_sd: float | None = None
    """Over replicas, ddof 0."""
    perplexity_sd_error: float | None = None
    """SD of that SD over bootstrap resamples of the replicas."""
    cross_entropy_mean: float | None = None
    """Nats per word."""
    accuracy_mean: float | None = None
    """Percent of words that were the likeliest."""
    disagreement: float | None = None
    """Percent of words before which two replicas expect different ones, mean over pairs."""
    disagreement_ci: Interval | None = None
    """95 %, jackknife over replicas."""
    ensemble_perplexity_delta: float | None = None
    """Perplexity of the mean probabilities of two less the mean perplexity of the two, mean over pairs."""
    ensemble_perplexity_delta_ci: Interval | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    """Field → why it is None."""


def text_diversity(
    likeliest: np.ndarray,
    log_probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    bootstrap: int = 10_000,
    seed: int = 1,
) -> TextDiversity:
    """Measure how different some language models are.

    Args:
        likeliest: Number of the likeliest word, int (R, N).
        log_probabilities: Natural logarithm of the true word's probability, float (R, N).
        labels: The true word, int (N,).
        bootstrap: Resamples behind the error of the SD; 0 leaves it out.
        seed: Of the resamples.

    Raises:
        ValueError: If the shapes do not fit.
    """
    if likeliest.shape != log_probabilities.shape or likeliest.shape[1:] != labels.shape:
        raise ValueError(
            f"{likeliest.shape}, {log_probabilities.shape} and {labels.shape}, expected (R, N) twice, (N,)"
        )
    replicas, words = likeliest.shape
    everything = TEXT_MEANS + TEXT_SPREADS + TEXT_PAIRWISE + TEXT_INTERVALS
    if replicas == 0 or words == 0:
        reason = "there are no replicas" if replicas == 0 else "there are no words"
        return TextDiversity(n=replicas, reasons=dict.fromkeys(everything, reason))
    if not np.isfinite(log_probabilities).all():
        return TextDiversity(n=replicas, reasons=dict.fromkeys(everything, "log-probabilities that are not finite"))
    cross_entropies = -log_probabilities.astype(np.float64).mean(axis=1)
    perplexities = np.exp(cross_entropies)
    values: dict[str, Any] = {
        "perplexity_mean": float(perplexities.mean()),
        "cross_entropy_mean": float(cross_entropies.mean()),
        "accuracy_mean": 100.0 * float((likeliest == labels).mean()),
    }
    if replicas < 2:
        reason = "one replica alone: a spread needs at least two"
        missing: dict[str, str] = dict.fromkeys(TEXT_SPREADS + TEXT_PAIRWISE + TEXT_INTERVALS, reason)
        return TextDiversity(n=replicas, reasons=missing, **values)
    reasons: dict[str, str] = {}
    values["perplexity_sd"] = standard_deviation(perplexities)
    if bootstrap > 0:
        values["perplexity_sd_error"] = bootstrap_sd_error(perplexities, resamples=bootstrap, seed=seed)
    else:
        reasons["perplexity_sd_error"] = "metrics.bootstrap is 0"
    matrices = {
        "disagreement": disagreement_of_words(likeliest),
        "ensemble_perplexity_delta": ensemble_perplexity_deltas(log_probabilities, perplexities),
    }
    for name, matrix in matrices.items():
        values[name] = mean_over_pairs(matrix)
        if replicas < 3:
            reasons[f"{name}_ci"] = "two replicas: an interval over replicas needs at least three"
        else:
            values[f"{name}_ci"] = jackknife_interval(matrix)
    return TextDiversity(n=replicas, reasons=reasons, **values)


def disagreement_of_words(likeliest: np.ndarray) -> np.ndarray:
    """Percent of words on which two replicas differ, float64 (R, R): compared pair by pair, for any vocabulary."""
    replicas = len(likeliest)
    matrix = np.zeros((replicas, replicas))

    def compare(i: int) -> None:
        for j in range(i + 1, replicas):
            matrix[i, j] = matrix[j, i] = 100.0 * np.count_nonzero(likeliest[i] != likeliest[j]) / likeliest.shape[1]

    each_in_parallel(compare, range(replicas))
    return matrix


def ensemble_perplexity_deltas(log_probabilities: np.ndarray, perplexities: np.ndarray) -> np.ndarray:
    """Perplexity of the mean of two replicas' probabilities less the mean of theirs, float64 (R, R)."""
    replicas = len(log_probabilities)
    matrix = np.zeros((replicas, replicas))
    logs = log_probabilities.astype(np.float64)

    def average(i: int) -> None:
        for j in range(i + 1, replicas):
            if np.array_equal(logs[i], logs[j]):
                continue  # equal replicas average to themselves; what rounding leaves of that is not a change
            mean = np.logaddexp(logs[i], logs[j]).mean() - math.log(2.0)
            matrix[i, j] = matrix[j, i] = math.exp(-mean) - (perplexities[i] + perplexities[j]) / 2

    each_in_parallel(average, range(replicas))
    return matrix
