"""Mean and spread of one figure over the replicas, and how well R replicas determine them.

Functions that make intervals take the replicas on the last axis, float (…, R), and return arrays (…) of the two ends.
How often these hold what they are intervals of is simulated in tests/helpers/coverage.py and told in docs/measures.md.
"""

from __future__ import annotations

import numpy as np

from engine.catalog.measure_declaration import CONFIDENCE
from engine.metrics import special

CHUNK_VALUES = 2**20
"""Resampled values that are held at once."""

FEWEST = 3
"""Replicas that an interval needs; two would give SDs one from 0.45 to 32 times the value."""

KURTOSIS_WEIGHT = 2.5
"""Multiplies the excess kurtosis that was seen, since few values show too little of a heavy tail; from simulation."""

LEAST_KURTOSIS = 0.15
"""The excess kurtosis that is assumed at least; from simulation."""

TAIL = (1 - CONFIDENCE) / 2

Ends = tuple[np.ndarray, np.ndarray]


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
    """Return the SD of the SD over bootstrap resamples of the replicas, the error that the paper prints.

    It is too small for few replicas: of normal values by 22 % at R = 3, 16 % at R = 10 and 3 % at R = 100.

    Args:
        values: One figure per replica, float64 (R,).
        resamples: How many.
        seed: Equal seeds give equal errors, bit for bit.

    Source: the published code, 10,000 resamples.
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


def half_width(variance: np.ndarray, freedom: np.ndarray | float) -> np.ndarray:
    """Return half the width of the 95 % interval of an estimate with a variance of so many degrees of freedom."""
    return special.stdtrit(freedom, 1 - TAIL) * np.sqrt(variance)


def mean_interval(values: np.ndarray) -> Ends:
    """Return the 95 % interval of the mean: mean ± t(R−1)·s/√R."""
    replicas = values.shape[-1]
    first = values[..., :1]
    centre = first[..., 0] + (values - first).mean(axis=-1)
    half = half_width(_variance(values) / replicas, replicas - 1)
    return centre - half, centre + half


def sd_interval(values: np.ndarray) -> Ends:
    """Return the 95 % interval of the SD of what the values are drawn from; of equal values 0 to 0.

    The sum of squares is taken as σ²·χ² with ν/(R−1) of its nominal degrees of freedom: ν = R − 1 for a normal
    distribution, fewer for one with heavier tails.

    Source: chi-square with adjusted degrees of freedom, Hummel, Banga & Hettmansperger (2005); weight and least
    kurtosis are our own, see docs/measures.md.
    """
    low, high = variance_ends(_variance(values), count_freedom(values))
    return np.sqrt(low), np.sqrt(high)


def variance_ends(variance: np.ndarray, freedom: np.ndarray | float) -> Ends:
    """Return the 95 % interval of a variance from its estimate with so many degrees of freedom."""
    # chdtri takes the probability of the upper tail.
    return variance * freedom / special.chdtri(freedom, TAIL), variance * freedom / special.chdtri(freedom, 1 - TAIL)


def count_freedom(values: np.ndarray, freedom: int | None = None) -> np.ndarray:
    """Return the degrees of freedom ν of the values' variance, from their kurtosis: (R−1) / (1 + excess·(R−1)/2R).

    Var(s²)/σ⁴ = 2/(R−1) + excess/R is that of a chi-square with ν degrees of freedom, divided by ν.

    Args:
        values: float (…, R).
        freedom: Those of a normal distribution; R − 1 where none are given.
    """
    replicas = values.shape[-1]
    nominal = replicas - 1 if freedom is None else freedom
    distances = values - values[..., :1]
    squares = np.square(distances - distances.mean(axis=-1, keepdims=True))
    second = squares.mean(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        plain = np.square(squares).mean(axis=-1) / np.square(second) - 3
    # Three values always have the plain kurtosis 1.5, and this is 0 for them: they show nothing of the tails.
    # Equal values show nothing either: their kurtosis is none.
    shown = KURTOSIS_WEIGHT * ((replicas + 1) * np.nan_to_num(plain) + 6) / max(1, replicas - 2)
    excess = np.maximum(shown, LEAST_KURTOSIS)
    return nominal / (1 + excess * nominal / (2 * (nominal + 1)))


def count_joint_freedom(values: np.ndarray) -> float:
    """Return the degrees of freedom ν of the mean variance of several figures of each replica; of one as above.

    Figures that move independently determine their mean variance as K times as many replicas would; those that move
    as one no better than one does. Their effective number is tr(Σ)²/tr(Σ²), Σ their covariance: between its estimate
    from few replicas, which is too small, and the one without that bias, which scatters, it is the geometric mean, and
    errs on the wide side. Heavy tails show in the squared distances of the replicas from their mean.

    Args:
        values: float (R, K) with R of 3 or more.
    """
    replicas, figures = values.shape
    nominal = replicas - 1
    effects = values - values.mean(axis=0)
    gram = effects @ effects.T
    trace, squares = float(np.trace(gram)), float(np.square(gram).sum())
    if trace <= 0.0:
        return float(nominal)
    seen = trace**2 / squares
    unbiased = (squares - trace**2 / nominal) / ((nominal - 1) * (nominal + 2))
    plain = trace**2 / nominal**2 / unbiased if unbiased > 0 else figures
    count = float(np.sqrt(seen * np.clip(plain, 1.0, figures)))
    lengths = np.diagonal(gram)
    tails = np.square(lengths).mean() / lengths.mean() ** 2
    normal = nominal * (count + 2) / (count * nominal + 2)
    shown = KURTOSIS_WEIGHT * (replicas + 1) * (tails - normal) / max(1, replicas - 2)
    excess = max(float(shown), LEAST_KURTOSIS / count)
    return 2.0 / (2.0 / (count * nominal) + excess / replicas)


def _variance(values: np.ndarray) -> np.ndarray:
    """Return the variance with ddof 1, exactly 0 of equal values."""
    return np.var(values - values[..., :1], axis=-1, ddof=1)
