"""Which run a worker takes next, and the record it leaves when an attempt ends without a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from engine.store.control import Control
from engine.store.files import write_json
from engine.store.paths import AttemptPaths, StudyPaths
from engine.store.status import read_state

from .claims import claim

FORMAT = 1

Outcome = Literal["failed", "cancelled"]
Kind = Literal["fault", "infrastructure", "request"]


def claim_next(
    paths: StudyPaths,
    order: Sequence[str],
    *,
    control: Control,
    session: str,
    content: dict[str, Any],
    done: set[str],
) -> tuple[str, AttemptPaths] | None:
    """Claim the first run that this session may train.

    Args:
        paths: The study.
        order: All run ids, in training order.
        control: Requests that hold.
        session: The supervisor session that the attempt belongs to.
        content: What attempt.json is to hold.
        done: Runs known to be done, which are not looked at again; extended here.

    Returns:
        The run and the attempt; None where nothing is left to claim.
    """
    for run_id in order:
        if run_id in done:
            continue
        run = paths.run(run_id)
        state = read_state(run, control=control, session=session, run_id=run_id)
        if state.status == "done":
            done.add(run_id)
        elif state.retriable and state.status != "running" and not control.holds(run_id):
            attempts = run.list_attempts()
            number = attempts[-1].number + 1 if attempts else 1
            attempt = claim(run, number, content)
            if attempt is not None:
                return run_id, attempt
    return None


def write_exit(attempt: AttemptPaths, outcome: Outcome, kind: Kind, reason: str) -> None:
    """Say why an attempt ended without a result.

    Args:
        attempt: The attempt.
        outcome: failed or cancelled.
        kind: fault where trying again would end the same way; infrastructure where it may not.
        reason: One line for people.
    """
    write_json(attempt.exit, {"v": FORMAT, "outcome": outcome, "kind": kind, "reason": reason})
