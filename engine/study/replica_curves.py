"""The curves of single replicas, each line of their epochs read once: what a live view shows of one arm at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from engine.study.curves_record import FIELDS
from engine.study.epochs import EpochRecord, read_epochs
from engine.study.figures import list_names, read_figure
from engine.study.paths import StudyPaths
from engine.study.snapshot import RunView

Line = tuple[float | None, ...]
"""A figure by epoch from 1; None where there is none that is finite."""

KEPT_RUNS = 400
"""Runs whose curves are remembered, those of the latest arms: others are read again."""

FEWEST_REPLICAS = 5
"""Replicas among which one can be told to lie outside."""

OUTSIDE = 3.5
"""A modified z-score from which on a value is called an outlier: Iglewicz & Hoaglin (1993)."""

NORMAL_MAD = 0.6745
"""The median distance from the median of a normal distribution with an SD of 1."""


@dataclass
class _Known:
    """Holds what was read of one run so far."""

    attempts: int
    """How many there were when it was read."""
    attempt: int
    """The number of the one whose epochs count; 0 where there is none."""
    offset: int = 0
    lines: int = 0
    figures: dict[str, Line] = field(default_factory=dict[str, Line])
    """By measure, those that are finite somewhere."""
    numbers: list[str] = field(default_factory=list[str])
    """The names of those of a user's own program."""

    def take(self, records: Sequence[EpochRecord]) -> None:
        longest = max(record.epoch for record in records)
        self.numbers = list_names(records, self.numbers)
        for measure in (*FIELDS, *self.numbers):
            column = list(self.figures.get(measure, ()))
            column += [None] * (longest - len(column))
            for record in records:
                column[record.epoch - 1] = read_figure(record, measure)
            if any(value is not None for value in column):
                self.figures[measure] = tuple(column)


@dataclass
class ReplicaCurves:
    """Reads the curves of runs again and again; see `read`."""

    paths: StudyPaths
    _known: dict[str, _Known] = field(default_factory=dict[str, _Known])

    def read(self, runs: Sequence[RunView]) -> dict[str, tuple[Line, ...]]:
        """Read what is new of some runs.

        Args:
            runs: The replicas of an arm, in their order.

        Returns:
            For each figure that any of them has, a line per run; see `engine.study.figures`.
        """
        known = [self._read_run(run) for run in runs]
        # The oldest are those that no caller has asked for lately.
        for run in list(self._known)[: max(0, len(self._known) - max(KEPT_RUNS, len(runs)))]:
            del self._known[run]
        names = dict.fromkeys(name for one in known for name in one.figures)
        return {measure: tuple(one.figures.get(measure, ()) for one in known) for measure in names}

    def _read_run(self, run: RunView) -> _Known:
        known = self._known.pop(run.id, None)
        if known is None or known.attempts != run.state.attempts:
            attempt = self._find_attempt(run)
            if known is None or known.attempt != attempt:
                known = _Known(run.state.attempts, attempt)
            known.attempts = run.state.attempts
        self._known[run.id] = known
        # As many lines as there are epochs say that nothing is new.
        if known.attempt and known.lines != run.trained + run.bad_lines:
            path = self.paths.run(run.id).attempt(known.attempt).epochs
            chunk = read_epochs(path, offset=known.offset, before=known.lines)
            known.offset = chunk.offset
            known.lines += len(chunk.records) + chunk.bad_lines
            if chunk.records:
                known.take(chunk.records)
        return known

    def _find_attempt(self, run: RunView) -> int:
        if run.state.result is not None:
            return run.state.result.attempt
        attempts = self.paths.run(run.id).list_attempts() if run.state.attempts else []
        return attempts[-1].number if attempts else 0


def find_outliers(values: Sequence[float | None]) -> list[int]:
    """Return the places of values that lie far outside of the others, the farthest first.

    Source: the modified z-score of Iglewicz & Hoaglin (1993), with the median distance from the median as the unit.
    """
    known = [value for value in values if value is not None]
    if len(known) < FEWEST_REPLICAS:
        return []
    middle = median(known)
    unit = median(abs(value - middle) for value in known) / NORMAL_MAD
    distances = {place: abs(value - middle) for place, value in enumerate(values) if value is not None}
    outside = [place for place, distance in distances.items() if unit > 0 and distance > OUTSIDE * unit]
    return sorted(outside, key=lambda place: -distances[place])
