"""Stops a study whatever state it is in: by a request where one can be written, by signals where not.

Workers see a request, and a supervisor ends those that wait. Where there is none, jobs that wait in a scheduler's queue
are ended here. Only processes whose identity holds are signalled: host, boot, pid namespace, number and start.
"""

from __future__ import annotations

from engine.dispatch.executors.registry import ENDERS
from engine.errors import NondetError, StudyError
from engine.study.control import request
from engine.study.paths import StudyPaths
from engine.study.processes import Owner, end_process, is_stopped
from engine.study.snapshot import StudySnapshot

STOP_TIMEOUT_S = 20.0
"""How long a study that was asked to stop may take to end by itself; its supervisor kills workers earlier."""

SILENT_S = 10.0
"""Silence after which a supervisor that was asked to end is taken for one that cannot: live ones beat more often."""


def ask_to_stop(paths: StudyPaths, snapshot: StudySnapshot) -> str | None:
    """Ask a study to stop; processes that a signal has halted are woken for that.

    Returns:
        Why no request could be written, and that its processes were asked by signal instead; None where one was.

    Raises:
        StudyError: If neither was possible, as with somebody else's study.
    """
    try:
        request(paths, "cancel")
    except (StudyError, OSError) as error:
        asked = [end_process(owner) for owner in list_processes(snapshot)]
        if not any(asked):
            raise StudyError(str(error)) from error
        return f"{error}; its processes are asked to end by signal instead"
    for owner in list_processes(snapshot):
        if is_stopped(owner):
            end_process(owner)
    return None


def may_be_queued(executor: str, snapshot: StudySnapshot) -> bool:
    """Tell whether workers of a study may be waiting in a queue while nobody looks after them.

    A study that was asked to stop has them as well, as long as it is not complete.
    """
    return executor in ENDERS and not snapshot.supervised and snapshot.counts.get("done", 0) < len(snapshot.runs)


def end_queued(paths: StudyPaths, executor: str, *, begun: bool = False) -> str | None:
    """End the workers of a study that wait in a queue, after its supervisor has ended.

    Args:
        paths: The study, which was asked to stop.
        executor: The one that its plan names.
        begun: Whether those are ended too that have started, and did not end on request.

    Returns:
        What was ended, or why that was not possible, in words; None where there is nothing to say.
    """
    try:
        return ENDERS[executor](paths, begun=begun) if executor in ENDERS else None
    except NondetError as error:
        return f"{error}; jobs of this study that wait in a queue end as soon as they start"


def list_processes(snapshot: StudySnapshot) -> list[Owner]:
    """Return the processes of a study on this machine: the supervisor first, then each that trains."""
    supervisor = snapshot.supervision
    found = [] if supervisor.record is None or supervisor.asked is not True else [supervisor.record.owner]
    training = (run.state for run in snapshot.runs.values() if run.state.status == "running")
    found += [state.owner for state in training if state.owner is not None and state.asked]
    return list(dict.fromkeys(found))


def kill_left(snapshot: StudySnapshot) -> bool:
    """Kill what was asked to end and did not: trainings, and a supervisor that gives no signs any more.

    A supervisor that still beats is left alone: it measures what is done.

    Returns:
        Whether something was killed.
    """
    supervision = snapshot.supervision
    hung = supervision.silence is not None and supervision.silence.dead_s >= SILENT_S
    spared = supervision.record.owner if supervision.record is not None and supervision.asked and not hung else None
    killed = [end_process(owner, at_once=True) for owner in list_processes(snapshot) if owner != spared]
    return any(killed)
