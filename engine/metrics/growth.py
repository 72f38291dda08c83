"""Finds the part of a growing difference that is exponential, and its rate with an interval.

A difference that is no larger than rounding grows because every step rounds anew; only what is above ROUNDING counts.
The logarithm of an exponential is a line. Of all stretches in which the difference grows by a factor of LEAST_FACTOR or
more and a line explains a share of FITS of the variance of its logarithm, the one with the largest growth counts. A
power of the number of steps has none: over a factor of 10 a line explains 91 % of the logarithm of a straight growth.

The rate is the slope of the line through the inner part of it, as the curve bends where it comes out of rounding and
where it comes to its last level. Neighbouring points err alike, and what is left of the bends is no error of points at
all: the interval is made from the slopes of parts of the line, each as good as one observation, by Student's t, as with
batch means. It holds the rate of simulated curves with bends and with noise that lasts as often as it says, and more
often where the noise of neighbours is independent; docs/measures.md has the table.

Source: Schmeiser, "Batch size effects in the analysis of simulation output", Operations Research 1982, for batch means.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from engine.metrics import special
from engine.study.divergence_record import ROUNDING, Divergence, GrowthPoint, Quantity, Rate

LEAST_FACTOR = 10.0
"""By which a difference grows where that is called exponential."""

FITS = (0.999, 0.995, 0.99, 0.98)
"""Shares of the variance that a line explains: the largest counts with which it spans most of the growth."""

MOST_OF_IT = 0.7
"""Of the logarithm of the growth that the loosest of these spans: that one reaches into what is no line any more."""

LEAST_POINTS = 8

BENT = (0.1, 0.2)
"""Shares of a stretch at its beginning and at its end that the curve's bends may reach into."""

PARTS = 4
"""Of a line; as few as three where one would have less than three points."""

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
    x, y = trim_bends(steps[stretch], logarithms[stretch])
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


def trim_bends(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of a stretch between its bends; all of them where too few would be left."""
    length = x[-1] - x[0]
    inner = (x >= x[0] + BENT[0] * length) & (x <= x[-1] - BENT[1] * length)
    return (x[inner], y[inner]) if inner.sum() >= LEAST_POINTS else (x, y)


def fit_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Fit a line by least squares.

    Args:
        x: Rising, (P,); LEAST_POINTS or more.
        y: (P,).

    Returns:
        Its slope, half the width of the slope's 95 % interval by the slopes of its parts, and the share of the variance
        that it explains.
    """
    slope = fit_slope(x, y)
    residuals = y - y.mean() - slope * (x - x.mean())
    fit = 1.0 - float(residuals @ residuals) / float(np.square(y - y.mean()).sum())
    parts = min(PARTS, max(3, len(x) // 3))
    slopes = [fit_slope(*part) for part in zip(np.array_split(x, parts), np.array_split(y, parts), strict=True)]
    half = special.stdtrit(parts - 1, 0.975) * np.std(slopes, ddof=1) / np.sqrt(parts)
    return slope, float(half), fit


def fit_slope(x: np.ndarray, y: np.ndarray) -> float:
    """Return the slope of the straight line through points that is nearest by least squares."""
    apart: np.ndarray = x - x.mean()
    return float(np.sum(apart * (y - y.mean())) / np.sum(np.square(apart)))
