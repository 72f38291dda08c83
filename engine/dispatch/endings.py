"""Records how an attempt ended whose process can no longer say so itself: by a signal, or by leaving in the middle."""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable, Collection, Iterable

from engine.errors import StudyError
from engine.study.opening import is_there
from engine.study.paths import AttemptPaths, RunPaths, StudyPaths
from engine.study.processes import is_alive
from engine.study.records import find_record
from engine.study.run_records import AttemptRecord, Cause, ExitRecord, write_exit
from engine.study.run_state import find_result

LOG = logging.getLogger(__name__)

FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGXCPU}
"""Signals that say nothing about the code that they end: people and the machine send them."""


def describe_end(status: int) -> str:
    """Return how a process ended in words: "ended by signal 11 (SIGSEGV)", or "exited with status 3".

    Args:
        status: As `subprocess.Popen.returncode` has it: below 0 for a signal.
    """
    if status >= 0:
        return f"exited with status {status}"
    hint = ", as for lack of memory" if -status == signal.SIGKILL else ""
    return f"ended by signal {-status} ({name_signal(-status)}{hint})"


def name_signal(number: int) -> str:
    """Return the name of a signal; its number where it has none."""
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return str(number)


def record_ends(
    paths: StudyPaths,
    runs: Iterable[str],
    belongs: Callable[[AttemptRecord], bool],
    status: int,
    *,
    known: Collection[str] = (),
) -> int:
    """Write exit.json for attempts whose process has ended in a way that it could not write down.

    Args:
        paths: The study.
        runs: The run ids among which the attempts are looked for.
        belongs: Tells whether an attempt is that process's.
        status: How it ended; see `describe_end`.
        known: Runs whose end is written by somebody else.

    Returns:
        How many attempts the process has made last in their runs, those that ended well included.
    """
    found = 0
    for run_id in runs:
        run = paths.run(run_id)
        attempts = run.list_attempts()
        claimed = find_record(attempts[-1].attempt, AttemptRecord) if attempts else None
        if claimed is None or not belongs(claimed) or is_alive(claimed.owner) is not False:
            continue
        found += 1
        told = attempts[-1].exit.exists() or is_there(attempts[-1].lost)
        if run_id not in known and not told and not _has_result(run, attempts[-1]):
            write_end(run, attempts[-1], describe_end(status), status)
    return found


def _has_result(run: RunPaths, attempt: AttemptPaths) -> bool:
    return find_result(run).attempt == attempt.number


def write_end(run: RunPaths, attempt: AttemptPaths, reason: str, status: int) -> None:
    """Write how an attempt ended in the middle; a store that cannot be written keeps the run as lost."""
    by_signal = name_signal(-status) if status < 0 else None
    code = None if status < 0 else status
    cause = _judge(run, attempt, status, by_signal, code)
    try:
        write_exit(attempt, "failed", cause, reason, ended_by=by_signal, status=code)
    except StudyError as error:
        LOG.warning("%s", error)


def _judge(run: RunPaths, attempt: AttemptPaths, status: int, by_signal: str | None, code: int | None) -> Cause:
    """Return fault where the attempt before, of the same session, ended the same way by its own code."""
    if -status in FROM_OUTSIDE:
        return "infrastructure"
    before = run.attempt(attempt.number - 1)
    ended, claimed = find_record(before.exit, ExitRecord), find_record(before.attempt, AttemptRecord)
    now = find_record(attempt.attempt, AttemptRecord)
    same_session = claimed is not None and now is not None and claimed.session == now.session
    if ended is None or not same_session or (ended.signal, ended.status) != (by_signal, code):
        return "infrastructure"
    return "fault"
