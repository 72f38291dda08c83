"""Says when two arms are told apart, or are equal enough, while pairs of their replicas are still being trained.

A pair is replica r of both arms. Pairs count in the order of their numbers, whatever order they finish in, so that
the end is a function of their figures alone: the same on any number of slots.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

ALPHA = 0.05
"""How often at most an interval that is looked at after every pair may ever leave the truth out."""

MIXTURE = 1.0
"""Effect sizes that the interval is best for: normal with the variance 1 / MIXTURE, in SDs."""

MOST_PAIRS = 10**6
"""More than anybody trains."""

End = Literal["a difference", "no difference that matters"]
"""What ends the training of pairs early."""


@dataclass(frozen=True)
class Round:
    """The difference of two arms after a number of pairs, as one may look at it after each."""

    pairs: int
    difference: float
    """Mean of A less B, in the measure's unit."""
    half: float
    """Half the width of its interval; infinite of so few pairs that they show nothing."""
    sd: float
    """Of the differences of the pairs so far, ddof 1."""

    @property
    def ends(self) -> tuple[float, float]:
        """The interval."""
        return self.difference - self.half, self.difference + self.half

    def find_end(self, margin: float | None) -> End | None:
        """Say whether this is enough: 0 is outside of the interval, or all of it within ± the margin."""
        low, high = self.ends
        if not low <= 0.0 <= high:
            return "a difference"
        if margin is not None and -margin <= low and high <= margin:
            return "no difference that matters"
        return None


def find_factor(pairs: int) -> float:
    """Return the half width of the interval in standard errors of the mean difference, after 2 or more pairs.

    It is a mixture over effect sizes, normal with variance 1/MIXTURE, whose scale is integrated out: with a probability
    of 1 − ALPHA none of the intervals after 2, 3, 4, … pairs leaves the truth out, for normal differences exactly.

    Source: Lai (1976), "On confidence sequences"; Wang & Ramdas (2023), anytime-valid t-tests.
    """
    ratio = MIXTURE / (pairs + MIXTURE)
    kept = (ALPHA**2 * ratio) ** (1.0 / pairs)
    return math.inf if kept <= ratio else math.sqrt((pairs - 1) * (1 - kept) / (kept - ratio))


def find_rounds(differences: Sequence[float]) -> list[Round]:
    """Return the rounds after 2, 3, 4, … pairs, from the difference of each, A less B, in order."""
    rounds: list[Round] = []
    base, total, squares = (differences[0] if differences else 0.0), 0.0, 0.0
    for pairs, value in enumerate(differences, start=1):
        # Welford's way, from the first difference on: equal ones have an SD of exactly 0.
        step = value - base - (total / (pairs - 1) if pairs > 1 else 0.0)
        total += value - base
        squares += step * (value - base - total / pairs)
        if pairs > 1:
            factor, sd = find_factor(pairs), math.sqrt(max(0.0, squares) / (pairs - 1))
            half = math.inf if math.isinf(factor) else factor * sd / math.sqrt(pairs)
            rounds.append(Round(pairs, base + total / pairs, half, sd))
    return rounds


def find_first_end(rounds: Iterable[Round], margin: float | None) -> Round | None:
    """Return the first round that is enough; None where none is."""
    return next((one for one in rounds if one.find_end(margin) is not None), None)


def find_pairs_needed(sd: float, width: float) -> int | None:
    """Count the pairs after which the half width of the interval is at most a width.

    Args:
        sd: Of the differences of pairs.
        width: Above 0.

    Returns:
        None where that would take more pairs than anybody trains.
    """

    def holds(pairs: int) -> bool:
        factor = find_factor(pairs)
        return math.isfinite(factor) and factor * sd <= width * math.sqrt(pairs)

    low = high = 2
    while not holds(high):
        low, high = high, 2 * high
        if high > MOST_PAIRS:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return high
