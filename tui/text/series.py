"""The spread of an arm's replicas by epoch, added up record by record: what the live plot draws.

Every new line of epochs.jsonl is looked at once; runs that had finished before the study was opened come from
curves.json, already added up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.catalog.measures import EPOCH_FIGURES
from engine.study.curves_record import ArmCurves, SpreadCurve
from engine.study.epochs import EpochRecord


@dataclass(slots=True)
class Sum:
    """One epoch of one measure over the replicas that have reached it."""

    n: int = 0
    shift: float = 0.0
    """The first value: sums of distances from it keep the digits that a small spread needs."""
    total: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, value: float) -> None:
        """Take one replica's figure."""
        if self.n == 0:
            self.shift = value
        distance = value - self.shift
        self.n += 1
        self.total += distance
        self.squares += distance * distance
        self.low, self.high = min(self.low, value), max(self.high, value)

    def add_many(self, n: int, mean: float, sd: float, low: float, high: float) -> None:
        """Add `n` replicas at once from their mean and spread; call it before any other replica is added."""
        self.n, self.shift, self.total, self.squares = n, mean, 0.0, n * sd * sd
        self.low, self.high = low, high

    @property
    def mean(self) -> float:
        """The mean over the replicas."""
        return self.shift + self.total / self.n

    @property
    def sd(self) -> float:
        """The standard deviation over the replicas with ddof 0, as in the paper."""
        return math.sqrt(max(0.0, self.squares / self.n - (self.total / self.n) ** 2))


@dataclass
class ArmSeries:
    """The epochs of one arm."""

    name: str
    sums: dict[str, list[Sum]] = field(default_factory=dict[str, list[Sum]])
    """Measure → epochs from 1."""

    def add(self, records: Iterable[EpochRecord]) -> None:
        """Take some epochs of one run; figures that are not finite are gaps."""
        for record in records:
            for measure, (name, _) in EPOCH_FIGURES.items():
                value = getattr(record, name)
                if value is not None and math.isfinite(value):
                    self._at(measure, record.epoch).add(value)

    def add_finished(self, arm: ArmCurves) -> None:
        """Take an arm of curves.json; before any other."""
        for measure, (name, _) in EPOCH_FIGURES.items():
            found: SpreadCurve | None = getattr(arm, name)
            if found is None:
                continue
            rows = zip(arm.epochs, found.n, found.mean, found.sd, found.min, found.max, strict=True)
            for epoch, n, mean, sd, low, high in rows:
                if mean is not None and sd is not None and low is not None and high is not None:
                    self._at(measure, epoch).add_many(n, mean, sd, low, high)

    def _at(self, measure: str, epoch: int) -> Sum:
        column = self.sums.setdefault(measure, [])
        while len(column) < epoch:
            column.append(Sum())
        return column[epoch - 1]

    def at(self, measure: str, epoch: int) -> Sum | None:
        """Return the sums of a measure over the replicas at an epoch; None where none has reached it."""
        column = self.sums.get(measure, [])
        found = column[epoch - 1] if 1 <= epoch <= len(column) else None
        return found if found is not None and found.n else None


@dataclass(frozen=True)
class Curve:
    """One arm as it is drawn; None are gaps."""

    name: str
    colour: int
    """Number of the arm, which keeps its colour whatever else is shown."""
    middle: Sequence[float | None]
    """By epoch from 1."""
    inner: Sequence[tuple[float, float] | None] = ()
    """One SD to both sides."""
    outer: Sequence[tuple[float, float] | None] = ()
    """Least to most."""
    reference: Sequence[float | None] = ()
    """Replica 1, as dots."""
    label: str = ""
    """The text behind the curve's end."""


def count_ended(measure: str, epoch: int, diverged: Mapping[int, int]) -> int:
    """Count the figures of a measure at an epoch that come from networks which diverged in it.

    Their accuracy is a number, which says what guessing gives. Their cross-entropy and perplexity are not finite, and
    so are not among the figures.
    """
    return diverged.get(epoch, 0) if measure == "accuracy" else 0


def has_spread(found: Sum, ended: int) -> bool:
    """Tell whether an epoch has an SD: it needs two replicas or more, and one of them that has not diverged."""
    return found.n > max(1, ended)


def make_curve(
    series: ArmSeries,
    measure: str,
    colour: int,
    *,
    spread: bool = False,
    reference: Sequence[float | None] = (),
    diverged: Mapping[int, int] | None = None,
) -> Curve:
    """Make an arm's curve of a measure.

    Args:
        series: The arm's epochs.
        measure: Key of EPOCH_FIGURES.
        colour: Number of the arm.
        spread: Make it of the SD over replicas instead.
        reference: The measure of replica 1, by epoch from 1.
        diverged: Epoch → how many replicas diverged in it.
    """
    ends = diverged or {}
    sums: list[Sum | None] = [found if found.n else None for found in series.sums.get(measure, [])]
    spreads = [
        s if s is not None and has_spread(s, count_ended(measure, epoch, ends)) else None
        for epoch, s in enumerate(sums, start=1)
    ]
    label = _make_label(sums, ends)
    if spread:
        return Curve(series.name, colour, [None if s is None else s.sd for s in spreads], label=label)
    return Curve(
        series.name,
        colour,
        [None if s is None else s.mean for s in sums],
        [None if s is None else (s.mean - s.sd, s.mean + s.sd) for s in spreads],
        [None if s is None else (s.low, s.high) for s in spreads],
        reference,
        label,
    )


def _make_label(sums: Sequence[Sum | None], diverged: Mapping[int, int]) -> str:
    """Return the SD at the curve's end and how many replicas diverged; or the reason why there is no SD."""
    epoch = max((number for number, found in enumerate(sums, start=1) if found is not None), default=0)
    last, total = sums[epoch - 1] if epoch else None, sum(diverged.values())
    if total and (last is None or last.n <= sum(n for end, n in diverged.items() if end >= epoch)):
        return f"{total} diverged"
    if last is None:
        return ""
    text = "n=1" if last.n < 2 else f"±{last.sd:.2g}"
    return f"{text} ~{total}" if total else text
