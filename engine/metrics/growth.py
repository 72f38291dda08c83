"""Finds the part of a growing difference that is exponential, and its rate with an interval.

A difference that is no larger than rounding grows because every step rounds anew; only what is above ROUNDING counts.
The logarithm of an exponential is a line. Of all stretches in which the difference grows by a factor of LEAST_FACTOR or
more and a line explains a share of FITS of the variance of its logarithm, the one with the largest growth counts. A
power of the number of steps has none: over a factor of 10 a line explains 91 % of the logarithm of a straight growth.

Neighbouring points are not independent: their residuals go the same way. The standard error counts as many points as
would be with residuals that have nothing to do with each other.

Source: Santer et al., "Statistical significance of trends and trend differences in layer-average atmospheric
temperature time series", JGR 2000, equations 4 to 6, for the effective number of points.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from scipy import stats

from engine.study.divergence_record import ROUNDING, Divergence, GrowthPoint, Quantity, Rate

LEAST_FACTOR = 10.0
"""By which a difference grows where that is called exponential."""

FITS = (0.999, 0.995, 0.99, 0.98)
"""Shares of the variance that a line explains: the largest counts with which it spans most of the growth."""

MOST_OF_IT = 0.7
"""Of the logarithm of the growth that the loosest of these spans: that one reaches into what is no line any more."""

LEAST_POINTS = 8

MOST_POINTS = 400
"""Points among which a stretch is looked for; of more, evenly spaced ones."""


def add_rates(found: Divergence) -> Divergence:
    """Return what was found out about two runs with the rates at which weights and logits part."""
    rates = [fit_rate(found.growth, "weights"), fit_rate(found.growth, "logits")]
    return msgspec.structs.replace(found, rates=tuple(rate for rate in rates if rate is not None))


def fit_rate(points: Sequence[GrowthPoint], quantity: Quantity) -> Rate | None:
    """Return the rate of a difference where it grows exponentially; None where it does not."""
    known = [(float(one.step), value) for one in points if (value := find_grown(one, quantity)) is not None]
    if len(known) < LEAST_POINTS:
        return None
    chosen = np.unique(np.linspace(0, len(known) - 1, min(len(known), MOST_POINTS)).round().astype(int))
    steps, values = np.array(known).T[:, chosen]
    logarithms = np.log(values)
    stretch = find_stretch(steps, logarithms)
    if stretch is None:
        return None
    x, y = steps[stretch], logarithms[stretch]
    slope, half, fit = fit_line(x, y)
    return Rate(
        quantity=quantity,
        per_step=slope,
        interval=(slope - half, slope + half),
        steps=(int(x[0]), int(x[-1])),
        points=len(x),
        fit=fit,
    )


def find_grown(point: GrowthPoint, quantity: Quantity) -> float | None:
    """Return how large a difference is; None where it was not measured, or is no larger than rounding."""
    relative = point.relative if quantity == "weights" else point.logits_relative
    if relative is None or relative <= ROUNDING:
        return None
    return point.weights if quantity == "weights" else point.logits


def find_stretch(steps: np.ndarray, logarithms: np.ndarray) -> slice | None:
    """Return where a line of the largest growth lies; None where there is no such line. See above."""
    sums = [np.concatenate([[0.0], np.cumsum(part)]) for part in _centre(steps, logarithms)]
    first, last = np.triu_indices(len(steps), LEAST_POINTS - 1)
    count = last - first + 1
    x, y, xx, xy, yy = (total[last + 1] - total[first] for total in sums)
    across, along, up = xx - x * x / count, xy - x * y / count, yy - y * y / count
    with np.errstate(divide="ignore", invalid="ignore"):
        slope, fit = along / across, along * along / (across * up)
    growth = slope * (steps[last] - steps[first])
    growth = np.where(growth >= np.log(LEAST_FACTOR), growth, -np.inf)
    loosest = growth.max(initial=-np.inf, where=fit >= FITS[-1])
    for least in FITS if np.isfinite(loosest) else ():
        lines = np.where(fit >= least, growth, -np.inf)
        best = int(lines.argmax())
        if lines[best] >= MOST_OF_IT * loosest:
            return slice(int(first[best]), int(last[best]) + 1)
    return None


def _centre(steps: np.ndarray, logarithms: np.ndarray) -> list[np.ndarray]:
    """Return what the sums of least squares are of, from values near 0, so that few digits cancel."""
    x, y = steps - steps.mean(), logarithms - logarithms.mean()
    return [x, y, x * x, x * y, y * y]


def fit_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Fit a line by least squares.

    Returns:
        Its slope, half the width of the slope's 95 % interval, and the share of the variance that it explains.
    """
    across, up = x - x.mean(), y - y.mean()
    slope = float(across @ up / (across @ across))
    residuals = up - slope * across
    left = float(residuals @ residuals)
    fit = 1.0 - left / float(up @ up)
    points = _count_independent(residuals)
    if left == 0.0 or points <= 2:
        return slope, 0.0 if left == 0.0 else float("inf"), fit
    error = np.sqrt(left / (points - 2) / (across @ across))
    return slope, float(stats.t.ppf(0.975, points - 2) * error), fit


def _count_independent(residuals: np.ndarray) -> float:
    """Return how many points without correlation say as much as these; three at least."""
    size = float(residuals @ residuals)
    correlation = max(0.0, float(residuals[1:] @ residuals[:-1]) / size) if size else 0.0
    return max(3.0, len(residuals) * (1.0 - correlation) / (1.0 + correlation))
