"""The spread of an arm's replicas by epoch, added up record by record, so that no record has to be kept.

Every new line of epochs.jsonl is looked at once; runs that had finished before may come from curves.json, already
added up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.study.curves_record import FIELDS, ArmCurves
from engine.study.epochs import EpochRecord
from engine.study.figures import EVERY_NUMBER, list_names, read_figure


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
    measures: Sequence[str] = tuple(FIELDS)
    """Those that are added up; see `engine.study.figures`."""
    numbers: list[str] = field(default_factory=list[str])
    """Those of a user's own program that were found so far."""
    sums: dict[str, list[Sum]] = field(default_factory=dict[str, list[Sum]])
    """Measure → epochs from 1."""

    def add(self, records: Iterable[EpochRecord]) -> None:
        """Take some epochs of one run; figures that are not finite are gaps."""
        records = list(records)
        if EVERY_NUMBER in self.measures:
            self.numbers = list_names(records, self.numbers)
        for measure in (*self.shared, *self.numbers):
            for record in records:
                value = read_figure(record, measure)
                if value is not None:
                    self._at(measure, record.epoch).add(value)

    @property
    def shared(self) -> list[str]:
        """The figures that are asked for and that every training has."""
        return [measure for measure in self.measures if measure != EVERY_NUMBER]

    def add_finished(self, arm: ArmCurves) -> None:
        """Take an arm of curves.json; before any other."""
        for measure in self.shared:
            found = arm.find(measure)
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
