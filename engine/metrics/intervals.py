"""Means over pairs of replicas, and intervals from leaving out replicas in turn.

Pairs share replicas, which intervals have to know: treating pairs as independent would cover 23–56 % instead of 95 %.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from engine.catalog.measure_declaration import CONFIDENCE
from engine.metrics.spread import mean_of


def mean_over_pairs(matrix: np.ndarray) -> float:
    """Return the mean of the entries above the diagonal of a symmetric (R, R) matrix; exact where they are all equal.

    Raises:
        ValueError: If there are fewer than two replicas, so no pair.
    """
    if len(matrix) < 2:
        raise ValueError(f"{len(matrix)} replicas make no pair")
    return mean_of(matrix[np.triu_indices(len(matrix), 1)])


def jackknife_variance(without: np.ndarray) -> np.ndarray:
    """Return the variance of an estimate from its values without each of n units in turn: (n−1)/n · Σ(U₋ᵢ − mean)².

    Args:
        without: float (n, …), the estimate without unit i in row i; further axes are estimates of their own.

    Source: Arvesen, "Jackknifing U-statistics", Ann. Math. Statist. 40 (1969).
    """
    units = len(without)
    return (units - 1) / units * np.sum((without - without.mean(axis=0)) ** 2, axis=0)


def half_width(variance: np.ndarray, freedom: int) -> np.ndarray:
    """Return half the width of the 95 % interval of an estimate with a variance of so many degrees of freedom."""
    return special.stdtrit(freedom, (1 + CONFIDENCE) / 2) * np.sqrt(variance)


def jackknife_interval(matrix: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of a mean over pairs: mean ± t(R−1)·SE, from leaving out each replica in turn.

    Args:
        matrix: Symmetric float64 (R, R); the diagonal is not looked at.

    Raises:
        ValueError: If there are fewer than three replicas: leaving one of two out leaves no pair.
    """
    replicas = len(matrix)
    if replicas < 3:
        raise ValueError(f"{replicas} replicas: leaving one out leaves no pair")
    centre = mean_over_pairs(matrix)
    # Distances from the mean are used, so that equal entries give an interval of width exactly 0.
    distances = matrix - centre
    np.fill_diagonal(distances, 0.0)
    of_replica = distances.sum(axis=1)
    without = (of_replica.sum() / 2 - of_replica) / ((replicas - 1) * (replicas - 2) / 2)
    half = float(half_width(jackknife_variance(without), replicas - 1))
    return centre - half, centre + half
