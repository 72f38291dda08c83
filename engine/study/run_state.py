"""Derives the state of a run from its files and from live processes; the state is never stored."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from engine.study.beats import LOST_S, Silence, read_file_silence, read_silence
from engine.study.control import Control
from engine.study.opening import is_regular
from engine.study.paths import AttemptPaths, RunPaths
from engine.study.processes import Owner, is_alive
from engine.study.records import Damage, find_record, read_record
from engine.study.run_records import AttemptRecord, ExitRecord, LostRecord, ResultRecord, read_damage

Status = Literal["queued", "running", "done", "failed", "lost", "cancelled", "stale"]

WITHOUT_RESULT: tuple[Status, ...] = ("failed", "lost", "stale")
"""States of a run whose last attempt ended without a result, or is taken to have."""

STALE_AFTER_S = 600.0
"""Silence after which a process that gives no beats, and that cannot be asked, no longer counts as running."""

MAX_RETRIES = 2
"""How often one session tries a run again after an infrastructure failure."""


@dataclass(frozen=True, kw_only=True)
class RunState:
    """One run as its files and processes show it."""

    status: Status
    attempts: int = 0
    """Tries so far, the present one included."""
    reason: str | None = None
    """Why it failed, was lost or counts as stale."""
    diverged: bool = False
    """Done, with a loss or predictions that are not finite."""
    result: ResultRecord | None = None
    retriable: bool = False
    """Whether the present session may try it (again)."""
    withheld: bool = False
    """Whether its files cannot be read now, so that nobody can tell how it stands: it counts as failed."""
    damaged: bool = False
    """Whether it was finished, and its files are not what was written."""
    owner: Owner | None = None
    """The process that trains it; None where it is not running, or where that is not known."""
    asked: bool = True
    """Whether that process could be asked for; otherwise its signs alone say that it lives."""
    silence: Silence | None = None
    """How long that process has given no sign; None where it is not running, or gives none."""

    @property
    def can_be_tried_again(self) -> bool:
        """Tell whether it has attempts, none of which ended well or goes on, so that a person may ask for another."""
        return self.attempts > 0 and self.status not in ("done", "running", "queued")

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing is left of it to hold or to cancel."""
        return self.status in ("done", "failed")


@dataclass(frozen=True)
class Found:
    """A run's result as it was at one moment."""

    result: ResultRecord | None = None
    """Complete and undamaged; None otherwise."""
    damage: str | None = None
    """Why a result that is there does not count."""
    attempt: int | None = None
    """Which attempt wrote it; None where there is none or that cannot be read."""
    later: bool = False
    """Whether a later version of the program wrote it, so that it must not be replaced."""
    withheld: bool = False
    """Whether the file system does not let it be read now."""


def find_result(run: RunPaths) -> Found:
    """Read a run's result once: whole, with the predictions beside it, and nothing found wrong with its files."""
    result = read_record(run.result, ResultRecord)
    if result is None:
        return Found()
    if isinstance(result, Damage):
        return Found(damage=f"{run.result.name} {result.reason}", later=result.later, withheld=result.withheld)
    if not is_regular(run.predictions):
        return Found(damage=f"{run.predictions.name} is missing", attempt=result.attempt)
    damage = read_damage(run, result)
    return Found(result if damage is None else None, damage, result.attempt)


def lacked_memory(run: RunPaths) -> bool:
    """Tell whether a run's last attempt ended because its pack did not fit into memory."""
    attempts = run.list_attempts()
    ended = find_record(attempts[-1].exit, ExitRecord) if attempts else None
    return ended is not None and ended.cause == "memory"


def read_result(run: RunPaths) -> ResultRecord | None:
    """Read a run's result; None unless it is complete and undamaged."""
    return find_result(run).result


def read_state(
    run: RunPaths, *, control: Control, session: str | None, run_id: str, deciding: bool = False
) -> RunState:
    """Derive the state of one run.

    Args:
        run: The run's folder.
        control: Requests of the study.
        session: The supervisor session whose retries are counted; None counts all.
        run_id: The run's id, for requests about single runs.
        deciding: Whether the caller decides what is trained next. For it, a process that cannot be asked runs until
            the supervisor has declared its attempt lost; viewers call a run stale earlier, by the age of its files.
    """
    found = find_result(run)
    attempts, obstacle = run.look_for_attempts()
    if found.result is not None:
        return _done(found.result, len(attempts))
    if found.withheld or obstacle is not None:
        reason = found.damage or f"{run.attempts} cannot be read ({obstacle})"
        return RunState(status="failed", attempts=len(attempts), reason=reason, withheld=True)
    stopped = control.stops(run_id)
    if found.later or not attempts:
        return _unattempted(found, len(attempts), stopped=stopped)
    damage = None if _is_later(attempts[-1], run, found) else found.damage
    state = _attempt_state(attempts[-1], len(attempts), damage=damage, deciding=deciding)
    if state.status == "lost" and (result := read_result(run)) is not None:  # written between the two looks
        return _done(result, len(attempts))
    if state.status == "running" or stopped:
        return state if state.status == "running" else _stop(state)
    return _with_retries(state, attempts, session, after=control.retried.get(run_id, 0))


def _unattempted(found: Found, attempts: int, *, stopped: bool) -> RunState:
    """Return the state of a run that nobody of this version has tried."""
    if stopped:
        return RunState(status="cancelled", attempts=attempts, reason=found.damage)
    status: Status = "failed" if found.damage else "queued"
    return RunState(
        status=status,
        attempts=attempts,
        reason=found.damage,
        retriable=not found.later,
        damaged=found.damage is not None and not found.later,
    )


def _done(result: ResultRecord, attempts: int) -> RunState:
    return RunState(status="done", attempts=attempts, result=result, diverged=result.diverged)


def _is_later(attempt: AttemptPaths, run: RunPaths, found: Found) -> bool:
    """Tell whether an attempt began after a result was written, so that the result's damage says nothing about it."""
    if found.attempt is not None:
        return attempt.number > found.attempt
    try:
        return attempt.attempt.stat().st_mtime_ns > run.result.stat().st_mtime_ns
    except OSError:
        return False


def _attempt_state(attempt: AttemptPaths, count: int, *, damage: str | None, deciding: bool) -> RunState:
    """Return the run's state as its last attempt shows it; whether it may be retried is decided later."""
    told = _read_end(attempt, count)
    if told is not None:
        return told
    if damage is not None:
        return RunState(status="failed", attempts=count, reason=damage, retriable=True, damaged=True)
    claimed = find_record(attempt.attempt, AttemptRecord)
    owner = None if claimed is None else claimed.owner
    alive = None if owner is None else is_alive(owner)
    if alive:
        return RunState(status="running", attempts=count, owner=owner, silence=read_silence(attempt.beat))
    if alive is False:
        reason = f"process {owner.pid if owner else '?'} on {owner.host if owner else '?'} ended without a result"
        return RunState(status="lost", attempts=count, reason=reason, retriable=True)
    silence = read_silence(attempt.beat)
    allowed_s = STALE_AFTER_S if silence is None else LOST_S
    silence = silence or read_file_silence((attempt.epochs, attempt.attempt, attempt.folder))
    if deciding or silence.dead_s < allowed_s:
        return RunState(status="running", attempts=count, owner=owner, asked=False, silence=silence)
    host = owner.host if owner else "an unknown host"
    seconds = f" for {silence.dead_s:.0f} s" if math.isfinite(silence.dead_s) else ""
    return RunState(status="stale", attempts=count, reason=f"no sign from {host}{seconds}", retriable=True)


def _read_end(attempt: AttemptPaths, count: int) -> RunState | None:
    """Return the state of a run whose last attempt is known to have ended; None where nobody has written that."""
    ended = find_record(attempt.exit, ExitRecord)
    if ended is not None:
        cancelled = ended.outcome == "cancelled"
        infrastructure = cancelled or ended.cause == "infrastructure"
        status: Status = "cancelled" if cancelled else "failed"
        return RunState(status=status, attempts=count, reason=ended.reason, retriable=infrastructure)
    lost = find_record(attempt.lost, LostRecord)
    return None if lost is None else RunState(status="lost", attempts=count, reason=lost.reason, retriable=True)


def _stop(state: RunState) -> RunState:
    """Return the state of a run that is not to go on: cancelled, unless it failed by itself."""
    status: Status = "failed" if state.status == "failed" else "cancelled"
    return RunState(status=status, attempts=state.attempts, reason=state.reason)


def _with_retries(state: RunState, attempts: list[AttemptPaths], session: str | None, *, after: int) -> RunState:
    """Return a state that says whether this session may try the run: once, and again after infrastructure failures.

    An attempt that another session made, or that was cancelled on request, does not count: whoever starts the
    study again wants what is missing. Nor do attempts up to number `after`, at which somebody asked for another one.
    """
    tries = count_tries([attempt for attempt in attempts if attempt.number > after], session)
    return replace(state, retriable=tries == 0 or (state.retriable and tries <= MAX_RETRIES))


def count_tries(attempts: Iterable[AttemptPaths], session: str | None) -> int:
    """Return how many of a run's attempts count as tries of a session: those that nobody cancelled."""
    return sum(_read_session(attempt) == session and not _was_cancelled(attempt) for attempt in attempts)


def _read_session(attempt: AttemptPaths) -> str | None:
    claimed = find_record(attempt.attempt, AttemptRecord)
    return None if claimed is None else claimed.session


def _was_cancelled(attempt: AttemptPaths) -> bool:
    ended = find_record(attempt.exit, ExitRecord)
    return ended is not None and ended.outcome == "cancelled"
