"""A study followed for the live screens: one frozen picture per look, with every epoch read once.

Runs that had finished when the study was opened come from curves.json, already added up; all others are read from
where the last look stopped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from engine.catalog.measures import EPOCH_FIGURES
from engine.study.curves_record import find_curves
from engine.study.metrics_record import ArmMeasures, find_metrics
from engine.study.paths import StudyPaths
from engine.study.view import RunView, StudySnapshot, StudyView
from tui.text.series import ArmSeries


@dataclass(frozen=True)
class Picture:
    """Holds what a live screen shows at one moment."""

    snapshot: StudySnapshot
    series: dict[str, ArmSeries]
    """The series by arm; they grow in place, and `version` changes when they did."""
    version: int
    references: dict[str, tuple[float | None, ...]]
    """Accuracy of each arm's replica 1 by epoch."""
    metrics: dict[str, ArmMeasures]
    """Arms of metrics.json by name."""
    measures: tuple[str, ...]
    """Those that there are figures of."""


@dataclass
class Follower:
    """Reads a study again and again."""

    paths: StudyPaths
    view: StudyView = field(init=False)
    series: dict[str, ArmSeries] = field(default_factory=dict[str, ArmSeries])
    version: int = 0
    _taken: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict[tuple[str, str], tuple[int, int]])
    """(arm, run) → attempts and epochs that were taken of it."""
    _metrics: dict[str, ArmMeasures] = field(default_factory=dict[str, ArmMeasures])
    _stamp: int = -1

    def __post_init__(self) -> None:
        """Read the plan, and what was added up before.

        Raises:
            StudyError: If the study cannot be read.
        """
        self._before = {arm.name: arm for arm in find_curves(self.paths.curves)}
        finished = {run for arm in self._before.values() for run in arm.runs}
        self.view = StudyView(self.paths, added_up=frozenset(finished))

    def look(self) -> Picture:
        """Read what is new.

        Raises:
            StudyError: If the plan has gone or is damaged.
        """
        snapshot = self.view.refresh()
        for arm in snapshot.arms:
            if self._restarted(arm.name, arm.runs):
                self.series.pop(arm.name, None)
                for key in [key for key in self._taken if key[0] == arm.name]:
                    del self._taken[key]
            series = self.series.get(arm.name)
            if series is None:
                series = self.series[arm.name] = self._begin(arm.name, arm.runs)
            for run in arm.runs:
                self._take(arm.name, series, run)
        references = {arm.name: self._reference(arm.runs[0]) for arm in snapshot.arms if arm.runs}
        found = tuple(m for m in EPOCH_FIGURES if any(s.sums.get(m) for s in self.series.values()))
        return Picture(snapshot, dict(self.series), self.version, references, self._read_metrics(), found)

    def _begin(self, name: str, runs: tuple[RunView, ...]) -> ArmSeries:
        series, before = ArmSeries(name), self._before.get(name)
        planned = {run.id for run in runs}
        if before is not None and set(before.runs) <= planned:
            series.add_finished(before)
            for run in runs:
                if run.id in before.runs:
                    self._taken[name, run.id] = (run.state.attempts, run.planned_epochs)
        self.version += 1
        return series

    def _restarted(self, name: str, runs: tuple[RunView, ...]) -> bool:
        """Tell whether a run whose epochs were added has started again, so that its arm has to be added up again."""
        for run in runs:
            attempts, epochs = self._taken.get((name, run.id), (run.state.attempts, 0))
            if attempts != run.state.attempts and epochs and (run.epochs or run.state.status == "running"):
                return True
        return False

    def _take(self, name: str, series: ArmSeries, run: RunView) -> None:
        attempts, epochs = self._taken.get((name, run.id), (run.state.attempts, 0))
        if len(run.epochs) > epochs:
            series.add(run.epochs[epochs:])
            self._taken[name, run.id] = (attempts, len(run.epochs))
            self.version += 1

    def _reference(self, run: RunView) -> tuple[float | None, ...]:
        return tuple(r.test_accuracy if math.isfinite(r.test_accuracy) else None for r in run.epochs)

    def _read_metrics(self) -> dict[str, ArmMeasures]:
        try:
            stamp = self.paths.metrics.stat().st_mtime_ns
        except OSError:
            return self._metrics
        if stamp != self._stamp:
            found = find_metrics(self.paths.metrics)
            if found is not None:
                self._metrics, self._stamp = {arm.name: arm for arm in found.arms}, stamp
        return self._metrics
