"""Means over pairs of replicas, with intervals that know that pairs share replicas."""

from __future__ import annotations

import numpy as np
from scipy import special

CONFIDENCE = 0.95


def mean_over_pairs(matrix: np.ndarray) -> float:
    """Mean of the entries above the diagonal of a symmetric (R, R) matrix; exact where they are all equal.

    Raises:
        ValueError: If there are fewer than two replicas, so no pair.
    """
    if len(matrix) < 2:
        raise ValueError(f"{len(matrix)} replicas make no pair")
    values = matrix[np.triu_indices(len(matrix), 1)]
    return float(values[0] + np.mean(values - values[0]))


def jackknife_interval(matrix: np.ndarray) -> tuple[float, float]:
    """Confidence interval, 95 %, of a mean over pairs, from leaving out each replica in turn.

    U₋ᵢ is the mean over the pairs without replica i, SE² = (R−1)/R · Σ(U₋ᵢ − mean)², and the interval is
    mean over pairs ± t(R−1)·SE. Treating the pairs as independent would cover 23–56 % instead of 95 %.

    Args:
        matrix: Symmetric float64 (R, R); the diagonal is not looked at.

    Raises:
        ValueError: If there are fewer than three replicas: leaving one of two out leaves no pair.

    Source: Arvesen, "Jackknifing U-statistics", Ann. Math. Statist. 40 (1969).
    """
    replicas = len(matrix)
    if replicas < 3:
        raise ValueError(f"{replicas} replicas: leaving one out leaves no pair")
    centre = mean_over_pairs(matrix)
    # Distances from the mean: equal entries then give an interval of exactly no width.
    distances = matrix - centre
    np.fill_diagonal(distances, 0.0)
    of_replica = distances.sum(axis=1)
    without = (of_replica.sum() / 2 - of_replica) / ((replicas - 1) * (replicas - 2) / 2)
    error = np.sqrt((replicas - 1) / replicas * np.sum((without - without.mean()) ** 2))
    half = float(special.stdtrit(replicas - 1, (1 + CONFIDENCE) / 2) * error)
    return centre - half, centre + half
