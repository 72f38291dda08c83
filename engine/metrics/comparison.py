"""Is one arm better than another? The difference of their replicas with three intervals, and a verdict in words.

Shapes: R replicas of each arm, N examples, C classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from msgspec.structs import replace

from engine.metrics.contrasts import (
    Variance,
    add_variances,
    count_replicas,
    cross,
    difference_interval,
    difference_variance,
    expect_best,
    find_p_value,
    looking_interval,
    mean_difference,
    mean_variance,
    measure_superiority,
    replica_variance,
    upper_sd,
)
from engine.metrics.logits import Logits
from engine.metrics.measures import check_shapes
from engine.metrics.outputs import ImageOutputs, find_losses
from engine.metrics.spread import Ends, half_width
from engine.study.comparison_record import Comparison, Narrowed, Verdict
from engine.study.estimate import Interval

ImageMeasure = Literal["accuracy", "cross-entropy"]

ENOUGH_EQUAL = 5
"""Replicas with equal figures that show that there is no spread."""

EQUAL = 1e-12
"""Figures are equal that differ by no more than this share of the largest, as differences of percentages do."""

WORTH = 0.75
"""Without a margin, a difference is worth having where P(A > B) may be above this; Bouthillier et al. (2021)."""


@dataclass(frozen=True)
class Scores:
    """Holds what two arms scored on the same test examples."""

    one: np.ndarray
    """float64 (R, N) of the first arm, or (R, 0) where only its figures are known."""
    other: np.ndarray
    figures: tuple[np.ndarray, np.ndarray]
    """One figure per replica of each arm, float64 (R,): the means over examples where there are any."""
    larger_is_better: bool | None
    """None where nobody says; then superiority is that of the larger."""


def compare_replicas(
    a: np.ndarray,
    b: np.ndarray,
    labels: np.ndarray,
    *,
    paired: bool,
    margin: float | None,
    measure: ImageMeasure = "accuracy",
) -> Comparison:
    """Compare two arms on one test set.

    Args:
        a: Logits (R, N, C) of one arm, finite or −inf for masked classes.
        b: Likewise of the other; as many replicas where they are paired.
        labels: True class, int (N,).
        paired: Whether replica r of both was trained with the same seeds.
        margin: The smallest difference worth having: percentage points, or nats; None where nobody said.
        measure: What is compared.

    Raises:
        ValueError: If the shapes do not fit, the margin is not above 0, or logits are not finite.
    """
    if measure not in get_args(ImageMeasure):
        raise ValueError(f"measure {measure!r}, expected one of {', '.join(get_args(ImageMeasure))}")
    scores = [score_replicas(arm, labels, measure) for arm in (a, b)]
    figures = scores[0].mean(axis=1), scores[1].mean(axis=1)
    both = Scores(scores[0], scores[1], figures, larger_is_better=measure == "accuracy")
    return compare_scores(both, paired=paired, margin=margin, measure=measure)


def score_replicas(logits: np.ndarray, labels: np.ndarray, measure: ImageMeasure) -> np.ndarray:
    """Return what each replica scores on each example, float64 (R, N): 100 where it is right, or its loss in nats.

    Raises:
        ValueError: If the shapes do not fit, there is nothing to score, or a replica's logits are not finite.
    """
    check_shapes(logits, labels)
    if not logits.shape[0] or not logits.shape[1]:
        raise ValueError(f"logits {logits.shape}: an arm needs a replica and a test example")
    outputs = ImageOutputs(Logits.of_array(logits), labels.astype(np.int64))
    broken = np.flatnonzero(~outputs.predicted.sound)
    if len(broken):
        raise ValueError(f"logits that are not finite in replica {', '.join(str(number + 1) for number in broken)}")
    if measure == "accuracy":
        return np.where(outputs.right, 100.0, 0.0)
    losses = find_losses(outputs.logits, outputs.labels)
    if not np.isfinite(losses).all():
        raise ValueError("the true class of an example is masked with a logit of −inf: its cross-entropy is infinite")
    return losses


def compare_scores(
    scores: Scores, *, paired: bool, margin: float | None, measure: str, sequential: bool = False
) -> Comparison:
    """Compare two arms by what they scored; see `compare_replicas` and, for `sequential`, `Comparison`.

    Raises:
        ValueError: If the margin is not above 0, or paired arms differ in their number of replicas.
    """
    one, other = scores.figures
    if margin is not None and not (np.isfinite(margin) and margin > 0):
        raise ValueError(f"margin {margin}, expected a number above 0")
    if paired and len(one) != len(other):
        raise ValueError(f"{len(one)} and {len(other)} replicas, expected as many where they are paired")
    found = Comparison(
        measure=measure,
        n=(len(one), len(other)),
        examples=scores.one.shape[1],
        means=(float(one.mean()), float(other.mean())),
        paired=paired,
        margin=margin,
        sequential=sequential,
        difference=float(mean_difference(one, other)),
        figures=(tuple(map(float, one)), tuple(map(float, other))),
    )
    if min(found.n) < 2:
        return found
    sign = -1 if scores.larger_is_better is False else 1
    better = measure_superiority(sign * one, sign * other)
    pairs = min(found.n)
    found = replace(found, p_better=float(better.chance), p_better_ci=_pack(better.ends))
    if scores.larger_is_better is not None:
        best = [sign * expect_best(sign * figures, pairs) for figures in (one, other)]
        found = replace(found, best=(best[0], best[1]))
    if not show_spread(scores, paired=paired):
        return found
    found = replace(
        found,
        ci_test_set=_pack(difference_interval(one, other, paired=paired)),
        ci_looking=_pack(looking_interval(one[:pairs] - other[:pairs])),
        p_value=find_p_value(one, other, paired=paired),
        correlation=_correlate(one, other) if paired else None,
        replicas_needed=None if margin is None else plan_replicas(one, other, margin, paired=paired),
        narrowed=Narrowed(test_set=_halve(one, other, paired=paired)),
    )
    if found.examples >= 2:
        crossed = cross(scores.one, scores.other, paired=paired)
        variance = crossed.add_up()
        half = float(half_width(np.asarray(variance.value), variance.freedom))
        widths = [float(half_width(np.asarray(value), variance.freedom)) for value in crossed.project()]
        runs = float(difference_variance(one, other, paired=paired).value)
        found = replace(
            found,
            ci_new_examples=(found.difference - half, found.difference + half),
            examples_share=max(0.0, 1.0 - runs / float(variance.value)) if variance.value > 0 else None,
            narrowed=Narrowed(
                test_set=_halve(one, other, paired=paired),
                replicas=min(half, widths[0]),
                examples=min(half, widths[1]),
            ),
        )
    return replace(found, verdict=judge(found))


def show_spread(scores: Scores, *, paired: bool) -> bool:
    """Tell whether replicas, two or more of each arm, show how far they scatter.

    Accuracies are multiples of 100/N and numbers by name are rounded, so that two or three replicas are often equal by
    chance, and a variance of 0 says nothing. It does where ENOUGH_EQUAL are equal, or each example is scored alike.
    """
    (one, other), tables = scores.figures, (scores.one, scores.other)
    if min(len(one), len(other)) >= ENOUGH_EQUAL:
        return True
    rounding = EQUAL * max(float(np.abs(figures).max()) for figures in (one, other))
    parts = [(one - other, tables[0] - tables[1])] if paired else [(one, tables[0]), (other, tables[1])]
    return all(
        len(figures) >= ENOUGH_EQUAL
        or float(np.ptp(figures)) > rounding
        or (table.shape[1] > 0 and bool((table == table[0]).all()))
        for figures, table in parts
    )


def _halve(one: np.ndarray, other: np.ndarray, *, paired: bool) -> float:
    """Return the half width on this test set with twice as many replicas of each arm."""
    if paired:
        variance = Variance(float(mean_variance(one - other)) / 2, 2.0 * len(one) - 1)
    else:
        parts = np.array([float(mean_variance(figures)) / 2 for figures in (one, other)])
        variance = add_variances(parts, np.array([2.0 * len(one) - 1, 2.0 * len(other) - 1]))
    return float(half_width(np.asarray(variance.value), variance.freedom))


def _pack(ends: Ends) -> Interval | None:
    low, high = float(ends[0]), float(ends[1])
    return (low, high) if math.isfinite(high - low) else None


def _correlate(one: np.ndarray, other: np.ndarray) -> float | None:
    """Return the correlation of figures by seed; None where an arm does not scatter or two pairs would be all."""
    if len(one) < 3 or min(np.ptp(one), np.ptp(other)) == 0.0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def plan_replicas(one: np.ndarray, other: np.ndarray, margin: float, *, paired: bool) -> int | None:
    """Return how many replicas of each arm keep the margin, from the upper end of what a pilot shows of their SD.

    None is returned where no number that anybody trains does.

    Args:
        one: Figures (R,), R of 2 or more.
        other: Likewise.
        margin: Half the width that the interval on this test set may have.
        paired: See `compare_replicas`.
    """
    return count_replicas(upper_sd(replica_variance(one, other, paired=paired)), margin, paired=paired)


def judge(found: Comparison) -> Verdict:
    """Say in words what the interval that judges allows to say; see docs/is-it-real.md.

    That is the one on this test set, or, where replicas were trained until it was decided, the one while looking.

    A difference is real where the interval leaves 0 out. A real one is worth having where it is at least the margin, or
    without a margin where one arm may beat the other in more than three of four pairs. Where 0 is inside, there is no
    difference that matters if the whole interval lies within the margin.
    """
    if found.judging is None or found.p_better is None or found.p_better_ci is None:
        return "undecided"
    low, high = found.judging
    if not low <= 0.0 <= high:
        if found.margin is not None:
            is_worth = abs(found.difference) >= found.margin
        else:
            is_worth = max(found.p_better_ci[1], 1.0 - found.p_better_ci[0]) > WORTH
        return "real and worth having" if is_worth else "real, smaller than the margin"
    if found.margin is not None and -found.margin <= low and high <= found.margin:
        return "no difference that matters"
    return "undecided"
