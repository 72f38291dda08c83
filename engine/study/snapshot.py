"""Holds what viewers see of a study at one moment: its runs, its arms, and how it stands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from engine.study.control import Control
from engine.study.decision_record import CompareSettings, DecisionRecord
from engine.study.epochs import EpochRecord
from engine.study.parting import Partings
from engine.study.run_state import RunState, Status
from engine.study.series import ArmSeries
from engine.study.study_state import StudyState, derive_state
from engine.study.supervisor_record import SlotRecord, Supervision, SupervisorRecord


@dataclass(frozen=True, kw_only=True)
class RunView:
    """One run: its state, and how far its curve has come."""

    id: str
    state: RunState
    trained: int = 0
    """Epochs of the latest attempt that have ended; 0 where nobody asked for epochs."""
    latest: EpochRecord | None = None
    """The last of them, where it was read."""
    seconds: tuple[float, ...] = ()
    """Durations of the latest ones."""
    planned_epochs: int
    bad_lines: int = 0
    """Lines of epochs.jsonl that could not be read."""

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
    """What is spread: accuracy %, perplexity, or the name of a number that a user's own program reports."""
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
    series: ArmSeries | None = None
    """The spread by epoch; it grows in place. None where nobody asked for epochs."""
    partings: Partings | None = None
    """When its replicas part; None where something varies, so that they may."""

    @cached_property
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
    supervision: Supervision
    """Whether the study has a supervisor now, and what that one said last."""
    seconds_left: float | None
    """Estimate until the last run is done; None without a finished run or epoch to judge by."""
    compare: CompareSettings | None = None
    """The two arms that the study compares; None where it compares none."""
    decision: DecisionRecord | None = None
    """What was decided of them, so that these arms hold only the replicas that count; None where nothing is yet."""

    @property
    def supervisor(self) -> SupervisorRecord | None:
        """Return what the latest supervisor said last; None where there was none."""
        return self.supervision.record

    @property
    def supervised(self) -> bool:
        """Tell whether the supervisor is alive, as far as its process and its signs of life can tell."""
        return self.supervision.alive

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
