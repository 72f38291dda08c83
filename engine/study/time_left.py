"""Estimates how long the rest of a study takes: the epochs that are left, and what runs take beside their epochs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from statistics import median

from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.run_records import AttemptRecord, ResultRecord
from engine.study.snapshot import ArmView, RunView

LATEST = 24
"""Finished runs that tell what a run takes beside its epochs; each is read once."""


@dataclass(frozen=True)
class Took:
    """Says when a finished run was trained, where, and how long its epochs took."""

    seat: tuple[str, str]
    """Session of the supervisor, and slot: what one seat trains follows upon each other."""
    started_s: float
    ended_s: float
    epochs_s: float


@dataclass
class Overheads:
    """Finds what a run takes beside its epochs: a process that starts, data that are loaded, files that are written."""

    paths: StudyPaths
    _known: dict[str, Took | None] = field(default_factory=dict[str, "Took | None"])

    def measure_s(self, runs: Iterable[RunView]) -> float:
        """Return the seconds that a run takes beside its epochs, the median of the latest ones; 0 where none tells."""
        done = [run.state.result for run in runs if run.state.result is not None]
        latest = sorted(done, key=lambda result: result.finished)[-LATEST:]
        for result in latest:
            if result.run not in self._known:
                self._known[result.run] = _read_took(self.paths, result)
        return find_overhead_s(took for result in latest if (took := self._known[result.run]) is not None)


def find_overhead_s(runs: Iterable[Took]) -> float:
    """Return the median of what runs took beside their epochs; 0 where there are none.

    A run's time goes from the end of the one before it on the same seat, so that a process started for it counts
    too; of the first one, from its own start. Runs that were trained together share the time.
    """
    seats: dict[tuple[str, str], list[list[Took]]] = {}
    for run in sorted(runs, key=lambda run: run.ended_s):
        groups = seats.setdefault(run.seat, [])
        if groups and run.started_s < groups[-1][0].ended_s:
            groups[-1].append(run)
        else:
            groups.append([run])
    following = [(group, before[-1].ended_s) for groups in seats.values() for before, group in pairwise(groups)]
    first = [(groups[0], groups[0][0].started_s) for groups in seats.values()]
    spans = [
        max(0.0, group[-1].ended_s - since_s - sum(run.epochs_s for run in group)) / len(group)
        for group, since_s in following or first
    ]
    return median(spans) if spans else 0.0


def _read_took(paths: StudyPaths, result: ResultRecord) -> Took | None:
    attempt = find_record(paths.run(result.run).attempt(result.attempt).attempt, AttemptRecord)
    if attempt is None:
        return None
    try:
        started, ended = (datetime.fromisoformat(text).timestamp() for text in (attempt.started, result.finished))
    except (ValueError, OverflowError, OSError):
        return None
    return Took((attempt.session, attempt.slot), started, ended, result.seconds)


def estimate_slot_seconds(arms: Iterable[ArmView], overheads: Overheads) -> float | None:
    """Return the seconds that one slot alone needs for the remaining runs, at the pace of each arm's epochs so far."""
    arms = list(arms)
    overall = _pace_s(run for arm in arms for run in arm.runs)
    if overall is None:
        return None
    left_s, waiting = 0.0, 0
    counted: set[str] = set()
    for arm in arms:
        own = [run for run in arm.runs if run.id not in counted]
        counted.update(run.id for run in own)
        pace_s = _pace_s(arm.runs)
        waiting += sum(run.state.retriable and run.state.status != "running" for run in own)
        left_s += sum(_epochs_left(run) for run in own) * (overall if pace_s is None else pace_s)
    if waiting:
        left_s += waiting * overheads.measure_s(run for arm in arms for run in arm.runs)
    return left_s


def _pace_s(runs: Iterable[RunView]) -> float | None:
    """Return the mean duration of the runs' latest epochs in seconds; None before the first epoch.

    A user's program may report fewer epochs than are planned, or none: what it took is then that of all planned ones.
    """
    spans: list[float] = []
    for run in runs:
        result = run.state.result
        epochs = 0 if result is None else result.epochs if result.diverged else run.planned_epochs
        if run.seconds and (result is None or result.epochs == epochs):
            spans.extend(run.seconds)
        elif result is not None and epochs > 0:
            spans.append(result.seconds / epochs)
    return sum(spans) / len(spans) if spans else None


def _epochs_left(run: RunView) -> int:
    if run.state.status == "running":
        return max(0, run.planned_epochs - run.trained)
    return run.planned_epochs if run.state.retriable else 0
