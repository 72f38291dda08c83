"""Contrasts of two arms in one measure: how far they are apart, whether chance explains it, how many replicas tell.

Figures are compared by their difference; SDs, and disagreements that are not 0, by their ratio on the logarithm. Plain
arithmetic, no numpy. Arms are taken as independent; see `tui.text.compare`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

from engine.catalog.measure_declaration import CONFIDENCE, POWER, Measure
from engine.study.estimate import Interval
from engine.study.metrics_record import ArmMeasures
from tui.text.differences import Side, divide, find_side, student_quantile, subtract, unbias, welch_freedom

MOST_REPLICAS = 100_000
"""More replicas than this are not worth naming."""

NORMAL = NormalDist()


@dataclass(frozen=True)
class Contrast:
    """Two arms in one measure."""

    one: ArmMeasures
    other: ArmMeasures
    measure: Measure
    is_ratio: bool
    """Whether the first is divided by the second; otherwise the second is taken from it."""
    value: float
    interval: Interval
    """95 %."""
    chance: float
    """The probability of a value as far out or farther where the arms are equal, from 0 to 1."""
    more: int | None
    """Replicas that each arm needs on top of its own, so that a value as large as this is found with `POWER` at 5 %;
    0 where it has them, None where no number helps."""

    @property
    def is_seen(self) -> bool:
        """Tell whether the interval leaves out what equal arms have."""
        equal = 1.0 if self.is_ratio else 0.0
        return not self.interval[0] <= equal <= self.interval[1]


def contrast(one: ArmMeasures, other: ArmMeasures, measure: Measure) -> Contrast | None:
    """Compare two arms; None where one has no interval, or no spread that a ratio could be made of."""
    first, second = (find_side(arm.find(measure.key), arm.n) for arm in (one, other))
    if first is None or second is None:
        return None
    if measure.statistic == "sd":
        return _divide_sds(one, other, measure, unbias(first), unbias(second))
    if _is_share(measure):
        return _divide_shares(one, other, measure, first, second)
    interval = subtract(first, second)
    difference = first.value - second.value
    freedom = welch_freedom(first, second)
    reach = difference - interval[0] if difference > 0 else interval[1] - difference
    return Contrast(
        one, other, measure, False, difference, interval,
        find_student_chance(difference, reach, freedom), count_more(difference, reach, freedom, (first, second)),
    )  # fmt: skip


def _is_share(measure: Measure) -> bool:
    """Tell whether a mean over pairs has a natural zero, so that ratios say how much larger one is."""
    return measure.statistic == "pairs" and measure.bounds is not None and measure.bounds[0] == 0


def _divide_sds(one: ArmMeasures, other: ArmMeasures, measure: Measure, first: Side, second: Side) -> Contrast | None:
    """Compare two SDs with R − 1 by their ratio."""
    interval = divide(first, second)
    if interval is None:
        return None
    ratio = first.value / second.value
    logarithm = math.log(ratio)
    reach = logarithm - math.log(interval[0]) if logarithm > 0 else math.log(interval[1]) - logarithm
    # The logarithm of an SD is about normal, and its interval already knows of few replicas.
    chance = 2 * NORMAL.cdf(-abs(logarithm) / reach * NORMAL.inv_cdf((1 + CONFIDENCE) / 2)) if reach > 0 else 0.0
    more = count_more(logarithm, reach, math.inf, (first, second))
    return Contrast(one, other, measure, True, ratio, interval, chance, more)


def _divide_shares(
    one: ArmMeasures, other: ArmMeasures, measure: Measure, first: Side, second: Side
) -> Contrast | None:
    """Compare two shares by their ratio, with Welch's degrees of freedom; None where one of them is 0."""
    if min(first.value, second.value, first.interval[0], second.interval[0]) <= 0:
        return None
    logs = [Side(math.log(s.value), (math.log(s.interval[0]), math.log(s.interval[1])), s.n) for s in (first, second)]
    low, high = subtract(*logs)
    logarithm, freedom = logs[0].value - logs[1].value, welch_freedom(*logs)
    reach = logarithm - low if logarithm > 0 else high - logarithm
    return Contrast(
        one, other, measure, True, math.exp(logarithm), (math.exp(low), math.exp(high)),
        find_student_chance(logarithm, reach, freedom), count_more(logarithm, reach, freedom, (first, second)),
    )  # fmt: skip


def find_student_chance(difference: float, reach: float, freedom: float) -> float:
    """Return the two-sided probability of a difference, from the reach of its 95 % interval towards 0."""
    if reach <= 0:
        return 1.0 if difference == 0 else 0.0
    return student_tails(abs(difference) / reach * student_quantile(freedom), freedom)


def student_tails(t: float, freedom: float) -> float:
    """Return the probability that Student's t is farther from 0 than `t`, on either side.

    Source: the regularised incomplete beta function by its continued fraction, DLMF 8.17.22.
    """
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    if x <= 0 or x >= 1:
        return min(1.0, max(0.0, x))
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    return front / _evaluate_fraction(a, b, x)


def _evaluate_fraction(a: float, b: float, x: float) -> float:
    """Evaluate 1 + d1/(1 + d2/(1 + …)), from its end, with more terms than any x on this side needs."""
    value = 1.0
    for term in range(400, 0, -1):
        m = term // 2
        if term % 2:
            factor = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            factor = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        value = 1.0 + factor / value
    return value


def count_more(difference: float, reach: float, freedom: float, sides: Sequence[Side]) -> int | None:
    """Return how many replicas each arm needs beside its own, so that `POWER` finds a difference as large as this.

    Errors shrink with the root of the number of replicas, and those of the arm with fewer count.

    Args:
        difference: The difference, or the logarithm of the ratio.
        reach: How far its 95 % interval reaches towards 0.
        freedom: The degrees of freedom of the reach; infinite where it is normal.
        sides: Both arms.
    """
    if difference == 0:
        return None
    half = NORMAL.inv_cdf((1 + CONFIDENCE) / 2)
    error = reach / (half if math.isinf(freedom) else student_quantile(freedom))
    n = min(side.n for side in sides)
    needed = n * ((half + NORMAL.inv_cdf(POWER)) * error / abs(difference)) ** 2
    return None if needed > MOST_REPLICAS else max(0, math.ceil(needed) - n)


def contrast_all(arms: Iterable[ArmMeasures], measure: Measure) -> list[Contrast]:
    """Return the contrast of every two arms that have one."""
    found = (contrast(one, other, measure) for one, other in combinations(arms, 2))
    return [one for one in found if one is not None]


def adjust(chances: Sequence[float]) -> list[float]:
    """Return p-values that hold for all comparisons at once, in the order given.

    Source: Holm (1979).
    """
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    adjusted, highest = [1.0] * len(chances), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, chances[place] * (len(chances) - rank))
        adjusted[place] = min(1.0, highest)
    return adjusted


def correct(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Return the contrasts that several comparisons at once do not explain, the surest first.

    The chance of even one false one among those returned is 5 % at most.
    """
    adjusted = adjust([one.chance for one in contrasts])
    found = [one for one, chance in zip(contrasts, adjusted, strict=True) if chance <= 1 - CONFIDENCE]
    return sorted(found, key=lambda one: one.chance)
