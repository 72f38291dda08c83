"""Means over pairs of replicas, and intervals from leaving out replicas in turn.

Pairs share replicas, which intervals have to know: treating pairs as independent would cover 23–56 % instead of 95 %.
"""

from __future__ import annotations

import numpy as np

from engine.metrics import special
from engine.metrics.spread import FEWEST, Ends, half_width

ROWS_VALUES = 2**20
"""Entries of matrices over pairs that are looked at in one step, so that little stands beside the matrices."""


def mean_over_pairs(matrix: np.ndarray) -> float:
    """Return the mean of the entries above the diagonal of a symmetric (R, R) matrix; exact where they are all equal.

    Raises:
        ValueError: If there are fewer than two replicas, so no pair.
    """
    if len(matrix) < 2:
        raise ValueError(f"{len(matrix)} replicas make no pair")
    return float(_average_pairs(matrix)[0])


def _average_pairs(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over pairs (…), and for each replica the sum of its pairs' distances from that mean (…, R)."""
    replicas = matrices.shape[-1]
    first = matrices[..., 0, 1]
    # Distances from one of the entries are added up, so that equal entries have exactly their value as mean.
    sums = np.empty(matrices.shape[:-1])
    step = max(1, ROWS_VALUES // max(1, matrices.size // replicas))
    for start in range(0, replicas, step):
        rows = matrices[..., start : start + step, :] - first[..., None, None]
        place = np.arange(int(rows.shape[-2]), dtype=np.intp)
        rows[..., place, start + place] = 0.0
        sums[..., start : start + step] = rows.sum(axis=-1)
    above = sums.sum(axis=-1) / (replicas * (replicas - 1))
    return first + above, sums - (replicas - 1) * above[..., None]


def jackknife_variance(without: np.ndarray) -> np.ndarray:
    """Return the variance of an estimate from its values without each of n units in turn: (n−1)/n · Σ(U₋ᵢ − mean)².

    Args:
        without: float (n, …), the estimate without unit i in row i; further axes are estimates of their own.

    Source: Arvesen, "Jackknifing U-statistics", Ann. Math. Statist. 40 (1969).
    """
    units = len(without)
    return (units - 1) / units * np.sum((without - without.mean(axis=0)) ** 2, axis=0)


def pairs_interval(matrices: np.ndarray, bounds: tuple[float, float] | None = None) -> Ends:
    """Return the 95 % interval of a mean over pairs: mean ± t(R−1)·SE, from leaving out each replica in turn.

    Between bounds the interval is made on the scale of the log odds, log((U − low)/(high − U)), with the SE that
    belongs to it to first order: no end lies outside, and for correlations it is Fisher's z.

    Args:
        matrices: Symmetric float64 (…, R, R); the diagonals are not looked at.
        bounds: What no pair's value lies outside of.

    Raises:
        ValueError: If there are fewer than three replicas: leaving one of two out leaves no pair.
    """
    replicas = matrices.shape[-1]
    if replicas < FEWEST:
        raise ValueError(f"{replicas} replicas: leaving one out leaves no pair")
    centre, of_replica = _average_pairs(matrices)
    without = (of_replica.sum(axis=-1, keepdims=True) / 2 - of_replica) / ((replicas - 1) * (replicas - 2) / 2)
    half = half_width(jackknife_variance(np.moveaxis(without, -1, 0)), replicas - 1)
    return (centre - half, centre + half) if bounds is None else _bound(centre, half, bounds)


def _bound(centre: np.ndarray, half: np.ndarray, bounds: tuple[float, float]) -> Ends:
    """Return the ends of an interval that is centre ± half to first order, and symmetric in its log odds."""
    low, high = bounds
    below, above = centre - low, high - centre
    inside = (below > 0) & (above > 0) & (half > 0)
    below, above = np.where(inside, below, 1.0), np.where(inside, above, 1.0)
    odds, shift = np.log(below / above), half * (high - low) / (below * above)
    lower, upper = (low + (high - low) * special.expit(odds + step) for step in (-shift, shift))
    # Rounding must not put the value outside of its own interval.
    return np.where(inside, np.minimum(lower, centre), centre), np.where(inside, np.maximum(upper, centre), centre)
