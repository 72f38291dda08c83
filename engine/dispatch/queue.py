"""Which run a worker takes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from engine.dispatch.claims import claim
from engine.study.control import Control
from engine.study.paths import AttemptPaths, StudyPaths
from engine.study.run_records import AttemptRecord
from engine.study.run_state import read_state


def claim_next(
    paths: StudyPaths,
    order: Sequence[str],
    *,
    control: Control,
    session: str,
    record: AttemptRecord,
    done: set[str],
    forks: Mapping[str, tuple[str, int]] | None = None,
    reuses: Mapping[str, str] | None = None,
) -> tuple[str, AttemptPaths] | Literal["wait"] | None:
    """Claim the first run that this session may train.

    Args:
        paths: The study.
        order: All run ids, in training order.
        control: Requests that hold.
        session: The supervisor session that the attempt belongs to.
        record: What attempt.json is to hold.
        done: Runs known to be done, which are not looked at again; extended here.
        forks: Runs with an onset → the id of their common beginning and its last epoch.
        reuses: Runs that evaluate another run's weights → that run.

    Returns:
        The run and the attempt; "wait" where what is left goes on from a beginning that another process is training;
        None where nothing is left to claim.
    """
    waiting = False
    now: dict[str, Any] = {"control": control, "session": session}
    busy = _busy_beginnings(paths, forks or {}, control=control, session=session, done=done)
    for run_id in order:
        if run_id in done:
            continue
        run = paths.run(run_id)
        state = read_state(run, control=control, session=session, run_id=run_id)
        if state.status == "done":
            done.add(run_id)
        elif state.retriable and state.status != "running" and not control.holds(run_id):
            if forks and run_id in forks and _must_wait(paths, forks[run_id], busy):
                waiting = True
                continue
            twin = (reuses or {}).get(run_id)
            if twin is not None and read_state(paths.run(twin), **now, run_id=twin).status == "running":
                waiting = True
                continue
            attempts = run.list_attempts()
            number = attempts[-1].number + 1 if attempts else 1
            attempt = claim(run, number, record)
            if attempt is not None:
                return run_id, attempt
    return "wait" if waiting else None


def _busy_beginnings(
    paths: StudyPaths,
    forks: Mapping[str, tuple[str, int]],
    *,
    control: Control,
    session: str,
    done: set[str],
) -> set[str]:
    """Common beginnings that some live process has not yet finished."""
    busy = set()
    for run_id, (prefix_id, epoch) in forks.items():
        if run_id in done or prefix_id in busy or paths.fork(prefix_id, epoch).checkpoint.exists():
            continue
        if read_state(paths.run(run_id), control=control, session=session, run_id=run_id).status == "running":
            busy.add(prefix_id)
    return busy


def _must_wait(paths: StudyPaths, fork: tuple[str, int], busy: set[str]) -> bool:
    """Whether a run's beginning is being trained right now, so that training it here too would be a waste."""
    return fork[0] in busy and not paths.fork(*fork).checkpoint.exists()
