"""The difference of two arms' means, on one test set, on new examples, or while looking; how often one beats the other.

Figures of replicas stand on the last axis, float (…, R); tables of scores are (R, N), a row per replica and a column
per example. tests/helpers/contrast_coverage.py simulates how often these intervals hold what they are intervals of.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.metrics import special
from engine.metrics.spread import CONFIDENCE, Ends, half_width
from engine.study.comparison_record import MOST_REPLICAS
from engine.study.rounds import find_factor

UPPER = 0.2
"""An SD is planned with at the upper end of its one-sided interval of 1 − UPPER: pilots show too small ones half the
time."""


@dataclass(frozen=True)
class Variance:
    """An estimated variance of the difference of two means."""

    value: np.ndarray | float
    freedom: np.ndarray | float
    """Degrees of freedom of the estimate."""


def mean_variance(figures: np.ndarray) -> np.ndarray:
    """Return the estimated variance of the mean of R figures, (…); exactly 0 of equal figures."""
    return np.var(figures - figures[..., :1], axis=-1, ddof=1) / figures.shape[-1]


def add_variances(variances: np.ndarray, freedoms: np.ndarray) -> Variance:
    """Return the sum of independent estimates (K, …) with the degrees of freedom of the sum.

    Source: Satterthwaite (1946), Welch (1947).
    """
    total: np.ndarray = variances.sum(axis=0)
    parts: np.ndarray = (np.square(variances) / freedoms).sum(axis=0)
    freedom: np.ndarray = np.where(parts > 0, np.square(total) / np.where(parts > 0, parts, 1.0), freedoms.min())
    return Variance(total, freedom)


def difference_variance(one: np.ndarray, other: np.ndarray, *, paired: bool) -> Variance:
    """Return the variance of the difference of two means over new replicas; see `difference_interval`."""
    if paired:
        return Variance(mean_variance(one - other), one.shape[-1] - 1.0)
    return add_variances(np.stack([mean_variance(one), mean_variance(other)]), _count_freedoms(one, other))


def replica_variance(one: np.ndarray, other: np.ndarray, *, paired: bool) -> Variance:
    """Return the variance of the difference of one replica of each arm; see `difference_interval`."""
    if paired:
        return Variance(mean_variance(one - other) * one.shape[-1], one.shape[-1] - 1.0)
    parts = [mean_variance(figures) * figures.shape[-1] for figures in (one, other)]
    return add_variances(np.stack(parts), _count_freedoms(one, other))


def _count_freedoms(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom of both arms' variances, (2, …)."""
    freedoms = np.array([one.shape[-1] - 1.0, other.shape[-1] - 1.0])
    return freedoms.reshape(2, *([1] * (one.ndim - 1)))


def difference_interval(one: np.ndarray, other: np.ndarray, *, paired: bool) -> Ends:
    """Return the 95 % interval of the difference of two means on this test set, one less the other.

    Args:
        one: Figures of the replicas of one arm, float (…, R), R of 2 or more.
        other: Likewise; as many where they are paired.
        paired: Whether replica r of both arms was trained with the same seeds: Student's t of the differences, else
            Welch's.
    """
    variance = difference_variance(one, other, paired=paired)
    centre, half = mean_difference(one, other), half_width(np.asarray(variance.value), variance.freedom)
    return centre - half, centre + half


def find_p_value(one: np.ndarray, other: np.ndarray, *, paired: bool) -> float:
    """Return the two-sided p-value of equal means, from figures (R,): that of the test behind `difference_interval`."""
    variance = difference_variance(one, other, paired=paired)
    distance, error = abs(float(mean_difference(one, other))), float(np.sqrt(variance.value))
    if error == 0.0:
        return 1.0 if distance == 0.0 else 0.0
    return 2.0 * float(special.stdtr(variance.freedom, -distance / error))


def mean_difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the difference of two means (…); of equal figures exactly 0."""
    base = one[..., :1]
    return (one - base).mean(axis=-1) - (other - base).mean(axis=-1)


@dataclass(frozen=True)
class TwoWay:
    """The parts of the variance of a table of scores, by replica and by example."""

    replicas: float
    """Variance of the replicas' means, with R − 1 degrees of freedom."""
    examples: float
    """Variance of the examples' means, with N − 1."""
    rest: float
    """Mean square of what is neither's, with (R − 1)(N − 1)."""
    size: tuple[int, int]
    """R and N."""


def split_variance(table: np.ndarray) -> TwoWay:
    """Split the variance of scores (R, N), R and N of 2 or more, as a two-way table of one entry per cell."""
    replicas, examples = table.shape
    table = table - table[0, 0]
    by_replica, by_example = table.mean(axis=1), table.mean(axis=0)
    of_replicas, of_examples = float(np.var(by_replica, ddof=1)), float(np.var(by_example, ddof=1))
    squares = np.einsum("ij,ij->", table, table) - table.size * float(by_replica.mean()) ** 2
    left = squares - of_replicas * (replicas - 1) * examples - of_examples * (examples - 1) * replicas
    rest = max(0.0, float(left)) / ((replicas - 1) * (examples - 1))
    return TwoWay(of_replicas, of_examples, rest, (replicas, examples))


@dataclass(frozen=True)
class Crossed:
    """The parts of the variance of a difference of two means over replicas and examples."""

    parts: tuple[TwoWay, ...]
    """Of the differences of pairs, or of each arm."""
    between: float
    """Variance of the difference of the examples' means."""
    examples: int

    @property
    def of_replicas(self) -> list[float]:
        """The variance that each part's replicas add."""
        return [part.replicas / part.size[0] for part in self.parts]

    @property
    def of_examples(self) -> float:
        """The variance that the examples add."""
        return self.between / self.examples

    @property
    def of_rest(self) -> list[float]:
        """The variance that each part's rest adds; those of replicas and of examples hold it, too."""
        return [part.rest / (part.size[0] * self.examples) for part in self.parts]

    def add_up(self) -> Variance:
        """Return the variance over new replicas and new examples; see `crossed_variance`."""
        of_replicas, of_examples, of_rest = self.of_replicas, self.of_examples, self.of_rest
        value = max(sum(of_replicas) + of_examples - sum(of_rest), sum(of_replicas), of_examples)
        squares = of_examples**2 / (self.examples - 1)
        for replicas, rest, part in zip(of_replicas, of_rest, self.parts, strict=True):
            freedom = part.size[0] - 1
            squares += replicas**2 / freedom + rest**2 / (freedom * (self.examples - 1))
        freedom = value**2 / squares if squares > 0 else min(part.size[0] for part in self.parts) - 1.0
        return Variance(value, freedom)

    def project(self) -> tuple[float, float]:
        """Return the variance with twice as many replicas of each arm, and with twice as many examples.

        V = σ²_replicas/R + σ²_examples/N + σ²_rest/(R·N), where what was estimated of the first two holds the rest.
        """
        rest = sum(self.of_rest)
        examples = max(0.0, self.of_examples - rest)
        replicas = max(0.0, sum(self.of_replicas) - rest)
        return (replicas + rest) / 2 + examples, replicas + (examples + rest) / 2


def cross(one: np.ndarray, other: np.ndarray, *, paired: bool) -> Crossed:
    """Split the variance of the difference of two means; see `crossed_variance`."""
    if paired:
        part = split_variance(one - other)
        return Crossed((part,), part.examples, one.shape[1])
    between = one.mean(axis=0) - other.mean(axis=0)
    variance = float(np.var(between - between[0], ddof=1))
    return Crossed((split_variance(one), split_variance(other)), variance, one.shape[1])


def crossed_variance(one: np.ndarray, other: np.ndarray, *, paired: bool) -> Variance:
    """Return the variance of the difference of two means over new replicas and new examples.

    V = s²_runs/R + s²_examples/N − s²_rest/(R·N), since both of the first hold the rest; at least the larger of them.

    Args:
        one: Scores (R, N), R and N of 2 or more.
        other: Likewise, on the same examples.
        paired: Whether replica r of both arms was trained with the same seeds.
    """
    return cross(one, other, paired=paired).add_up()


def looking_interval(differences: np.ndarray) -> Ends:
    """Return an interval of the mean difference of pairs that may be looked at after every pair, as often as one likes.

    See `engine.study.rounds.find_factor`.

    Args:
        differences: float (…, R), in the order in which the pairs are counted, R of 2 or more.
    """
    factor = find_factor(differences.shape[-1])
    base = differences[..., :1]
    centre = base[..., 0] + (differences - base).mean(axis=-1)
    if math.isinf(factor):  # so few pairs show nothing, even where their differences are equal
        return np.full_like(centre, -np.inf), np.full_like(centre, np.inf)
    half = factor * np.sqrt(mean_variance(differences))
    return centre - half, centre + half


@dataclass(frozen=True)
class Superiority:
    """Holds how often a replica of one arm beats one of the other, where equal figures count half."""

    chance: np.ndarray
    """(…)."""
    ends: Ends
    """95 %."""


def measure_superiority(one: np.ndarray, other: np.ndarray) -> Superiority:
    """Return P(one > other) + P(one = other)/2 over all pairs of replicas, with an interval on the scale of log odds.

    Where nearly all pairs go one way the logarithm says little, and the less the more pairs there are. So no end lies
    beyond that of as many independent pairs as the smaller arm has replicas, of which the same share is won.

    Args:
        one: Figures, float (…, R), R of 2 or more, the larger the better.
        other: Likewise.

    Source: Brunner & Munzel (2000) for the variance, with a floor of a quarter of one pair; Clopper & Pearson (1934)
    for independent pairs.
    """
    pairs = one.shape[-1] * other.shape[-1]
    wins = (one[..., :, None] > other[..., None, :]) + 0.5 * (one[..., :, None] == other[..., None, :])
    chance = wins.mean(axis=(-2, -1))
    placements = np.stack([mean_variance(wins.mean(axis=-1)), mean_variance(wins.mean(axis=-2))])
    variance = add_variances(placements, _count_freedoms(one, other))
    value = np.maximum(variance.value, 0.25 / pairs)
    inside = np.clip(chance, 0.5 / pairs, 1 - 0.5 / pairs)
    half = half_width(value, variance.freedom) / (inside * (1 - inside))
    odds = np.log(inside / (1 - inside))
    least, most = _count_interval(chance, min(one.shape[-1], other.shape[-1]))
    low, high = np.maximum(special.expit(odds - half), least), np.minimum(special.expit(odds + half), most)
    return Superiority(chance, (np.minimum(low, chance), np.maximum(high, chance)))


def _count_interval(share: np.ndarray, count: int) -> Ends:
    """Return the exact 95 % interval of a probability of which a share of so many independent trials came true."""
    hits, tail = share * count, (1 - CONFIDENCE) / 2
    least = special.betaincinv(np.maximum(hits, 1e-9), count - hits + 1, tail)
    most = special.betaincinv(hits + 1, np.maximum(count - hits, 1e-9), 1 - tail)
    return np.where(hits <= 0, 0.0, least), np.where(hits >= count, 1.0, most)


def expect_best(figures: np.ndarray, count: int) -> float:
    """Return what the largest of some replicas is expected to be: the mean of it over all choices of so many.

    Args:
        figures: float (R,), the larger the better.
        count: 1 … R; R gives the largest of them all.

    Source: order statistics of draws without replacement; Picard (2021) shows what the best seed is worth.
    """
    ordered = np.sort(figures)
    # Of all choices, count/R have the largest one; C(i − 1, count − 1) grows with i by i/(i − count + 1).
    below = np.arange(len(figures) - 1, 0, -1)
    shares = np.cumprod(np.concatenate([[count / len(figures)], np.maximum(0, below - count + 1) / below]))
    return float(ordered[-1] - (shares * (ordered[-1] - ordered[::-1])).sum())


def upper_sd(variance: Variance) -> float:
    """Return the SD that is not exceeded with a probability of 1 − UPPER."""
    return float(np.sqrt(variance.value * variance.freedom / special.chdtri(variance.freedom, 1 - UPPER)))


def count_replicas(sd: float, margin: float, *, paired: bool) -> int | None:
    """Return the replicas of each arm with which the half width of the difference's interval is at most the margin.

    None is returned where no number that anybody trains is enough.

    Args:
        sd: Of the difference of one replica of each arm.
        margin: Above 0.
        paired: See `difference_interval`.
    """

    def is_enough(replicas: int) -> bool:
        freedom = replicas - 1 if paired else 2 * (replicas - 1)
        return float(half_width(np.asarray(sd**2 / replicas), freedom)) <= margin

    return find_fewest(is_enough)


def find_fewest(is_enough: Callable[[int], bool]) -> int | None:
    """Return the fewest replicas that are enough, from 2 to the most that are looked for; None where no number is."""
    high = 2
    while not is_enough(high):
        if high == MOST_REPLICAS:
            return None
        high = min(2 * high, MOST_REPLICAS)
    low = max(2, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return high
