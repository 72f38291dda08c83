"""How often the intervals of a comparison hold: `python -m tests.helpers.contrast_coverage [WORDS] [TRIALS]`.

Prints the tables of docs/is-it-real.md on differences of two arms; simpler intervals stand in front of the arrows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats

from engine.metrics.arm_disputes import measure_disputes
from engine.metrics.comparison import Scores, show_spread
from engine.metrics.contrasts import (
    Variance,
    count_replicas,
    crossed_variance,
    difference_interval,
    difference_variance,
    looking_interval,
    mean_difference,
    measure_superiority,
    upper_sd,
)
from engine.metrics.spread import half_width
from engine.study.rounds import Round, find_first_end, find_rounds
from tests.helpers.coverage import Case, Rates, print_tables
from tests.helpers.simulated_replicas import cover

SEED = 30


@dataclass(frozen=True)
class Rivals:
    """Two arms of equal worth, whose replicas are right or wrong on the same examples.

    Replica r of arm k is right on example i with the chance logistic(2 + 2·z_i + own·w_ik + quality·q_kr): z_i is the
    example's difficulty, w_ik what the arm makes of it, q_kr the replica's quality, all standard normal; q of both arms
    correlate by `shared` where replicas are paired.
    """

    own: float
    quality: float
    shared: float = 0.0
    sizes: tuple[int, int] = (10, 10)
    examples: int = 1000

    def draw(self, rng: np.random.Generator, trials: int) -> Iterator[tuple[list[np.ndarray], float]]:
        """Yield scores in percent, (R, N) of each arm, and the true difference on these very examples."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(30)
        for _ in range(trials):
            ease = 2.0 + 2.0 * rng.normal(size=self.examples)
            both = rng.normal(size=max(self.sizes))
            scores, worth = list[np.ndarray](), list[float]()
            for size in self.sizes:
                on_examples = ease + self.own * rng.normal(size=self.examples)
                quality = np.sqrt(self.shared) * both[:size] + np.sqrt(1 - self.shared) * rng.normal(size=size)
                chances = special.expit(on_examples + self.quality * quality[:, None])
                scores.append(100.0 * (rng.random(chances.shape) < chances))
                expected = special.expit(on_examples[:, None] + self.quality * nodes) @ weights / weights.sum()
                worth.append(100.0 * float(expected.mean()))
            yield scores, worth[0] - worth[1]


def cover_examples(world: Rivals, trials: int, *, paired: bool = False) -> Rates:
    """Cover the difference on new examples: with the interval of this test set, and with the one for new examples."""
    hits = np.zeros(2)
    for (one, other), _ in world.draw(np.random.default_rng(SEED), trials):
        figures = one.mean(axis=1), other.mean(axis=1)
        seen = show_spread(Scores(one, other, figures, larger_is_better=True), paired=paired)
        low, high = difference_interval(*figures, paired=paired)
        variance = crossed_variance(one, other, paired=paired)
        half = float(half_width(np.asarray(variance.value), variance.freedom))
        centre = float(one.mean() - other.mean())
        hits += np.array([low <= 0 <= high, not seen or abs(centre) <= half])
    return 100.0 * hits[0] / trials, 100.0 * hits[1] / trials


def cover_test_set(world: Rivals, trials: int, *, paired: bool = False) -> Rates:
    """Cover the difference on this test set: with 1.96 standard errors, and with t of pairs or Welch's.

    Where replicas show no spread there is no interval, which misses nothing.
    """
    hits = np.zeros(2)
    for (one, other), truth in world.draw(np.random.default_rng(SEED), trials):
        figures = one.mean(axis=1), other.mean(axis=1)
        seen = show_spread(Scores(one, other, figures, larger_is_better=True), paired=paired)
        low, high = difference_interval(*figures, paired=paired)
        half = 1.96 * np.sqrt(difference_variance(*figures, paired=paired).value)
        hits += np.array([abs(mean_difference(*figures) - truth) <= half, not seen or low <= truth <= high])
    return 100.0 * hits[0] / trials, 100.0 * hits[1] / trials


def cover_excess(world: Rivals, trials: int, *, paired: bool = False) -> Rates:
    """Cover what equal arms disagree on beyond their own, 0: with pairs as independent, and with the jackknife."""
    hits = np.zeros(2)
    for (one, other), _ in world.draw(np.random.default_rng(SEED), trials):
        right = [(scores > 0).astype(int) for scores in (one, other)]
        found = measure_disputes(right[0], right[1], 2, paired=paired)
        assert found is not None
        assert found.excess_ci is not None
        apart = 100.0 * (right[0][:, None] != right[1][None]).mean(axis=2)
        half = 1.96 * float(apart.std()) / np.sqrt(apart.size)
        hits += np.array([abs(found.excess) <= half, found.excess_ci[0] <= 0 <= found.excess_ci[1]])
    return 100.0 * hits[0] / trials, 100.0 * hits[1] / trials


def cover_superiority(
    chance: float, replicas: int, trials: int, *, beside: int | None = None, step: float = 0.0
) -> Rates:
    """Cover P(A > B) of normal figures: with a bootstrap of pairs of replicas, and on the scale of log odds.

    Args:
        chance: The truth; 0.5 where figures are rounded.
        replicas: Of the first arm.
        trials: Simulated studies.
        beside: Replicas of the second arm; as many where it is left out.
        step: What figures, whose SD is 1, are rounded to; 0 leaves them as they are.
    """
    rng = np.random.default_rng(SEED)
    shift = np.sqrt(2.0) * stats.norm.ppf(chance)
    one, other = rng.normal(shift, size=(trials, replicas)), rng.normal(size=(trials, beside or replicas))
    if step:
        one, other = np.round(one / step) * step, np.round(other / step) * step
    low, high = measure_superiority(one, other).ends
    few, hits = min(trials, max(200, trials // 10)), 0
    for a, b in zip(one[:few], other[:few], strict=True):
        drawn = rng.integers(replicas, size=(500, replicas))
        wins = (a[drawn] > b[drawn]) + 0.5 * (a[drawn] == b[drawn])
        ends = np.percentile(wins.mean(axis=1), [2.5, 97.5])
        hits += ends[0] <= chance <= ends[1]
    return 100.0 * hits / few, cover((low, high), chance)


LOOKS = 100
ODD: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "rounded to half an SD": lambda rng, size: np.round(2 * rng.normal(size=size)) / 2,
    "two arms, each skewed": lambda rng, size: rng.exponential(size=size) - rng.exponential(size=size),
    "Student's t, 3": lambda rng, size: rng.standard_t(3, size=size),
}
"""Differences of equal arms, which are as likely to lie above as below."""

ONE_SKEWED: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "one arm skewed, the other normal": lambda rng, size: rng.exponential(size=size) - 1.0 - rng.normal(size=size),
    "one arm skewed, the other steady": lambda rng, size: rng.exponential(size=size) - 1.0,
}
"""Differences of unlike arms with one mean."""


def alarm_while_looking(world: str, looks: int, trials: int) -> Rates:
    """Return how often a difference is declared that is not there, after any of so many pairs: plain t, and ours."""
    differences = (ODD | ONE_SKEWED)[world](np.random.default_rng(SEED), (trials, looks))
    alarms = np.zeros((2, trials), dtype=bool)
    for pairs in range(2, looks + 1):
        seen = differences[:, :pairs]
        for number, (low, high) in enumerate(
            (difference_interval(seen, 0 * seen, paired=True), looking_interval(seen))
        ):
            alarms[number] |= (low > 0) | (high < 0)
    return 100.0 * float(alarms[0].mean()), 100.0 * float(alarms[1].mean())


def count_until_decided(effect: float, most: int, trials: int) -> Rates:
    """Return after how many pairs half of the studies are decided, and four of five; `most` where that takes more."""
    ends = [_end(effect, None, most, trial) for trial in range(trials)]
    pairs = np.array([most if one is None else one.pairs for one in ends])
    return float(np.quantile(pairs, 0.5, method="higher")), float(np.quantile(pairs, 0.8, method="higher"))


def end_equal_arms(margin: float, most: int, trials: int) -> Rates:
    """Return how often equal arms end with a difference, and with no difference that matters, in percent."""
    ends = [_end(0.0, margin, most, trial) for trial in range(trials)]
    found = [None if one is None else one.find_end(margin) for one in ends]
    return 100 * found.count("a difference") / trials, 100 * found.count("no difference that matters") / trials


def _end(effect: float, margin: float | None, most: int, trial: int) -> Round | None:
    differences = np.random.default_rng((SEED, trial)).normal(effect, 1.0, size=most)
    return find_first_end(find_rounds(differences.tolist()), margin)


def reach_margin(pilot: int, trials: int) -> Rates:
    """Return how often a plan from a pilot keeps its margin: with the pilot's SD as it is, and with its upper end.

    The half width that counts is the one for the true SD.
    """
    rng, margin = np.random.default_rng(SEED), 0.4
    needed = count_replicas(1.0, margin, paired=True)
    assert needed is not None
    kept = np.zeros(2)
    for values in rng.normal(size=(trials, pilot)):
        variance = float(np.var(values, ddof=1))
        for number, sd in enumerate((variance**0.5, upper_sd(Variance(variance, pilot - 1.0)))):
            planned = count_replicas(sd, margin, paired=True)
            kept[number] += planned is None or planned >= needed
    return 100.0 * kept[0] / trials, 100.0 * kept[1] / trials


def _rivals(cover_one: Callable[..., Rates], world: Rivals, *, paired: bool = False, beside: int | None = None) -> Case:
    def case(replicas: int, trials: int) -> Rates:
        sizes = (replicas, beside or replicas)
        return cover_one(replace(world, sizes=sizes), max(200, trials // 4), paired=paired)

    return case


def _each_world(cover_one: Callable[..., Rates]) -> dict[str, Case]:
    both = Rivals(own=1.0, quality=0.15)
    return {
        "quality and errors vary": _rivals(cover_one, both),
        "errors alone": _rivals(cover_one, Rivals(own=1.0, quality=0.0)),
        "quality alone": _rivals(cover_one, Rivals(own=0.0, quality=0.3)),
        "300 examples": _rivals(cover_one, replace(both, examples=300)),
        "beside 20 replicas": _rivals(cover_one, both, beside=20),
        "paired, quality by seed": _rivals(cover_one, Rivals(own=1.0, quality=0.3, shared=0.9), paired=True),
        "paired, quality alone": _rivals(cover_one, Rivals(own=0.0, quality=0.3, shared=0.5), paired=True),
    }


TABLES: dict[str, tuple[Sequence[int], dict[str, Case]]] = {
    "difference on this test set (1.96 standard errors → Welch's or paired t)": (
        (2, 3, 5, 10, 20),
        _each_world(cover_test_set),
    ),
    "difference on new examples (the interval of this test set → replicas × examples)": (
        (2, 3, 5, 10, 20),
        _each_world(cover_examples),
    ),
    "disagreement beyond equal arms' own (pairs as independent → jackknife)": (
        (3, 5, 10, 20),
        {
            "quality varies": _rivals(cover_excess, Rivals(own=0.0, quality=0.3)),
            "quality varies much": _rivals(cover_excess, Rivals(own=0.0, quality=1.0)),
            "beside 20 replicas": _rivals(cover_excess, Rivals(own=0.0, quality=0.3), beside=20),
            "paired by seed": _rivals(cover_excess, Rivals(own=0.0, quality=0.3, shared=0.9), paired=True),
        },
    ),
    "P(A > B) (bootstrap of pairs → log odds)": (
        (2, 3, 5, 10, 20, 29, 50),
        {
            f"true P {chance}": lambda replicas, trials, chance=chance: cover_superiority(chance, replicas, trials)
            for chance in (0.5, 0.75, 0.9, 0.99)
        }
        | {
            "true P 0.5, beside 50 replicas": lambda replicas, trials: cover_superiority(
                0.5, replicas, trials, beside=50
            ),
            "the same, rounded to an SD": lambda replicas, trials: cover_superiority(
                0.5, replicas, trials, beside=50, step=1.0
            ),
        },
    ),
    "false alarms while looking after every pair, % (plain t → interval for looking)": (
        (20, 50, 100),
        {name: lambda looks, trials, name=name: alarm_while_looking(name, looks, trials) for name in ODD | ONE_SKEWED},
    ),
    "pairs until decided (of half the studies → of four in five)": (
        (200,),
        {
            f"true difference of {effect:g} SD": lambda most, trials, effect=effect: count_until_decided(
                effect, most, trials
            )
            for effect in (0.3, 0.5, 0.8, 1.2, 2.0)
        },
    ),
    "how equal arms end, % (told apart → no difference that matters)": (
        (20, 50, 100, 200),
        {
            f"margin of {margin:g} SD": lambda most, trials, margin=margin: end_equal_arms(margin, most, trials)
            for margin in (0.5, 1.0)
        },
    ),
    "plans that keep their margin, % (the pilot's SD → its upper end)": ((5, 8, 10, 20), {"normal": reach_margin}),
}
"""Title → numbers of replicas, and what is covered by the name of the case."""


def main() -> int:
    """Print the tables; see `tests.helpers.coverage.print_tables`."""
    print_tables(TABLES, lambda _, trials: trials)
    return 0


if __name__ == "__main__":
    sys.exit(main())
