"""Intervals of the difference or the ratio of two arms' figures, from the interval of each; plain arithmetic, no numpy.

How often they hold what they are intervals of, where two arms are equal, is in docs/measures.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from engine.catalog.measure_declaration import CONFIDENCE
from engine.study.estimate import Estimate, Interval


@dataclass(frozen=True)
class Side:
    """One figure of one arm."""

    value: float
    interval: Interval
    """95 %."""
    n: int
    """Replicas, 3 or more."""


def find_side(estimate: Estimate, n: int) -> Side | None:
    """Return an estimate as one side of a comparison; None without an interval, which one replica cannot have."""
    if estimate.value is None or estimate.interval is None or n < 2:
        return None
    return Side(estimate.value, estimate.interval, n)


def unbias(side: Side) -> Side:
    """Return an SD that was taken with R in the denominator as one with R − 1, around which its interval is made."""
    return Side(side.value * math.sqrt(side.n / (side.n - 1)), side.interval, side.n)


def student_quantile(freedom: float) -> float:
    """Return what Student's t stays below in size with a probability of 95 %, for 1 degree of freedom and more.

    Source: Hill, "Algorithm 396: Student's t-quantiles", Communications of the ACM 13 (1970); exact for 1 and 2, off
    by 0.04 % at most between 2 and 3 and far less above.
    """
    tails = 1 - CONFIDENCE
    if freedom < 1.5:
        return 1 / math.tan(tails * math.pi / 2)
    if freedom <= 2:
        return math.sqrt(2 / (tails * (2 - tails)) - 2)
    a = 1 / (freedom - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * freedom
    x = d * tails
    y = x ** (2 / freedom)
    if y > 0.05 + a:
        x = NormalDist().inv_cdf(tails / 2)
        y = x * x
        if freedom < 5:
            c += 0.3 * (freedom - 4.5) * (x + 0.6)
        c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y * y)
    else:
        first = 1 / (((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3) + 0.5 / (freedom + 4)
        y = (first * y - 1) * (freedom + 1) / (freedom + 2) + 1 / y
    return math.sqrt(freedom * y)


def welch_freedom(one: Side, other: Side) -> float:
    """Return the degrees of freedom of the difference of two means; 0 where neither has an interval of any width.

    Source: Welch (1947).
    """
    sizes = [(side.interval[1] - side.interval[0]) / 2 / student_quantile(side.n - 1) for side in (one, other)]
    squares = [size * size for size in sizes]
    parts = sum(square**2 / (side.n - 1) for square, side in zip(squares, (one, other), strict=True))
    return sum(squares) ** 2 / parts if parts > 0 else 0.0


def subtract(one: Side, other: Side) -> Interval:
    """Return the 95 % interval of the difference of two means, over replicas or pairs of them, of independent arms.

    The distances to the ends of both intervals are added in quadrature, each on the side where it matters, after both
    were brought to the degrees of freedom of the difference.

    Source: Zou & Donner (2008) for the ends, Welch (1947) for the degrees of freedom.
    """
    freedom = welch_freedom(one, other)
    common = student_quantile(freedom) if freedom > 0 else 0.0
    below, above = _reach(one), _reach(other)
    scales = [common / student_quantile(side.n - 1) for side in (one, other)]
    difference = one.value - other.value
    return (
        difference - math.hypot(below[0] * scales[0], above[1] * scales[1]),
        difference + math.hypot(below[1] * scales[0], above[0] * scales[1]),
    )


def divide(one: Side, other: Side) -> Interval | None:
    """Return the 95 % interval of the ratio of two SDs with R − 1 of independent arms; None where one is 0.

    The distances to the ends of both intervals are added in quadrature on the logarithmic scale.

    Source: Zou & Donner (2008).
    """
    if min(one.value, other.value, one.interval[0], other.interval[0]) <= 0:
        return None
    logs = [Side(math.log(s.value), (math.log(s.interval[0]), math.log(s.interval[1])), s.n) for s in (one, other)]
    first, second = map(_reach, logs)
    ratio = logs[0].value - logs[1].value
    return math.exp(ratio - math.hypot(first[0], second[1])), math.exp(ratio + math.hypot(first[1], second[0]))


def _reach(side: Side) -> Interval:
    return side.value - side.interval[0], side.interval[1] - side.value


def differs_from_published(side: Side, value: float, error: float | None, replicas: int, rounding: float) -> bool:
    """Tell whether a published figure is farther from a measured one than both their errors explain, at 95 %.

    Args:
        side: The measurement; of an SD with R in the denominator, as published ones are.
        value: The published figure.
        error: The SD of a published SD over bootstrap resamples; None of other figures, whose error over replicas is
            taken to be that of the measurement, for the published number of replicas.
        replicas: The published number of replicas.
        rounding: Half a unit of the last published digit: the nearest value that is printed so is compared.
    """
    nearest = min(max(side.value, value - rounding), value + rounding)
    if nearest == side.value:
        return False
    if error is None:
        more = math.sqrt(1 + side.n / replicas)
        below, above = _reach(side)
        return not side.value - more * below <= nearest <= side.value + more * above
    if replicas < 2 or min(side.value, value) <= 0:
        return True
    reach = math.exp(student_quantile(replicas - 1) * error / value)
    published = unbias(Side(nearest, (nearest, nearest), replicas))
    ends = divide(unbias(side), Side(published.value, (published.value / reach, published.value * reach), replicas))
    return ends is None or not ends[0] <= 1 <= ends[1]
