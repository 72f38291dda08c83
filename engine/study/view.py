"""A study as its viewers see it: one frozen snapshot per refresh, read from the files alone.

Nothing is read twice: finished runs never change, and the epochs of the others are read from where the last
refresh stopped.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.study.control import Control, read_control
from engine.study.epochs import EpochRecord, read_epochs
from engine.study.paths import RunPaths, StudyPaths
from engine.study.run_state import RunState, Status, read_state
from engine.study.study_plan import StudyPlan, read_plan
from engine.study.study_state import StudyState, derive_state
from engine.study.supervisor_record import SlotRecord, Supervision, SupervisorRecord, watch_supervisor

PACE_EPOCHS = 10
"""Latest epochs of a run that its pace is judged by."""


@dataclass(frozen=True, kw_only=True)
class RunView:
    """One run: its state and its curve."""

    id: str
    state: RunState
    epochs: tuple[EpochRecord, ...]
    planned_epochs: int
    bad_lines: int = 0
    """Lines of epochs.jsonl that could not be read."""
    training: bool = False
    """Whether an attempt has begun: a run that waits for its first epoch counts too."""

    @property
    def diverged_epoch(self) -> int | None:
        """Epoch in which the run diverged, its last one; None where it did not."""
        return None if self.state.result is None else self.state.result.diverged_epoch


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Test accuracy, or another figure, of an arm's replicas at one epoch."""

    epoch: int
    n: int
    minimum: float
    mean: float
    maximum: float
    sd: float
    """ddof 0, as in the paper."""
    measure: str = "accuracy %"
    """What is spread: accuracy %, or perplexity."""
    diverged: int = 0
    """How many of the `n` diverged, at this epoch or later."""


@dataclass(frozen=True, kw_only=True)
class ArmView:
    """One arm: how many of its replicas are in which state, and how far they lie apart by now."""

    name: str
    vary: tuple[str, ...]
    empty: dict[str, str]
    runs: tuple[RunView, ...]
    counts: dict[Status, int]
    diverged: int
    spread: Spread | None
    """At the last epoch that at least two replicas have reached, or one where there is only one."""

    @property
    def diverged_epochs(self) -> dict[int, int]:
        """Epoch → how many replicas diverged in it."""
        return dict(Counter(run.diverged_epoch for run in self.runs if run.diverged_epoch is not None))


@dataclass(frozen=True, kw_only=True)
class StudySnapshot:
    """A whole study at one moment."""

    study: str
    arms: tuple[ArmView, ...]
    runs: dict[str, RunView]
    """The runs by id, each once, in training order."""
    counts: dict[Status, int]
    diverged: int
    control: Control
    supervisor: SupervisorRecord | None
    """What the latest supervisor said last; None where there was none."""
    supervised: bool
    """Whether the supervisor is alive, as far as its process and its signs of life can tell."""
    seconds_left: float | None
    """Estimate until the last run is done; None without a finished run or epoch to judge by."""
    supervision: Supervision = field(default_factory=lambda: Supervision(None))
    """How that was found out."""

    @property
    def slots(self) -> tuple[SlotRecord, ...]:
        """The slots as the supervisor described them; empty where there was no supervisor."""
        return () if self.supervisor is None else self.supervisor.slots

    @property
    def failure(self) -> str | None:
        """The reason why the supervisor gave up; None where it did not."""
        return None if self.supervisor is None else self.supervisor.failure

    @property
    def state(self) -> StudyState:
        """The study's state in a word."""
        return derive_state(
            total=len(self.runs),
            done=self.counts.get("done", 0),
            failed=self.counts.get("failed", 0),
            running=self.counts.get("running", 0),
            supervised=self.supervised,
            control=self.control,
        )

    @property
    def finished(self) -> bool:
        """Tell whether no run is being trained and none is left that would be tried or retried."""
        return not any(run.state.status == "running" or run.state.retriable for run in self.runs.values())


@dataclass
class _Curve:
    """The epochs that were read of one run so far, and the place where the next read starts."""

    attempt: int = 0
    offset: int = 0
    bad_lines: int = 0
    epochs: list[EpochRecord] = field(default_factory=list[EpochRecord])
    last: RunView | None = None
    """The run as it was last seen."""


class StudyView:
    """Follows one study folder."""

    def __init__(self, paths: StudyPaths, *, added_up: frozenset[str] = frozenset()) -> None:
        """Read the plan; runs are read by `refresh`.

        Args:
            paths: The study.
            added_up: Finished runs whose epochs the viewer knows already: they are not read.
        """
        self.paths, self.added_up = paths, added_up
        self.plan: StudyPlan = read_plan(paths)
        self._plan_stamp = _stamp(paths)
        self._curves: dict[str, _Curve] = {}

    def refresh(self) -> StudySnapshot:
        """Read what is new.

        Raises:
            StudyError: If the plan has gone or is damaged.
        """
        stamp = _stamp(self.paths)
        if stamp is not None and stamp != self._plan_stamp:
            self.plan, self._plan_stamp = read_plan(self.paths), stamp
        control = read_control(self.paths)
        supervision = watch_supervisor(self.paths)
        supervisor = supervision.record
        session = None if supervisor is None else supervisor.session
        slots = 0 if supervisor is None else len(supervisor.slots)
        runs = {run: self._read_run(run, control, session) for run in self.plan.order}
        trained = [arm for arm in self.plan.arms if arm.group == 1]  # ensembles are made of other arms' runs
        arms = tuple(_view_arm(arm.name, arm.vary, arm.empty, [runs[r] for r in arm.runs]) for arm in trained)
        return StudySnapshot(
            study=self.plan.study,
            arms=arms,
            runs=runs,
            counts=_count(runs.values()),
            diverged=sum(run.state.diverged for run in runs.values()),
            control=control,
            supervisor=supervisor,
            supervised=supervision.alive,
            seconds_left=estimate_seconds_left(arms, slots=slots or 1),
            supervision=supervision,
        )

    def _read_run(self, run_id: str, control: Control, session: str | None) -> RunView:
        curve = self._curves.setdefault(run_id, _Curve())
        if curve.last is not None and curve.last.state.status == "done":
            return curve.last
        run = self.paths.run(run_id)
        state = read_state(run, control=control, session=session, run_id=run_id)
        if state.withheld and curve.last is not None:
            return curve.last  # a permission that was lost, or a server that is away, changes nothing about the run
        if state.status != "done" or run_id not in self.added_up:
            _read_curve(curve, run, state)
        curve.last = RunView(
            id=run_id,
            state=state,
            epochs=tuple(curve.epochs),
            planned_epochs=self.plan.epochs[run_id],
            bad_lines=curve.bad_lines,
            training=state.attempts > 0,
        )
        return curve.last


def describe_silence(run: RunView) -> str:
    """Say how long a run has given no sign, in which epoch, and where it stands as far as that is known."""
    silence = run.state.silence
    if silence is None:
        return "no sign is known"
    words = [f"no sign for {silence.still_s:.0f} s", f"epoch {len(run.epochs) + 1}"]
    return ", ".join(words + ([] if silence.place is None else [silence.place]))


def _stamp(paths: StudyPaths) -> tuple[int, int] | None:
    """Return what changes with the plan; None where it cannot be looked at, which says nothing about it."""
    try:
        status = paths.plan.stat()
    except (FileNotFoundError, NotADirectoryError):
        return (0, 0)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ino)


def _read_curve(curve: _Curve, run: RunPaths, state: RunState) -> None:
    """Add the epochs written since the last look; a new attempt starts the curve anew."""
    number = run.list_attempts()[-1].number if state.attempts else 0
    if number != curve.attempt:
        curve.attempt, curve.offset, curve.bad_lines, curve.epochs = number, 0, 0, []
    if number:
        before = len(curve.epochs) + curve.bad_lines
        chunk = read_epochs(run.attempt(number).epochs, offset=curve.offset, before=before)
        curve.offset = chunk.offset
        curve.bad_lines += chunk.bad_lines
        curve.epochs.extend(chunk.records)


def _view_arm(name: str, vary: tuple[str, ...], empty: dict[str, str], runs: list[RunView]) -> ArmView:
    return ArmView(
        name=name,
        vary=vary,
        empty=empty,
        runs=tuple(runs),
        counts=_count(runs),
        diverged=sum(run.state.diverged for run in runs),
        spread=measure_spread(runs),
    )


def _count(runs: Iterable[RunView]) -> dict[Status, int]:
    return dict(Counter(run.state.status for run in runs))


def measure_spread(runs: Iterable[RunView]) -> Spread | None:
    """Return the spread of accuracy, or of text's perplexity, over the replicas at the last epoch that two reached.

    Returns:
        None where no replica has a finite figure yet.
    """
    runs = [run for run in runs if run.epochs]
    lengths = sorted((len(run.epochs) for run in runs), reverse=True)
    if not lengths:
        return None
    epoch = lengths[min(1, len(lengths) - 1)]
    records = [(run.epochs[epoch - 1], run.state.diverged) for run in runs if len(run.epochs) >= epoch]
    text = any(record.is_text for record, _ in records)
    values = [(record.test_perplexity if text else record.test_accuracy, diverged) for record, diverged in records]
    counted = [(value, diverged) for value, diverged in values if value is not None and math.isfinite(value)]
    finite = [value for value, _ in counted]
    if not finite:
        return None
    return Spread(
        epoch=epoch,
        n=len(finite),
        minimum=min(finite),
        mean=statistics.fmean(finite),
        maximum=max(finite),
        sd=statistics.pstdev(finite),
        measure="perplexity" if text else "accuracy %",
        diverged=sum(diverged for _, diverged in counted),
    )


def estimate_seconds_left(arms: Iterable[ArmView], *, slots: int) -> float | None:
    """Return the seconds that all slots need for the remaining epochs, at the pace of each arm's epochs so far."""
    arms = list(arms)
    overall = _pace_s(run for arm in arms for run in arm.runs)
    if overall is None:
        return None
    left_s = 0.0
    counted: set[str] = set()
    for arm in arms:
        own = [run for run in arm.runs if run.id not in counted]
        counted.update(run.id for run in own)
        pace_s = _pace_s(arm.runs)
        left_s += sum(_epochs_left(run) for run in own) * (overall if pace_s is None else pace_s)
    return left_s / slots


def _pace_s(runs: Iterable[RunView]) -> float | None:
    """Return the mean duration of the runs' latest epochs in seconds; None before the first epoch."""
    paces = [r.seconds for run in runs for r in run.epochs[-PACE_EPOCHS:] if math.isfinite(r.seconds)]
    return statistics.fmean(paces) if paces else None


def _epochs_left(run: RunView) -> int:
    if run.state.status == "running":
        return max(0, run.planned_epochs - len(run.epochs))
    return run.planned_epochs if run.state.retriable else 0
