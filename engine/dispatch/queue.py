"""Decides which run a worker takes next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from engine.dispatch.claims import claim
from engine.study.control import Control
from engine.study.opening import is_there
from engine.study.paths import AttemptPaths, StudyPaths
from engine.study.run_records import AttemptRecord
from engine.study.run_state import RunState, read_state


class Planned(Protocol):
    """Says which runs there are and which of them depend on others; a study's plan does."""

    @property
    def order(self) -> Sequence[str]: ...
    @property
    def forks(self) -> Mapping[str, tuple[str, int]]: ...
    @property
    def reuses(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Taken:
    """Names a run that this process owns from now on."""

    run_id: str
    attempt: AttemptPaths


class NotTaken(Enum):
    """Says why no run was claimed."""

    WAIT = "what is left goes on from something that another process is training"
    NOT_ALLOWED = "what is left is not allowed to this process"
    NOTHING_LEFT = "nothing is left to claim"


@dataclass
class RunQueue:
    """Keeps a worker's view of a study's runs; see `claim_next`."""

    paths: StudyPaths
    session: str
    """The supervisor's, which the worker's attempts belong to."""
    done: set[str] = field(default_factory=set[str])
    """Runs known to be done, which are not looked at again."""

    def claim_next(
        self,
        plan: Planned,
        *,
        control: Control,
        record: AttemptRecord,
        wanted: Sequence[str] | None = None,
        allows: Callable[[str], bool] = lambda run: True,
    ) -> Taken | NotTaken:
        """Claim the first run that this session may train.

        Args:
            plan: The study's runs, as they are planned now.
            control: Requests that hold.
            record: What attempt.json is to hold.
            wanted: The runs that may be claimed, in order; all of the plan where not given.
            allows: Is asked last whether this process may train a run that nothing else stands against.
        """
        waiting = refused = False
        busy = self._find_busy_beginnings(plan, control)
        for run_id in plan.order if wanted is None else wanted:
            if run_id in self.done:
                continue
            # Listed before the run is judged: one that another process has claimed, and perhaps ended, meanwhile has
            # this number already, so that the claim fails.
            attempts = self.paths.run(run_id).list_attempts()
            if not self._may_train(run_id, control):
                continue
            if self._must_wait(run_id, plan, control, busy):
                waiting = True
                continue
            if not allows(run_id):
                refused = True
                continue
            attempt = claim(self.paths.run(run_id), attempts[-1].number + 1 if attempts else 1, record)
            if attempt is not None:
                return Taken(run_id, attempt)
        if waiting:
            return NotTaken.WAIT
        return NotTaken.NOT_ALLOWED if refused else NotTaken.NOTHING_LEFT

    def _read_state(self, run_id: str, control: Control) -> RunState:
        run = self.paths.run(run_id)
        return read_state(run, control=control, session=self.session, run_id=run_id, deciding=True)

    def _may_train(self, run_id: str, control: Control) -> bool:
        """Tell whether a run is neither done nor held nor trained by another process; note the done ones."""
        state = self._read_state(run_id, control)
        if state.status == "done":
            self.done.add(run_id)
        return state.retriable and state.status not in ("done", "running") and not control.holds(run_id)

    def _must_wait(self, run_id: str, plan: Planned, control: Control, busy: set[str]) -> bool:
        """Tell whether another process trains what this run goes on from: its beginning, or its twin's weights."""
        fork, twin = plan.forks.get(run_id), plan.reuses.get(run_id)
        if fork is not None and fork[0] in busy and not is_there(self.paths.fork(*fork).checkpoint):
            return True
        return twin is not None and self._read_state(twin, control).status == "running"

    def _find_busy_beginnings(self, plan: Planned, control: Control) -> set[str]:
        """Return the common beginnings that some live process has not yet finished."""
        busy: set[str] = set()
        for run_id, (prefix_id, epoch) in plan.forks.items():
            if run_id in self.done or prefix_id in busy or is_there(self.paths.fork(prefix_id, epoch).checkpoint):
                continue
            if self._read_state(run_id, control).status == "running":
                busy.add(prefix_id)
        return busy
