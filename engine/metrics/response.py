"""Fits how a small difference between two trainings grows: its rate, its end, and what the end owes to the size.

Distances are those of weights, relative to their size. The rate is that of the stretch in which the difference grows
exponentially, which `engine.metrics.growth` finds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.metrics.growth import LEAST_POINTS, MOST_POINTS, find_stretch, fit_slope, trim_bends
from engine.metrics.spread import FEWEST, mean_interval
from engine.study.divergence_record import ROUNDING
from engine.study.estimate import Estimate

LEVEL_SHARE = 0.25
"""The last part of a training whose distances are its last level."""

NEAR = 2.0
"""A difference has come to its last level once it is within this factor of it."""

GROWN = 10.0
"""A difference that is at most so many times as large at the end as at the beginning has not grown."""


@dataclass(frozen=True)
class GrowthFit:
    """The growth of one difference."""

    size: float
    """The distance at the beginning."""
    level: float
    """The distance at the end: the geometric mean over the last part of the training."""
    rate: float | None
    """Of the distance's natural logarithm, per step; None where the difference does not grow exponentially."""
    saturation_step: int | None
    """Steps from the beginning until the distance is near its last level; None where it does not grow."""

    @property
    def doubling_steps(self) -> float | None:
        """Steps in which the distance doubles; None where it does not grow exponentially."""
        return None if self.rate is None else math.log(2) / self.rate


def fit_growth(steps: np.ndarray, distances: np.ndarray) -> GrowthFit | None:
    """Fit the growth of one difference.

    Args:
        steps: Steps since the difference was made, (T,), rising from 0.
        distances: Relative distances after these steps, (T,); the first one is the size of what was done.

    Returns:
        The fit; None below three distances that are above 0 and finite, or where the first is not.
    """
    known = np.isfinite(distances) & (distances > 0)
    if known.sum() < FEWEST or not known[0]:
        return None
    at, logs = steps[known].astype(np.float64), np.log(distances[known])
    last = max(1, math.ceil(LEVEL_SHARE * len(logs)))
    level = float(logs[-last:].mean())
    size = float(logs[0])
    fields = {"size": math.exp(size), "level": math.exp(level)}
    if level - size <= math.log(GROWN):
        return GrowthFit(**fields, rate=None, saturation_step=None)
    end = int(np.argmax(logs >= level - math.log(NEAR)))
    rising = np.flatnonzero(distances[known][: end + 1] > ROUNDING)
    chosen = rising[np.unique(np.linspace(0, len(rising) - 1, min(len(rising), MOST_POINTS)).round().astype(np.intp))]
    stretch = find_stretch(at[chosen], logs[chosen]) if len(chosen) >= LEAST_POINTS else None
    rate = None if stretch is None else fit_slope(*trim_bends(at[chosen][stretch], logs[chosen][stretch]))
    return GrowthFit(**fields, rate=rate, saturation_step=int(at[end] - at[0]))


def average_logs(values: list[float]) -> Estimate:
    """Return the geometric mean of positive values with its 95 % interval: Student's t of the logarithms.

    One of two values or fewer has no interval; without values there is nothing.
    """
    if not values:
        return Estimate()
    logs = np.log(np.array(values))
    if len(logs) < FEWEST:
        return Estimate(math.exp(logs.mean()))
    low, high = mean_interval(logs)
    return Estimate(math.exp(logs.mean()), interval=(math.exp(low), math.exp(high)))


def average(values: list[float]) -> Estimate:
    """Return the mean of values with its 95 % interval, Student's t; see `average_logs` for few of them."""
    if not values:
        return Estimate()
    array = np.array(values)
    if len(array) < FEWEST:
        return Estimate(float(array.mean()))
    low, high = mean_interval(array)
    return Estimate(float(array.mean()), interval=(float(low), float(high)))


def fit_exponent(sizes: np.ndarray, outcomes: np.ndarray) -> Estimate:
    """Return a in outcome ∝ size^a, the mean over replicas of each one's slope, with its 95 % interval.

    Near 1 the end is proportional to what was done, as in a stable system; near 0 it does not depend on it. Replicas
    are independent, and the sizes of one replica are not: each has one slope, by least squares on the logarithms.

    Args:
        sizes: What was done, above 0, (R, S): a replica's at each of S sizes.
        outcomes: What came of it, (R, S); above 0.
    """
    if sizes.shape[1] < FEWEST:
        return Estimate()
    return average([fit_slope(np.log(x), np.log(y)) for x, y in zip(sizes, outcomes, strict=True)])
