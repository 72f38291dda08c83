"""Starts a study: one command at a time looks at its folder, writes it and starts its supervisor.

Between that look and the moment in which the supervisor is there, nothing else would tell two commands with one
study's name apart: each would write its own plan, and one would be shown the other's results.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass

from engine.dispatch.children import command, start_detached
from engine.dispatch.launch import done_runs, find_folder, prepare_study
from engine.dispatch.start_lock import hold_start
from engine.errors import StudyError
from engine.plan.plan import Plan
from engine.protocol.definition import Protocol
from engine.study.beats import LOST_S, Clock
from engine.study.choices import NOTHING, Chosen
from engine.study.control import request, request_retry
from engine.study.files import explain_write_errors
from engine.study.opening import read_tail
from engine.study.paths import StudyPaths
from engine.study.processes import end_process
from engine.study.study_plan import read_plan, read_whole_plan
from engine.study.supervisor_record import watch_supervisor
from engine.study.view import StudyView

START_TIMEOUT_S = 30.0
"""How long a supervisor may take to say that it is there."""

LOG_LINES = 5
"""Lines at the end of a log that are shown."""


@dataclass(frozen=True)
class PreparedStudy:
    """Keeps other commands from a study whose folder holds the plan that was asked for."""

    paths: StudyPaths
    done: frozenset[str]
    """Runs of the plan whose complete results are there."""
    work: str
    """What the plan trains and measures, as `StudyPlan.work` has it."""

    def start(self) -> None:
        """Start the study's supervisor, or leave the work to the one that runs; see `start_supervisor`."""
        request(self.paths, "resume")
        _start(self.paths)


@contextlib.contextmanager
def preparing(
    protocol: Protocol, plan: Plan, *, store: str | None, chosen: Chosen = NOTHING
) -> Generator[PreparedStudy]:
    """Write a study's folder, and keep other commands from it until the context is left.

    Args:
        protocol: What is trained.
        plan: Its runs.
        store: The folder of all studies.
        chosen: What was measured for it.

    Raises:
        StudyError: If the store cannot be written, the study runs with another plan, or another command keeps it.
    """
    with hold_start(find_folder(protocol, store=store)):
        paths = prepare_study(protocol, plan, store=store, chosen=chosen)
        yield PreparedStudy(paths, frozenset(done_runs(paths, plan)), read_whole_plan(paths).work)


def start_supervisor(paths: StudyPaths) -> None:
    """Train the study as its folder says: start its supervisor, or leave the work to the one that runs already.

    Raises:
        StudyError: If the supervisor does not come up, with the end of its log; or another command keeps the study.
    """
    if read_plan(paths).origin is not None:
        raise StudyError(f"{paths.folder}: was imported: there is nothing in it that could be trained")
    with hold_start(paths):
        request(paths, "resume")
        _start(paths)


def retry_run(paths: StudyPaths, run_id: str, *, seen: int) -> None:
    """Try one run again whose attempts have failed, and keep all of them.

    Where nothing trains the study, a supervisor is started for this run alone: others stay as they are until the study
    is continued. Asked for twice, the run is tried once.

    Args:
        paths: The study.
        run_id: The run.
        seen: How many attempts it had when that was decided.

    Raises:
        StudyError: If the run is done, is being trained or was tried again meanwhile; or as in `start_supervisor`.
    """
    with hold_start(paths):
        snapshot = StudyView(paths, measures=()).refresh()
        run, attempts = snapshot.runs.get(run_id), paths.run(run_id).list_attempts()
        if run is None or not run.state.can_be_tried_again:
            state = "not in the plan" if run is None else run.state.status
            raise StudyError(f"run {run_id} is {state}: only a run whose attempts have failed is tried again")
        if len(attempts) != seen:
            raise StudyError(f"run {run_id} was tried again meanwhile: there are {len(attempts)} attempts, not {seen}")
        supervision = snapshot.supervision
        if supervision.record is None or not supervision.alive or supervision.record.state != "running":
            request(paths, "resume")
            others = (one for one in snapshot.runs.values() if one.id != run_id)
            request(paths, "cancel", runs=[one.id for one in others if one.state.status not in ("done", "running")])
        request_retry(paths, run_id, attempt=attempts[-1].number)
        _start(paths)


def _start(paths: StudyPaths) -> None:
    """Start the study's supervisor unless one runs, after the requests that it is to obey were made.

    Raises:
        StudyError: If the supervisor does not come up; with the end of its log.
    """
    child: subprocess.Popen[bytes] | None = None
    clock = Clock(compares=False)
    started = time.monotonic()
    while True:
        supervision = watch_supervisor(paths, clock=clock)
        supervisor, alive = supervision.record, supervision.alive
        if supervisor is not None and supervision.hung:
            end_process(supervisor.owner, at_once=True)
            alive = False
        asked = supervision.asked is not None
        if time.monotonic() - started > START_TIMEOUT_S + (0.0 if asked or not alive else LOST_S):
            break
        # One that is alive but ending reads the requests once more after it has said so: either it goes on, or it
        # is gone in a moment and another is needed.
        if supervisor is not None and asked and alive and supervisor.state == "running":
            return
        # Whether one of another machine lives takes a while to see: the new one waits for that, and leaves it alone.
        if child is None and not (asked and alive):
            with explain_write_errors(paths.supervisor_log):
                child = start_detached(command("engine.dispatch", str(paths.folder)), log=paths.supervisor_log)
        # A study with nothing left to train is through before its supervisor can be seen at work.
        if child is not None and child.poll() is not None:
            if child.poll() == 0:
                return
            break
        time.sleep(0.02)
    raise StudyError(
        f"{paths.folder}: its supervisor did not start; the end of {paths.supervisor_log}:\n{_tail(paths)}"
    )


def _tail(paths: StudyPaths) -> str:
    try:
        end, _ = read_tail(paths.supervisor_log)
        return "\n".join(end.decode(errors="replace").splitlines()[-LOG_LINES:])
    except OSError:
        return "(no log)"
