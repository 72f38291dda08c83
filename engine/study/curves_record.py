"""curves.json: how far each arm's replicas lie apart at each epoch, and one moved bit's first epochs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import msgspec

from engine.recipe import MAX_EPOCHS, MAX_REPLICAS
from engine.study.records import MEGABYTE, Record, find_record

Figures = tuple[float | None, ...]
"""One figure per epoch; None where no replica counts."""

FIELDS = {
    "accuracy": "test_accuracy",
    "cross-entropy": "test_cross_entropy",
    "perplexity": "test_perplexity",
    "reported": "reported",
}
"""What can be added up over replicas: a name in `EPOCH_FIGURES`, and the field of an epoch, or an arm, that it is."""


class SpreadCurve(msgspec.Struct, frozen=True, kw_only=True):
    """One figure over the replicas, by epoch."""

    n: tuple[int, ...]
    """Replicas that have reached the epoch without diverging, and whose figure is finite."""
    mean: Figures
    sd: Figures
    """The standard deviation with ddof 0."""
    low: Figures
    """Lower end of the middle 95 %."""
    high: Figures
    min: Figures
    max: Figures

    def __post_init__(self) -> None:
        """Refuse figures of which some have no epoch."""
        if len({len(self.n), *map(len, (self.mean, self.sd, self.low, self.high, self.min, self.max))}) > 1:
            raise ValueError("figures are of different numbers of epochs")
        if not all(0 <= count <= MAX_REPLICAS for count in self.n):
            raise ValueError(f"a number of replicas is none up to {MAX_REPLICAS}")


class FirstEpoch(msgspec.Struct, frozen=True, kw_only=True):
    """The test accuracies at one of the first epochs, percent."""

    epoch: int
    unmoved: float
    """The figure of the run in which no bit was moved."""
    moved: tuple[float, ...]
    """The figures of the runs in which one bit was moved."""


class ArmCurves(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One arm, without the measures that none of its runs has."""

    name: str
    runs: tuple[str, ...]
    """Finished runs that are in it."""
    epochs: tuple[int, ...]
    test_accuracy: SpreadCurve | None = None
    """Percent."""
    test_cross_entropy: SpreadCurve | None = None
    """Nats."""
    test_perplexity: SpreadCurve | None = None
    reported: SpreadCurve | None = None
    """The number that a user's own program reports instead of an accuracy."""
    first_epochs: tuple[FirstEpoch, ...] | None
    """The comparison of the first epochs, for arms in which one bit varies; None for others."""
    diverged: tuple[int, ...] = ()
    """The epoch in which each replica that has diverged did so; its figures count before that."""

    def __post_init__(self) -> None:
        """Refuse epochs that are none, and figures that are of others."""
        if not all(before < epoch <= MAX_EPOCHS for before, epoch in pairwise((0, *self.epochs))):
            raise ValueError(f"epochs do not rise from 1 to {MAX_EPOCHS} at most")
        spreads = (self.test_accuracy, self.test_cross_entropy, self.test_perplexity, self.reported)
        if any(spread is not None and len(spread.n) != len(self.epochs) for spread in spreads):
            raise ValueError("figures are of other epochs")

    def find(self, figure: str) -> SpreadCurve | None:
        """Return the spread of a figure by its name in `FIELDS`; None where no run has it."""
        found: SpreadCurve | None = getattr(self, FIELDS[figure])
        return found


class StudyCurves(Record, frozen=True, tag=1):
    """The content of curves.json."""

    max_bytes: ClassVar[int] = 64 * MEGABYTE

    study: str
    arms: tuple[ArmCurves, ...]


def find_curves(path: Path) -> tuple[ArmCurves, ...]:
    """Read the arms of curves.json; none where it is absent or damaged."""
    found = find_record(path, StudyCurves)
    return () if found is None else found.arms
