"""A study as its viewers see it: one frozen snapshot per refresh, read from the files alone.

Nothing is read twice: finished runs never change, queued and failed ones are read again when their folders have
changed, and epochs are read from where the last refresh stopped. A refresh costs as much as what is new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.plan.records import PlannedArm
from engine.study.control import Control, ControlReader
from engine.study.curves_record import ArmCurves
from engine.study.followed import Curves
from engine.study.followed_plan import FollowedPlan
from engine.study.looks import Look, Pace, begin_look, end_look
from engine.study.paths import StudyPaths
from engine.study.run_state import RunState, Status, read_state
from engine.study.series import ArmSeries
from engine.study.snapshot import ArmView, RunView, Spread, StudySnapshot
from engine.study.study_plan import StudyPlan
from engine.study.supervisor_record import watch_supervisor
from engine.study.time_left import Overheads, estimate_slot_seconds

SETTLED = frozenset({"queued", "failed", "lost", "cancelled"})
"""States that last until an attempt begins or its end is recorded; every other one may change without a new file."""

SPREAD_MEASURES = ("accuracy", "perplexity", "reported")
"""What a spread may be of."""


@dataclass(frozen=True, kw_only=True)
class _Totals:
    """Holds what is the same in every snapshot until a run changes."""

    arms: tuple[ArmView, ...]
    runs: dict[str, RunView]
    counts: dict[Status, int]
    diverged: int
    slot_seconds: float | None


class StudyView:
    """Follows one study folder."""

    def __init__(
        self,
        paths: StudyPaths,
        *,
        measures: Sequence[str] = SPREAD_MEASURES,
        known: Mapping[str, ArmCurves] | None = None,
        deciding: bool = False,
    ) -> None:
        """Read the plan; runs are read by `refresh`.

        Args:
            paths: The study.
            measures: What is added up by arm and epoch, of `curves_record.FIELDS`; where empty, no epochs are read.
            known: Arms of curves.json by name: the epochs of their finished runs are not read again.
            deciding: Whether what is trained next follows from what is seen; see `read_state`.
        """
        self.paths, self.deciding = paths, deciding
        self.pace = Pace()
        self._overheads = Overheads(paths)
        self.followed = FollowedPlan(paths)
        self._read_control = ControlReader(paths)
        self._curves = Curves(paths, measures, known or {})
        self._begun: StudyPlan | None = None
        self._runs: dict[str, RunView] = {}
        self._looks: dict[str, Look] = {}
        self._latest: dict[str, Path] = {}
        """Run id → folder of its latest attempt."""
        self._open: list[str] = []
        """Runs that were not done when they were last looked at."""
        self._arms: dict[str, ArmView] = {}
        self._totals: _Totals | None = None

    @property
    def plan(self) -> StudyPlan:
        """The study's plan as it holds now, with the replicas that count."""
        return self.followed.now

    def refresh(self) -> StudySnapshot:
        """Read what is new.

        Raises:
            StudyError: If the plan has gone or is damaged.
        """
        self.pace.begin()
        self.followed.renew()
        control = self._read_control()
        supervision = watch_supervisor(self.paths)
        supervisor = supervision.record
        if self._read_runs(control, None if supervisor is None else supervisor.session) or self._totals is None:
            self._totals = self._add_up()
        totals, slots = self._totals, 0 if supervisor is None else len(supervisor.slots)
        snapshot = StudySnapshot(
            study=self.plan.study,
            arms=totals.arms,
            runs=totals.runs,
            counts=totals.counts,
            diverged=totals.diverged,
            control=control,
            supervision=supervision,
            compare=self.plan.compare,
            decision=self.followed.decision,
            seconds_left=None if totals.slot_seconds is None else totals.slot_seconds / (slots or 1),
        )
        self.pace.end()
        return snapshot

    def _add_up(self) -> _Totals:
        arms = tuple(self._arms.values())
        return _Totals(
            arms=arms,
            runs=dict(self._runs),
            counts=_count(self._runs.values()),
            diverged=sum(run.state.diverged for run in self._runs.values()),
            slot_seconds=estimate_slot_seconds(arms, self._overheads) if self._curves.measures else None,
        )

    def _read_runs(self, control: Control, session: str | None) -> bool:
        """Look at the runs that may have changed; make the views of those that have and of their arms; tell if any."""
        if self._begun is not self.plan:
            self._runs, self._looks, self._open = {}, {}, list(self.plan.order)
        states: dict[str, RunState] = {}
        for run in self._open:
            state = self._read_state(run, control, session)
            if state is not None:
                states[run] = state
        trained = [arm for arm in self.plan.arms if arm.group == 1]  # ensembles are made of other arms' runs
        if self._begun is not self.plan:
            self._curves.begin(trained, states)
            self._begun, self._arms = self.plan, {}
        changed = {run for run, state in states.items() if self._view_run(run, state)}
        self._open = [run for run in self._open if self._runs[run].state.status != "done"]
        if changed or not self._arms:
            for arm in trained:
                if arm.name not in self._arms or not changed.isdisjoint(arm.runs):
                    self._arms[arm.name] = self._view_arm(arm)
        return bool(changed)

    def _read_state(self, run_id: str, control: Control, session: str | None) -> RunState | None:
        """Read the state of a run; None where it is what it was."""
        asked = (control.stops(run_id), control.retried.get(run_id))
        key, look, known = (session, *asked), self._looks.get(run_id), self._latest.get(run_id)
        if look is not None and look.still_holds(key):
            return None
        run = self.paths.run(run_id)
        beginning = begin_look([run.attempts] if known is None else [run.attempts, known])
        state = read_state(run, control=control, session=session, run_id=run_id, deciding=self.deciding)
        if state.withheld and run_id in self._runs:
            return None  # a permission that was lost, or a server that is away, changes nothing about the run
        attempts = run.list_attempts() if state.attempts else []  # none where the study is being deleted meanwhile
        latest = attempts[-1].folder if attempts else None
        if latest is not None:
            self._latest[run_id] = latest
        look = end_look(beginning, [run.attempts] if latest is None else [run.attempts, latest], key)
        if look is not None and state.status in SETTLED:
            self._looks[run_id] = look
        else:
            self._looks.pop(run_id, None)
        return state

    def _view_run(self, run_id: str, state: RunState) -> bool:
        """Bring the view of a run up to date; return whether it is another one now."""
        if self._curves.measures:
            self._curves.read(run_id, self._find_attempt(run_id, state))
        curve = self._curves.get(run_id)
        view = RunView(
            id=run_id,
            state=state,
            trained=curve.trained,
            latest=curve.latest,
            seconds=curve.seconds,
            planned_epochs=self.plan.epochs[run_id],
            bad_lines=curve.bad_lines,
        )
        if view == self._runs.get(run_id):
            return False
        self._runs[run_id] = view
        return True

    def _find_attempt(self, run_id: str, state: RunState) -> int:
        """Return the number of the attempt whose epochs count; 0 where there is none."""
        if state.result is not None:
            return state.result.attempt
        latest = self._latest.get(run_id)
        return int(latest.name) if state.attempts and latest is not None else 0

    def _view_arm(self, arm: PlannedArm) -> ArmView:
        runs = tuple(self._runs[run] for run in arm.runs)
        series = self._curves.series[arm.name]
        return ArmView(
            name=arm.name,
            vary=arm.vary,
            empty=arm.empty,
            runs=runs,
            counts=_count(runs),
            diverged=sum(run.state.diverged for run in runs),
            spread=measure_spread(runs, series),
            series=series if self._curves.measures else None,
            partings=self._curves.part(arm),
        )


def describe_silence(run: RunView) -> str:
    """Say how long a run has given no sign, in which epoch, and where it stands as far as that is known."""
    silence = run.state.silence
    if silence is None:
        return "no sign is known"
    trained = run.trained if silence.beat is None else silence.beat.epochs  # a supervisor reads no epochs
    words = [f"no sign for {silence.still_s:.0f} s", f"epoch {trained + 1}"]
    return ", ".join(words + ([] if silence.place is None else [silence.place]))


def _count(runs: Iterable[RunView]) -> dict[Status, int]:
    return dict(Counter(run.state.status for run in runs))


def measure_spread(runs: Iterable[RunView], series: ArmSeries) -> Spread | None:
    """Return the spread of accuracy, or of text's perplexity, over the replicas at the last epoch that two reached.

    Args:
        runs: An arm's replicas.
        series: Their epochs, added up.

    Returns:
        None where no replica has a finite figure yet.
    """
    runs = [run for run in runs if run.trained]
    lengths = sorted((run.trained for run in runs), reverse=True)
    if not lengths:
        return None
    epoch = lengths[min(1, len(lengths) - 1)]
    text = bool(series.sums.get("perplexity")) or any(run.latest is not None and run.latest.is_text for run in runs)
    reported = next((run.latest.reported_name for run in runs if run.latest is not None), None)
    found = series.at("perplexity" if text else "accuracy" if reported is None else "reported", epoch)
    if found is None:
        return None
    return Spread(
        epoch=epoch,
        n=found.n,
        minimum=found.low,
        mean=found.mean,
        maximum=found.high,
        sd=found.sd,
        measure="perplexity" if text else reported or "accuracy %",
        diverged=sum(run.state.diverged and _counts_at(run, epoch, text=text) for run in runs),
    )


def _counts_at(run: RunView, epoch: int, *, text: bool) -> bool:
    """Tell whether a run that diverged has a figure at an epoch: guessing has an accuracy, but no finite perplexity."""
    if run.trained != epoch or not text:
        return run.trained >= epoch
    return run.latest is not None and run.latest.test_perplexity is not None
