"""The probability that a replica of one arm has a higher figure than one of another, with its interval."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from engine.catalog.measure_declaration import CONFIDENCE
from engine.study.metrics_record import Interval
from tui.text.contrasts import NORMAL


def find_superiority(one: Sequence[float], other: Sequence[float]) -> tuple[float, Interval | None] | None:
    """Return P(first > second), ties counting half, and its 95 % interval.

    The interval is None where all or none of the pairs are won, which leaves its width unknown.

    Args:
        one: The figures of the first arm's replicas.
        other: Those of the second.

    Returns:
        None where an arm has no figure.

    Source: Mann & Whitney (1947); DeLong et al. (1988) for the variance, on the log odds.
    """
    if not one or not other:
        return None
    first = _place(one, other)
    second = [1.0 - share for share in _place(other, one)]
    value = sum(first) / len(first)
    if not 0.0 < value < 1.0 or min(len(one), len(other)) < 3:
        return value, None
    variance = _vary(first, value) / len(first) + _vary(second, value) / len(second)
    reach = NORMAL.inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(variance) / (value * (1.0 - value))
    odds = math.log(value / (1.0 - value))
    low, high = (1.0 / (1.0 + math.exp(-end)) for end in (odds - reach, odds + reach))
    return value, (low, high)


def _place(figures: Sequence[float], others: Sequence[float]) -> list[float]:
    """Return the share of others that each figure is above, ties counting half."""
    ordered = sorted(others)
    return [(bisect_left(ordered, one) + bisect_right(ordered, one)) / (2 * len(ordered)) for one in figures]


def _vary(shares: Sequence[float], mean: float) -> float:
    return sum((share - mean) ** 2 for share in shares) / (len(shares) - 1)
