"""Ends trainings that stand still for longer than they may, and records that they did.

A training that hangs in a user's code would hold its slot for ever. It is ended with everything it started, whether its
worker belongs to this supervisor or to one that has ended, and its run counts as failed through no fault of its own.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from engine.errors import StudyError
from engine.study.paths import AttemptPaths, StudyPaths
from engine.study.processes import Owner, end_process, is_alive
from engine.study.run_records import write_exit
from engine.study.run_state import read_result
from engine.study.snapshot import StudySnapshot
from engine.study.view import StudyView, describe_silence

LOG = logging.getLogger(__name__)


@dataclass
class Stalls:
    """Keeps the trainings that were ended until that is written; see `end`."""

    judging: bool = True
    """Whether silence means anything: where the store takes no signs, nobody gives any."""
    ended: dict[str, tuple[AttemptPaths, Owner, str]] = field(
        default_factory=dict[str, tuple[AttemptPaths, Owner, str]]
    )
    """Run id → its attempt, the process that was ended, and why."""

    def end(self, snapshot: StudySnapshot, view: StudyView) -> None:
        """Kill the processes whose trainings stand still, and write down why as soon as they are gone."""
        stall_s = view.plan.dispatch.stall_s
        for run in snapshot.runs.values():
            state = run.state
            if not self.judging or state.silence is None or state.owner is None or not state.asked:
                continue
            if state.status != "running" or not state.silence.exceeds(stall_s):
                continue
            if run.id not in self.ended:
                reason = f"ended because it stood still: {describe_silence(run)}"
                LOG.warning("run %s: %s", run.id, reason)
                attempts = view.paths.run(run.id).list_attempts()
                if attempts:  # none where the study is being deleted meanwhile
                    self.ended[run.id] = (attempts[-1], state.owner, reason)
            end_process(state.owner, at_once=True)
        self._record(view.paths)

    def _record(self, paths: StudyPaths) -> None:
        for run_id, (attempt, owner, reason) in list(self.ended.items()):
            if is_alive(owner) is True:
                continue
            try:
                if not attempt.exit.exists() and read_result(paths.run(run_id)) is None:
                    write_exit(attempt, "failed", "infrastructure", reason)
            except StudyError as error:
                LOG.warning("%s", error)
                continue
            del self.ended[run_id]
