"""The measures of language models: perplexity for accuracy, and ensembles that average probabilities.

Rank correlation is not defined here: only the true word's probability is kept. Source: paper, section 3.3.
Shapes: R replicas, N words.
"""

from __future__ import annotations

import math

import numpy as np

from engine.metrics.estimates import Measured, Resampling, measure_all, measure_nothing
from engine.metrics.outputs import TEXT_FORMULAS, TextOutputs
from engine.metrics.parallel import each_in_parallel


@TEXT_FORMULAS.computes("perplexity_mean", "perplexity_sd")
def measure_perplexities(outputs: TextOutputs) -> np.ndarray:
    """Return the perplexity of each replica."""
    return outputs.perplexities


@TEXT_FORMULAS.computes("cross_entropy_mean")
def measure_cross_entropies(outputs: TextOutputs) -> np.ndarray:
    """Return the cross-entropy of each replica."""
    return outputs.cross_entropies


@TEXT_FORMULAS.computes("accuracy_mean")
def measure_accuracies(outputs: TextOutputs) -> np.ndarray:
    """Return the percentage of words that were the likeliest, by replica."""
    return 100.0 * (outputs.likeliest == outputs.labels).mean(axis=1)


@TEXT_FORMULAS.computes("disagreement")
def measure_word_disagreement(outputs: TextOutputs) -> np.ndarray:
    """Return the percentage of words on which two replicas differ, float64 (R, R).

    Replicas are compared pair by pair, for a vocabulary of any size.
    """
    likeliest = outputs.likeliest
    matrix = np.zeros((len(likeliest), len(likeliest)))

    def compare(i: int) -> None:
        for j in range(i + 1, len(likeliest)):
            matrix[i, j] = matrix[j, i] = 100.0 * np.count_nonzero(likeliest[i] != likeliest[j]) / likeliest.shape[1]

    each_in_parallel(compare, range(len(likeliest)))
    return matrix


@TEXT_FORMULAS.computes("ensemble_perplexity_delta")
def measure_perplexity_changes(outputs: TextOutputs) -> np.ndarray:
    """Return the perplexity of each pair's mean probabilities minus the mean of its members' own, float64 (R, R)."""
    logs, own = outputs.log_probabilities.astype(np.float64), outputs.perplexities
    matrix = np.zeros((len(logs), len(logs)))

    def average(i: int) -> None:
        for j in range(i + 1, len(logs)):
            if np.array_equal(logs[i], logs[j]):
                continue  # the mean of equal replicas is the replica itself: any other change would be rounding
            mean = np.logaddexp(logs[i], logs[j]).mean() - math.log(2.0)
            matrix[i, j] = matrix[j, i] = math.exp(-mean) - (own[i] + own[j]) / 2

    each_in_parallel(average, range(len(logs)))
    return matrix


TEXT_FORMULAS.check()


def measure_text(
    likeliest: np.ndarray,
    log_probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    bootstrap: int = 10_000,
    seed: int = 1,
) -> Measured:
    """Measure how different some language models are.

    Args:
        likeliest: Number of the likeliest word, int (R, N).
        log_probabilities: Natural logarithm of the true word's probability, float (R, N).
        labels: The true word, int (N,).
        bootstrap: Resamples behind the error of the SD; 0 leaves it out.
        seed: The seed of the resamples.

    Raises:
        ValueError: If the shapes do not fit.
    """
    if likeliest.shape != log_probabilities.shape or likeliest.shape[1:] != labels.shape:
        raise ValueError(
            f"{likeliest.shape}, {log_probabilities.shape} and {labels.shape}, expected (R, N) twice, (N,)"
        )
    replicas, words = likeliest.shape
    if replicas == 0 or words == 0:
        return measure_nothing("text", replicas, "there are no replicas" if replicas == 0 else "there are no words")
    if not np.isfinite(log_probabilities).all():
        return measure_nothing("text", replicas, "log-probabilities that are not finite")
    outputs = TextOutputs(likeliest, log_probabilities, labels)
    return measure_all(TEXT_FORMULAS, outputs, replicas, Resampling(bootstrap, seed))
