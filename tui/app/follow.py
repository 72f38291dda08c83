"""A study followed for the live screens: one frozen picture per look, with every epoch read once.

Runs that had finished when the study was opened come from curves.json, already added up; all others are read from
where the last look stopped. The curves of single replicas are read of one arm, which has the attention.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from engine.catalog.measures import EPOCH_FIGURES
from engine.protocol.faults import printable
from engine.study.curves_record import find_curves
from engine.study.figures import EVERY_NUMBER
from engine.study.measuring_record import describe_measuring
from engine.study.metrics_record import ArmMeasures, find_metrics
from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.replica_curves import Line, ReplicaCurves
from engine.study.run_records import AttemptRecord
from engine.study.series import ArmSeries
from engine.study.snapshot import ArmView, RunView, StudySnapshot
from engine.study.study_plan import read_plan
from engine.study.view import StudyView


@dataclass(frozen=True)
class Training:
    """Some replicas of an arm that one process trains."""

    slot: str
    arm: int
    """The place of the arm in the protocol."""
    replicas: tuple[int, ...]
    """From 1."""
    first: RunView
    curves: Mapping[str, Line]
    """Of the first of them, by measure."""


@dataclass(frozen=True)
class Picture:
    """Holds what a live screen shows at one moment."""

    snapshot: StudySnapshot
    series: dict[str, ArmSeries]
    """The series by arm; they grow in place."""
    metrics: dict[str, ArmMeasures]
    """Arms of metrics.json by name."""
    measures: tuple[str, ...]
    """Those that there are figures of."""
    focus: str | None = None
    """The arm whose replicas were read."""
    replicas: Mapping[str, tuple[Line, ...]] = field(default_factory=dict[str, tuple[Line, ...]])
    """A line per replica of that arm, by measure."""
    training: tuple[Training, ...] = ()
    measuring: str | None = None
    """How far measuring is, in words, while nothing else is left to do."""

    def next_measure(self, measure: str) -> str:
        """Return the measure after one, in a circle; the first where there is none of this name."""
        place = self.measures.index(measure) + 1 if measure in self.measures else 0
        return self.measures[place % len(self.measures)] if self.measures else measure

    def find_arm(self, name: str | None) -> tuple[int, ArmView] | None:
        """Return an arm and its place in the protocol; None where there is none of this name."""
        return next(((n, arm) for n, arm in enumerate(self.snapshot.arms) if arm.name == name), None)


@dataclass
class Follower:
    """Reads a study again and again."""

    paths: StudyPaths
    view: StudyView = field(init=False)
    replicas: ReplicaCurves = field(init=False)
    _metrics: dict[str, ArmMeasures] = field(default_factory=dict[str, ArmMeasures])
    _stamp: int = -1
    _lock: Lock = field(default_factory=Lock)
    """Screens that show the same study may look at the same time."""
    _slots: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])

    def __post_init__(self) -> None:
        """Read the plan, and what was added up before.

        Raises:
            StudyError: If the study cannot be read.
        """
        known = {arm.name: arm for arm in find_curves(self.paths.curves)}
        measures = tuple(EPOCH_FIGURES)
        if read_plan(self.paths).command is not None:
            # What a program reports has names of its own, which curves.json does not hold.
            known, measures = {}, (*measures, EVERY_NUMBER)
        self.view = StudyView(self.paths, measures=measures, known=known)
        self.replicas = ReplicaCurves(self.paths)

    def look(self, focus: str | None = None) -> Picture:
        """Read what is new.

        Args:
            focus: The arm whose replicas are read; where there is none of this name, the first that varies something.

        Raises:
            StudyError: If the plan has gone or is damaged.
        """
        with self._lock:
            return self._look(focus)

    def _look(self, focus: str | None) -> Picture:
        snapshot = self.view.refresh()
        series = {arm.name: arm.series for arm in snapshot.arms if arm.series is not None}
        numbers = dict.fromkeys(number for one in series.values() for number in one.numbers)
        shared = [name for name in EPOCH_FIGURES if not (numbers and name == "reported")]
        found = tuple(m for m in (*shared, *numbers) if any(s.sums.get(m) for s in series.values()))
        training = self._list_training(snapshot)
        arm = next((arm for arm in snapshot.arms if arm.name == focus), _choose_arm(snapshot.arms))
        replicas = {} if arm is None else self.replicas.read(arm.runs)
        name = None if arm is None else arm.name
        ending = snapshot.finished and snapshot.supervised
        measuring = describe_measuring(self.paths) if ending else None
        return Picture(snapshot, series, self._read_metrics(), found, name, replicas, training, measuring)

    def _list_training(self, snapshot: StudySnapshot) -> tuple[Training, ...]:
        """List what each process trains of each arm, in the order of the slots; a run that arms share counts once."""
        groups: dict[tuple[str, int], list[tuple[int, RunView]]] = {}
        seen: set[str] = set()
        for number, arm in enumerate(snapshot.arms):
            for replica, run in enumerate(arm.runs, start=1):
                if run.state.status == "running" and run.id not in seen:
                    seen.add(run.id)
                    groups.setdefault((self._find_slot(run), number), []).append((replica, run))
        found: list[Training] = []
        for (slot, number), runs in sorted(groups.items()):
            first = runs[0][1]
            curves = {measure: lines[0] for measure, lines in self.replicas.read([first]).items()}
            found.append(Training(slot, number, tuple(replica for replica, _ in runs), first, curves))
        return tuple(found)

    def _find_slot(self, run: RunView) -> str:
        """Return the slot of a run's latest attempt, which is read once."""
        key = (run.id, run.state.attempts)
        if key not in self._slots:
            attempts = self.paths.run(run.id).list_attempts()
            record = find_record(attempts[-1].attempt, AttemptRecord) if attempts else None
            if record is None:
                return "?"
            where = record.slot if record.job is None else f"{record.slot} {record.owner.host}"
            self._slots[key] = printable(where)
        return self._slots[key]

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


def _choose_arm(arms: Sequence[ArmView]) -> ArmView | None:
    """Return the first arm in which a source has something to vary; the first of all where there is none."""
    varying = (arm for arm in arms if any(source not in arm.empty for source in arm.vary))
    return next(varying, arms[0] if arms else None)
