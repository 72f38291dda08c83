"""Describes studies for `ls --json` and `status --json`: typed records, whose fields docs/commands.md explains.

A field is never taken away nor given another meaning; new ones may come.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from engine.study.notes import NoteRecord, take_note
from engine.study.paths import StudyPaths
from engine.study.records import Damage
from engine.study.run_state import WITHOUT_RESULT, Status
from engine.study.snapshot import ArmView, Spread, StudySnapshot
from engine.study.study_plan import StudyPlan
from engine.study.study_state import StudyState
from engine.study.summary import StudySummary
from engine.study.supervisor_record import SlotRecord


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """The arm of a study that varies most sources, in two figures."""

    arm: str
    sd: float
    """Accuracy SD in percent, or the SD of perplexity."""
    disagreement: float | None
    """Percent."""


class ListedStudy(msgspec.Struct, frozen=True, kw_only=True):
    """One study of a store."""

    name: str
    folder: str
    state: StudyState
    done: int
    total: int
    failed: int
    changed: str | None
    """Time of the last change, ISO 8601 in UTC; None where nothing can be read."""
    headline: Headline | None
    fault: str | None
    """Why it cannot be read."""
    note: str | None
    """What a person says of it; None where that cannot be read."""
    tags: tuple[str, ...]


class ListedStore(msgspec.Struct, frozen=True, kw_only=True):
    """A store: what `ls --json` prints."""

    v: int = 1
    store: str
    studies: tuple[ListedStudy, ...]


class RunningRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run that is being trained, under the first arm that has it."""

    run: str
    arm: str
    replica: int
    epoch: int
    """Epochs that have ended."""
    epochs: int
    """Epochs that are planned."""
    accuracy: float | None
    """Percent, after the last of them."""


class EndedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run that ended without a result, under the first arm that has it."""

    run: str
    arm: str
    replica: int
    status: Status
    reason: str | None
    attempts: int
    log: str | None


class ShownSpread(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of an arm's replicas at the last epoch that two of them have reached."""

    measure: str
    epoch: int
    n: int
    minimum: float
    mean: float
    maximum: float
    sd: float | None
    """With R in the denominator; None of one replica, and of replicas that all diverged."""
    diverged: int


class ShownArm(msgspec.Struct, frozen=True, kw_only=True):
    """One arm."""

    name: str
    vary: tuple[str, ...]
    replicas: int
    done: int
    counts: dict[Status, int]
    """Replicas by state; states without any are left out."""
    diverged: int
    diverged_replicas: tuple[int, ...]
    """Which, from 1."""
    spread: ShownSpread | None


class ShownStudy(msgspec.Struct, frozen=True, kw_only=True):
    """A study: what `status --json` prints."""

    v: int = 1
    study: str
    folder: str
    state: StudyState
    total: int
    done: int
    counts: dict[Status, int]
    diverged: int
    seconds_left: float | None
    created: str
    arms: tuple[ShownArm, ...]
    running: tuple[RunningRun, ...]
    ended: tuple[EndedRun, ...]
    """Runs without a result that ended, failed or were lost."""
    slots: tuple[SlotRecord, ...]
    notes: tuple[str, ...]
    """What does not get on, and what is damaged."""
    note: str | None
    """What a person says of it; None where that cannot be read."""
    tags: tuple[str, ...]


def describe_store(root: Path, studies: Iterable[StudySummary]) -> ListedStore:
    """Describe a store and its studies."""
    return ListedStore(store=str(root), studies=tuple(map(_list_study, studies)))


def _list_study(summary: StudySummary) -> ListedStudy:
    changed = datetime.fromtimestamp(round(summary.changed), UTC).isoformat() if summary.changed else None
    headline = None
    if summary.headline is not None:
        arm, deviation, disagreement = summary.headline
        headline = Headline(arm=arm, sd=deviation, disagreement=disagreement)
    return ListedStudy(
        name=summary.paths.name,
        folder=str(summary.paths.folder),
        state=summary.state,
        done=summary.done,
        total=summary.total,
        failed=summary.failed,
        changed=changed,
        headline=headline,
        fault=summary.fault,
        note=None if isinstance(summary.note, Damage) else summary.note.text,
        tags=summary.tags,
    )


def describe_study(
    paths: StudyPaths, plan: StudyPlan, snapshot: StudySnapshot, notes: Iterable[str], note: NoteRecord | Damage
) -> ShownStudy:
    """Describe a study as it stands.

    Args:
        paths: The study.
        plan: Its plan.
        snapshot: How it stands.
        notes: What does not get on, and what is damaged.
        note: What a person says of it.
    """
    total, done = len(snapshot.runs), snapshot.counts.get("done", 0)
    return ShownStudy(
        study=snapshot.study,
        folder=str(paths.folder),
        state=snapshot.state,
        total=total,
        done=done,
        counts=dict(sorted(snapshot.counts.items())),
        diverged=snapshot.diverged,
        seconds_left=snapshot.seconds_left if done < total else 0.0,
        created=plan.created,
        arms=tuple(map(_show_arm, snapshot.arms)),
        running=tuple(_find_running(snapshot)),
        ended=tuple(_find_ended(snapshot, paths)),
        slots=snapshot.slots,
        notes=tuple(notes),
        note=None if isinstance(note, Damage) else note.text,
        tags=take_note(note).tags,
    )


def _show_arm(arm: ArmView) -> ShownArm:
    return ShownArm(
        name=arm.name,
        vary=arm.vary,
        replicas=len(arm.runs),
        done=arm.counts.get("done", 0),
        counts=dict(sorted(arm.counts.items())),
        diverged=arm.diverged,
        diverged_replicas=tuple(number for number, run in enumerate(arm.runs, start=1) if run.state.diverged),
        spread=None if arm.spread is None else _show_spread(arm.spread),
    )


def _show_spread(spread: Spread) -> ShownSpread:
    return ShownSpread(
        measure=spread.measure,
        epoch=spread.epoch,
        n=spread.n,
        minimum=spread.minimum,
        mean=spread.mean,
        maximum=spread.maximum,
        sd=spread.sd if spread.n > max(1, spread.diverged) else None,
        diverged=spread.diverged,
    )


def _find_running(snapshot: StudySnapshot) -> Iterable[RunningRun]:
    told: set[str] = set()
    for arm in snapshot.arms:
        for replica, run in enumerate(arm.runs, start=1):
            if run.state.status == "running" and run.id not in told:
                told.add(run.id)
                yield RunningRun(
                    run=run.id,
                    arm=arm.name,
                    replica=replica,
                    epoch=run.trained,
                    epochs=run.planned_epochs,
                    accuracy=None if run.latest is None else run.latest.test_accuracy,
                )


def _find_ended(snapshot: StudySnapshot, paths: StudyPaths) -> Iterable[EndedRun]:
    told: set[str] = set()
    for arm in snapshot.arms:
        for replica, run in enumerate(arm.runs, start=1):
            state = run.state
            if state.status in WITHOUT_RESULT and run.id not in told:
                told.add(run.id)
                log = paths.run(run.id).attempt(state.attempts).log
                yield EndedRun(
                    run=run.id,
                    arm=arm.name,
                    replica=replica,
                    status=state.status,
                    reason=state.reason,
                    attempts=state.attempts,
                    log=str(log) if state.attempts else None,
                )


def print_json(content: msgspec.Struct) -> None:
    """Print a record as indented JSON, of characters that every stream can show."""
    sys.stdout.write(json.dumps(msgspec.to_builtins(content), indent=1, ensure_ascii=True) + "\n")
