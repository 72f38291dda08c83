"""Mean and spread of one figure over the replicas, and how well R replicas determine it."""

from __future__ import annotations

import numpy as np

CHUNK_VALUES = 2**20
"""Resampled values that are held at once."""


def mean_of(values: np.ndarray) -> float:
    """Return the mean; of equal values exactly their value."""
    above: np.ndarray = values - values[0]
    return float(values[0] + np.mean(above))


def standard_deviation(values: np.ndarray) -> float:
    """Return the SD with ddof 0, exactly 0 for equal values whatever their mean rounds to.

    Source: the published code uses numpy.std; x0.995 of the unbiased one at R = 100.
    """
    # Distances are taken from one of the values, not from a rounded mean, so that equal values give zeros.
    return float(np.std(values - values[0]))


def bootstrap_sd_error(values: np.ndarray, *, resamples: int, seed: int) -> float:
    """Return the SD of the SD over bootstrap resamples of the replicas.

    Args:
        values: One figure per replica, float64 (R,).
        resamples: How many.
        seed: Equal seeds give equal errors, bit for bit.

    Source: the published code, 10,000 resamples. About 27 % too small at R = 10 and 4 % at R = 100.
    """
    generator = np.random.default_rng(seed)
    shifted = values - values[0]
    chunk = max(1, CHUNK_VALUES // len(values))
    deviations = np.empty(resamples)
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        drawn = generator.integers(len(values), size=(count, len(values)), dtype=np.uint16)
        deviations[start : start + count] = shifted[drawn].std(axis=1)
    return standard_deviation(deviations)
