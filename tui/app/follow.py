"""A study followed for the live screens: one frozen picture per look, with every epoch read once.

Runs that had finished when the study was opened come from curves.json, already added up; all others are read from
where the last look stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.catalog.measures import EPOCH_FIGURES
from engine.study.curves_record import find_curves
from engine.study.metrics_record import ArmMeasures, find_metrics
from engine.study.paths import StudyPaths
from engine.study.series import ArmSeries
from engine.study.view import StudySnapshot, StudyView


@dataclass(frozen=True)
class Picture:
    """Holds what a live screen shows at one moment."""

    snapshot: StudySnapshot
    series: dict[str, ArmSeries]
    """The series by arm; they grow in place."""
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
    _metrics: dict[str, ArmMeasures] = field(default_factory=dict[str, ArmMeasures])
    _stamp: int = -1

    def __post_init__(self) -> None:
        """Read the plan, and what was added up before.

        Raises:
            StudyError: If the study cannot be read.
        """
        known = {arm.name: arm for arm in find_curves(self.paths.curves)}
        self.view = StudyView(self.paths, measures=tuple(EPOCH_FIGURES), known=known)

    def look(self) -> Picture:
        """Read what is new.

        Raises:
            StudyError: If the plan has gone or is damaged.
        """
        snapshot = self.view.refresh()
        series = {arm.name: arm.series for arm in snapshot.arms if arm.series is not None}
        references = {arm.name: arm.reference for arm in snapshot.arms}
        found = tuple(m for m in EPOCH_FIGURES if any(s.sums.get(m) for s in series.values()))
        return Picture(snapshot, series, references, self._read_metrics(), found)

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
