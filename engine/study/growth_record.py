"""Holds what metrics.json says of the growth of a moved bit, of every replica of an arm and of all of them."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec

from engine.study.estimate import NOTHING, Estimate


class ReplicaGrowth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One replica beside the run in which nothing was moved; distances are of weights, relative to their size."""

    run: str
    seed: int
    """Of the moved bit: replicas of other arms with this seed have moved the same weight."""
    size: float
    """The distance when the bit was moved."""
    distance: float
    """The distance at the end: the geometric mean over the last quarter of the training."""
    doubling_steps: float | None = None
    """Steps in which it doubled while it grew exponentially; None where it did not."""
    saturation_step: int | None = None
    """Steps from the move until it was near that distance; None where it did not grow."""
    disagreement: float | None = None
    """Test examples that both predict otherwise, percent; None without predictions."""


class Growth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The growth of the moved bits of an arm."""

    twin: str
    """The run in which nothing was moved."""
    runs: tuple[str, ...]
    """Finished runs that were looked at."""
    start: int = 0
    """Steps of the common beginning."""
    steps_per_epoch: int = 1
    replicas: tuple[ReplicaGrowth, ...] = ()
    steps: tuple[int, ...] = ()
    """Steps since the move, of the curve."""
    mean: tuple[float | None, ...] = ()
    """Geometric mean of the distances over replicas at these steps; None where one is not finite or 0."""
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    """The least and the largest of them."""
    size: Estimate = NOTHING
    """Geometric means over replicas, as those of distance, doubling steps and saturation step."""
    distance: Estimate = NOTHING
    doubling_steps: Estimate = NOTHING
    saturation_step: Estimate = NOTHING
    disagreement: Estimate = NOTHING
    """Mean over replicas, percent."""
    grown: int = 0
    """Replicas in which the distance grew."""
    reason: str | None = None
    """Why there are no figures."""

    def __post_init__(self) -> None:
        """Refuse what no measurement gives: a curve with parts of other lengths, with falling steps, or below 0."""
        parts = (self.mean, self.low, self.high)
        if any(len(part) != len(self.steps) for part in parts):
            raise ValueError("a curve of growth has parts of different lengths")
        if self.steps_per_epoch < 1 or self.start < 0 or not all(a < b for a, b in pairwise((-1, *self.steps))):
            raise ValueError("the steps of a curve of growth do not rise from 0")
        if not all(value is None or 0 < value < math.inf for part in parts for value in part):
            raise ValueError("a curve of growth holds what is no distance")


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """Holds what arms that differ in the size of what was moved say together."""

    arms: tuple[str, ...]
    """Their names, from the smallest to the largest change."""
    exponent: Estimate
    """a in distance at the end ∝ size^a."""
    disagreement_exponent: Estimate
    """The same of disagreement; nothing where a replica agrees with its twin on every example."""
    steps_per_doubling: Estimate
    """By how many steps sooner growth ends where what was moved is twice as large; nothing where it does not grow."""
    above_floor: bool
    """Whether only changes count that are larger than what rounding makes of the smallest."""
