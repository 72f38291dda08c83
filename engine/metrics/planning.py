"""Finds how many replicas a question needs: the power of the test of two arms' difference, from a pilot's SD.

Power is for the true SD that is assumed; with the upper end of a pilot's SD, four plans of five keep what they promise.
"""

from __future__ import annotations

import numpy as np

from engine.metrics import special
from engine.metrics.contrasts import Variance, count_replicas, find_fewest, replica_variance, upper_sd
from engine.metrics.spread import TAIL
from engine.study.comparison_record import PowerPlan, RatioPlan

CURVE = (2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
"""Replicas of each arm that the curve of power is drawn at, as far as it goes."""

ENOUGH = 0.995
"""The curve ends where power is this large."""


def find_power(replicas: int, effect: float, *, paired: bool) -> float:
    """Return the probability that the 95 % interval of a difference leaves 0 out.

    Args:
        replicas: Of each arm, 2 or more.
        effect: The true difference in SDs of the difference of one replica of each arm.
        paired: Whether replicas are compared by seed; else both arms have the same SD.
    """
    freedom = replicas - 1 if paired else 2 * (replicas - 1)
    critical = float(special.stdtrit(freedom, 1 - TAIL))
    shift = abs(effect) * float(np.sqrt(replicas))
    below, above = special.nctdtr(freedom, shift, -critical), special.nctdtr(freedom, shift, critical)
    return float(below + 1.0 - above)


def find_equivalence_power(replicas: int, effect: float, *, paired: bool) -> float:
    """Return the probability that the 95 % interval lies within ± a margin where the arms are equal.

    Args:
        replicas: Of each arm, 2 or more.
        effect: The margin in SDs of the difference of one replica of each arm.
        paired: See `find_power`.

    Source: two one-sided tests, Schuirmann (1987), with the estimated SD taken for the true one.
    """
    freedom = replicas - 1 if paired else 2 * (replicas - 1)
    room = effect * float(np.sqrt(replicas)) - float(special.stdtrit(freedom, 1 - TAIL))
    return max(0.0, 2.0 * float(special.stdtr(freedom, room)) - 1.0)


def plan_pilot(
    one: np.ndarray, other: np.ndarray | None, *, paired: bool, margin: float, power: float, measure: str
) -> PowerPlan:
    """Return a plan from a pilot's figures.

    Args:
        one: Figures of an arm's replicas, float64 (R,), R of 2 or more.
        other: Those of the other; None where it is taken to scatter as the first does.
        paired: Whether replica r of both has the same seeds.
        margin: The smallest difference worth having, above 0.
        power: The probability with which it is to be found, between 0 and 1.
        measure: The name of the figures.
    """
    variance = replica_variance(one, one if other is None else other, paired=paired)
    if other is None:  # one variance, known from R replicas, counts twice
        variance = Variance(variance.value, len(one) - 1.0)
    counts = (len(one),) if other is None else (len(one), len(other))
    sds = float(np.sqrt(variance.value)), upper_sd(variance)
    return plan_sd(*sds, counts, paired=paired, margin=margin, power=power, measure=measure)


def plan_spread(spread: float, replicas: int | None, *, margin: float, power: float, measure: str) -> PowerPlan:
    """Return a plan from the SD of one arm's figures, where another arm scatters as much and no seeds are shared.

    Args:
        spread: SD with the number of replicas as its denominator, as tables print it; 0 or more.
        replicas: Of which it was estimated, 2 or more; None takes it for the true one.
        margin: The smallest difference worth having, above 0.
        power: The probability with which it is to be found, between 0 and 1.
        measure: The name of the figures.
    """
    if replicas is None:
        sd = sd_upper = spread * float(np.sqrt(2.0))
    else:
        variance = Variance(2.0 * spread**2 * replicas / (replicas - 1), replicas - 1.0)
        sd, sd_upper = float(np.sqrt(variance.value)), upper_sd(variance)
    counts = () if replicas is None else (replicas,)
    return plan_sd(sd, sd_upper, counts, paired=False, margin=margin, power=power, measure=measure)


def find_ratio_power(replicas: int, ratio: float) -> float:
    """Return the probability that an F test of 5 % tells two SDs apart.

    Args:
        replicas: Of each arm, 2 or more, with normal figures.
        ratio: The true ratio of the larger SD to the smaller, 1 or more.
    """
    freedom = replicas - 1
    critical = float(special.fdtri(freedom, freedom, 1 - TAIL))
    above = float(special.fdtrc(freedom, freedom, critical / ratio**2))
    return above + float(special.fdtr(freedom, freedom, 1.0 / critical / ratio**2))


def plan_ratio(ratio: float, power: float) -> RatioPlan:
    """Return how many replicas tell two SDs of such a ratio apart.

    Args:
        ratio: Above 1.
        power: The probability with which that is to happen, between 0 and 1.
    """
    curve: list[tuple[int, float]] = []
    for replicas in CURVE:
        curve.append((replicas, find_ratio_power(replicas, ratio)))
        if curve[-1][1] >= ENOUGH:
            break
    found = find_fewest(lambda replicas: find_ratio_power(replicas, ratio) >= power)
    return RatioPlan(ratio=ratio, power=power, replicas=found, curve=tuple(curve))


def plan_sd(
    sd: float, sd_upper: float, n: tuple[int, ...], *, paired: bool, margin: float, power: float, measure: str
) -> PowerPlan:
    """Return a plan from an SD of the difference of one replica of each arm; `sd_upper` is planned with."""
    effect = margin / sd_upper if sd_upper > 0 else np.inf
    curve: list[tuple[int, float]] = []
    for replicas in CURVE:
        curve.append((replicas, 1.0 if np.isinf(effect) else find_power(replicas, effect, paired=paired)))
        if curve[-1][1] >= ENOUGH:
            break
    found = equal = 2
    if not np.isinf(effect):
        found = find_fewest(lambda replicas: find_power(replicas, effect, paired=paired) >= power)
        equal = find_fewest(lambda replicas: find_equivalence_power(replicas, effect, paired=paired) >= power)
    return PowerPlan(
        measure=measure,
        margin=margin,
        power=power,
        n=n,
        paired=paired,
        sd=sd,
        sd_upper=sd_upper,
        replicas=found,
        replicas_equal=equal,
        replicas_width=count_replicas(sd_upper, margin, paired=paired),
        curve=tuple(curve),
    )
