"""Holds how two arms compare: the answer of a process that is asked for them."""

from __future__ import annotations

from typing import Literal

from engine.study.estimate import Interval
from engine.study.records import Record

UNITS: dict[str, str] = {"accuracy": "% points", "cross-entropy": "nats", "perplexity": ""}
"""Of a difference, by measure; scores have none that is known."""

MOST_REPLICAS = 10**7
"""Plans look for no more replicas than these, which is more than anybody trains."""

Verdict = Literal[
    "real and worth having",
    "real, smaller than the margin",
    "no difference that matters",
    "undecided",
]


class Narrowed(Record, frozen=True, kw_only=True, tag=1):
    """Holds half the widths that intervals of a difference would have, as far as the replicas at hand tell."""

    test_set: float
    """On this test set, with twice as many replicas of each arm."""
    replicas: float | None = None
    """On new examples, with twice as many replicas; None where only one figure of each replica is known."""
    examples: float | None = None
    """On new examples, with twice as many test examples."""


class Comparison(Record, frozen=True, kw_only=True, tag=1):
    """Holds one measure of two arms, A less B; what too few replicas leave open is None."""

    measure: str
    n: tuple[int, int]
    """Replicas of A and of B."""
    examples: int
    """Test examples; 0 where only one figure of each replica is known."""
    means: tuple[float, float]
    """Of A and of B, in the measure's unit."""
    paired: bool
    """Whether replica r of both arms has the same seeds."""
    margin: float | None
    """The smallest difference worth having, in the measure's unit."""
    difference: float
    ci_test_set: Interval | None = None
    """95 % for new replicas on this test set."""
    ci_new_examples: Interval | None = None
    """95 % for new replicas on new examples of the same kind."""
    ci_looking: Interval | None = None
    """95 % where one looks after every pair of replicas and stops when one likes; None of fewer than five pairs."""
    p_value: float | None = None
    """Two-sided, of a difference of 0 on this test set."""
    p_better: float | None = None
    """How often a replica of A is better than one of B; equal ones count half."""
    p_better_ci: Interval | None = None
    correlation: float | None = None
    """Of both arms' figures by seed, where they are paired and both scatter."""
    replicas_needed: int | None = None
    """Replicas of each arm with which the half width on this test set keeps the margin in four of five studies."""
    examples_share: float | None = None
    """The share of the examples in the variance on new examples: near 1, more replicas would not narrow it."""
    sequential: bool = False
    """Whether the replicas were trained until this was decided, so that the interval while looking judges."""
    verdict: Verdict = "undecided"
    narrowed: Narrowed | None = None
    """None of fewer than two replicas."""
    best: tuple[float, float] | None = None
    """What the best of as many replicas as both arms have is expected to be, of A and of B; None of scores."""
    figures: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    """Of each replica of A and of B."""

    @property
    def is_number(self) -> bool:
        """Tell whether it is a number by name, of which nobody knows a unit, nor whether more of it is better."""
        return self.examples == 0

    @property
    def unit(self) -> str:
        """The unit of a difference; nothing where there is none, or none is known."""
        return "" if self.is_number else UNITS.get(self.measure, "")

    @property
    def judging(self) -> Interval | None:
        """The interval that the verdict is by; None where there are too few replicas for one."""
        return self.ci_looking if self.sequential else self.ci_test_set

    @property
    def is_told_apart(self) -> bool:
        """Tell whether the interval that judges leaves 0 out."""
        return self.judging is not None and not self.judging[0] <= 0.0 <= self.judging[1]


class Disputes(Record, frozen=True, kw_only=True, tag=1):
    """Holds how often replicas of two arms disagree, beside those of one; percent of examples, means over pairs."""

    between: float
    """Of one replica of each arm, with other seeds."""
    within: tuple[float, float]
    """Of two replicas of A, and of B."""
    excess: float
    """`between` less the mean of both arms' own."""
    excess_ci: Interval | None = None
    """95 %; None of fewer than three replicas."""


class ArmsCompared(Record, frozen=True, kw_only=True, tag=1):
    """Holds two arms of one or two studies beside each other."""

    comparison: Comparison
    others: tuple[Comparison, ...] = ()
    """Those in the other measures that both have, where these were asked for."""
    disputes: Disputes | None = None
    """None of language models, and where an arm has fewer than two replicas."""
    left_out: tuple[int, int] = (0, 0)
    """Replicas of A and of B that are damaged, missing, without a partner of the same seeds, or the same network."""
    without_number: tuple[int, int] = (0, 0)
    """Of these, those that left no number of the name that is compared."""
    diverged: tuple[int, int] = (0, 0)
    """Of these, those that diverged to what is no number."""
    shared: int = 0
    """Runs that are replicas of both arms, which are then not independent."""


class PowerPlan(Record, frozen=True, kw_only=True, tag=1):
    """Holds how many replicas of each arm a difference needs, from what a pilot says of their SD."""

    measure: str
    margin: float
    """The smallest difference worth having, in the measure's unit."""
    power: float
    """The probability with which it is to be found."""
    n: tuple[int, ...]
    """Replicas of the pilot, of one arm or two; none where the SD was given."""
    paired: bool
    """Whether replica r of both arms has the same seeds."""
    sd: float
    """Of the difference of one replica of each arm, as the pilot has it."""
    sd_upper: float
    """The SD that is planned with: it is not exceeded with a probability of 80 %."""
    replicas: int | None
    """Of each arm, so that a true difference of the margin is found with the power; None where no number is enough."""
    replicas_equal: int | None
    """So that equal arms are found to differ by no more than the margin."""
    replicas_width: int | None
    """So that the half width of the interval is the margin."""
    curve: tuple[tuple[int, float], ...]
    """Replicas of each arm, and the power with them."""
    seconds: tuple[float, ...] = ()
    """What one replica of each arm took to train in the pilot, mean; none where the SD was given."""


class RatioPlan(Record, frozen=True, kw_only=True, tag=1):
    """Holds how many replicas of each arm tell two SDs apart."""

    ratio: float
    """Of the larger SD to the smaller."""
    power: float
    """The probability with which they are to be told apart."""
    replicas: int | None
    """Of each arm, with normal figures and a test of 5 %; None where no number is enough."""
    curve: tuple[tuple[int, float], ...]
    """Replicas of each arm, and the power with them."""
