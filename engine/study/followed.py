"""The curves of a study's runs, read line by line and added up by arm and epoch, so that no line has to be kept.

Of each run the latest epoch and the pace are kept. Where a run starts again, the curves of its arms are added up anew
from the files.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.plan.records import PlannedArm
from engine.study.curves_record import ArmCurves
from engine.study.epochs import EpochRecord, read_epochs
from engine.study.parting import Digests, Partings, part_replicas, read_digests
from engine.study.paths import StudyPaths
from engine.study.run_state import RunState
from engine.study.series import ArmSeries

PACE_EPOCHS = 10
"""Latest epochs of a run that its pace is judged by."""


@dataclass
class RunCurve:
    """One run's epochs so far: how many, the latest one, and the place where the next read starts."""

    attempt: int = 0
    offset: int = 0
    bad_lines: int = 0
    trained: int = 0
    """Epochs that have ended."""
    latest: EpochRecord | None = None
    """The last one; None before it, and where the curve came added up."""
    seconds: tuple[float, ...] = ()
    """Durations of the latest epochs, PACE_EPOCHS at most."""
    digests: list[str | None] | None = None
    """Of its weights before the first step and after every epoch, in one list that grows; None of runs that vary."""

    def take(self, records: Sequence[EpochRecord]) -> None:
        """Note some more epochs."""
        if records:
            if self.digests is not None:
                found = [records[0].start] if not self.trained else []
                found += [record.weights for record in records]
                # Those of a control's runs are the same, as they should be: each is kept once.
                self.digests += [None if digest is None else sys.intern(digest) for digest in found]
            self.trained += len(records)
            self.latest = records[-1]
            finite = [record.seconds for record in records[-PACE_EPOCHS:] if math.isfinite(record.seconds)]
            self.seconds = (*self.seconds, *finite)[-PACE_EPOCHS:]


@dataclass
class Curves:
    """Reads the epochs of a study's runs and adds them up; see `begin` and `read`."""

    paths: StudyPaths
    measures: Sequence[str]
    """What is added up, of `curves_record.FIELDS`."""
    known: Mapping[str, ArmCurves] = field(default_factory=dict[str, ArmCurves])
    """Arms of curves.json by name: their runs are not read again."""
    series: dict[str, ArmSeries] = field(default_factory=dict[str, ArmSeries])
    _runs: dict[str, RunCurve] = field(default_factory=dict[str, RunCurve])
    _arms: dict[str, PlannedArm] = field(default_factory=dict[str, PlannedArm])
    _arms_of: dict[str, list[str]] = field(default_factory=dict[str, "list[str]"])
    _added: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """(arm, run) whose epochs came added up."""

    def begin(self, arms: Iterable[PlannedArm], states: Mapping[str, RunState]) -> None:
        """Begin anew with the arms of a plan, and with what curves.json knows of their finished runs."""
        self._runs, self.series, self._arms_of, self._added = {}, {}, {}, set()
        self._arms = {arm.name: arm for arm in arms}
        for arm in self._arms.values():
            for run in dict.fromkeys(arm.runs):
                self._arms_of.setdefault(run, []).append(arm.name)
            self.series[arm.name] = ArmSeries(arm.name, self.measures)
            before = self.known.get(arm.name)
            done = {r for r in arm.runs if states[r].status == "done"}
            # Live curves show what a replica guesses in the epoch in which it diverges, and curves.json does not.
            if before is not None and not before.diverged and set(before.runs) <= done:
                self.series[arm.name].add_finished(before)
                self._added.update((arm.name, run) for run in before.runs)
        for run, names in self._arms_of.items():
            result = states[run].result
            if result is not None and all((name, run) in self._added for name in names):
                self._runs[run] = RunCurve(attempt=result.attempt, trained=result.epochs)
        for arm in self._arms.values():
            results = [states[run].result for run in arm.runs if run in self._runs]
            if not arm.vary and len({result.weights_sha256 for result in results if result is not None}) > 1:
                for run in self._runs.keys() & set(arm.runs):
                    self._runs[run].digests = list(read_digests(self.paths.run(run)))

    def get(self, run: str) -> RunCurve:
        """Return what is known of a run's curve."""
        return self._runs.get(run) or RunCurve()

    def read(self, run: str, attempt: int) -> bool:
        """Add the epochs that an attempt has written since the last look; return whether anything is new.

        Args:
            run: The run.
            attempt: The number of its latest attempt; 0 where there is none.
        """
        curve = self._runs.setdefault(run, self._begin_curve(run))
        if curve.attempt == attempt and curve.trained and curve.latest is None:
            return False
        path = self.paths.run(run).attempt(attempt).epochs
        size = _size_of(path) if attempt else 0
        restarted = curve.attempt != attempt or size < curve.offset
        if not restarted and size == curve.offset:
            return False
        lost = curve.trained if restarted else 0
        if restarted:
            curve = self._runs[run] = self._begin_curve(run, attempt)
        chunk = read_epochs(path, offset=curve.offset, before=curve.trained + curve.bad_lines)
        curve.offset = chunk.offset
        curve.bad_lines += chunk.bad_lines
        curve.take(chunk.records)
        for name in self._arms_of.get(run, ()):
            if lost:
                self._add_up_again(name)
            elif (name, run) not in self._added:
                self.series[name].add(chunk.records)
        return bool(chunk.records or chunk.bad_lines or restarted)

    def _begin_curve(self, run: str, attempt: int = 0) -> RunCurve:
        """Return the curve of a run without epochs; digests are kept where nothing varies, so that none may differ."""
        steady = any(not self._arms[name].vary for name in self._arms_of.get(run, ()))
        return RunCurve(attempt=attempt, digests=[] if steady else None)

    def part(self, arm: PlannedArm) -> Partings | None:
        """Tell when the replicas of an arm part in which nothing varies; None of other arms.

        Finished runs whose epochs came added up are known where their weights differ.
        """
        if arm.vary:
            return None
        return part_replicas([_take_digests(self.get(run)) for run in arm.runs])

    def _read_again(self, run: str) -> Sequence[EpochRecord]:
        """Read the epochs of a run that have been counted."""
        curve = self._runs.get(run)
        if curve is None or not curve.attempt:
            return ()
        return read_epochs(self.paths.run(run).attempt(curve.attempt).epochs).records[: curve.trained]

    def _add_up_again(self, name: str) -> None:
        """Add up an arm from its runs' files, because one of them has started again."""
        series = self.series[name] = ArmSeries(name, self.measures)
        arm = self._arms[name]
        for run in dict.fromkeys(arm.runs):
            self._added.discard((name, run))
            series.add(self._read_again(run))


def _take_digests(curve: RunCurve) -> Digests:
    """Return a run's digests; none where one is missing."""
    return () if curve.digests is None else tuple(one for one in curve.digests if one) * (None not in curve.digests)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
