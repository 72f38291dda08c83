"""Lets one supervisor at a time have a study, whichever machines they are started on.

On one machine a lock decides, which the kernel gives back. Between machines a supervisor claims the next number, as a
worker does with an attempt. It waits before that until no other one gives signs of life, and ends as soon as it sees
a higher number than its own.
"""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass

from engine.dispatch.claims import claim_number, list_stray_claims
from engine.study.beats import LOST_S, Clock
from engine.study.paths import StudyPaths, list_numbers, name_number
from engine.study.processes import Owner, current_owner, is_alive
from engine.study.records import Record, find_record
from engine.study.supervisor_record import find_supervisor, watch_supervisor

LOG = logging.getLogger(__name__)

LOOK_S = 0.25
"""Seconds between two looks at another supervisor."""

CLAIM = "supervisor.json"
"""The file in a claim that says whose it is."""


class SupervisorClaim(Record, frozen=True, kw_only=True, tag=1):
    """supervisors/NN/supervisor.json: who has the study."""

    owner: Owner
    session: str
    """The supervisor's, which no other has."""


@dataclass(frozen=True)
class HeldClaim:
    """Holds a number that was claimed."""

    paths: StudyPaths
    number: int

    @property
    def overtaken(self) -> bool:
        """Tell whether another supervisor has the study now."""
        try:
            return any(number > self.number for number in list_numbers(self.paths.supervisors))
        except OSError:
            return False


def take_over(paths: StudyPaths, session: str) -> HeldClaim | None:
    """Claim a study for its supervisor, once no other one gives signs of life.

    Args:
        paths: The study.
        session: The claimant's.

    Returns:
        The claim; None where another supervisor is at work.
    """
    clock, first_sign = Clock(compares=False), None
    record = SupervisorClaim(owner=current_owner(), session=session)
    while True:
        numbers = list_numbers(paths.supervisors)
        latest = numbers[-1] if numbers else 0
        sign = _read_sign(paths, latest, clock)
        if sign is None:
            if claim_number(paths.supervisors, latest + 1, CLAIM, record):
                _remove_earlier(paths, latest)
                return HeldClaim(paths, latest + 1)
            continue
        if first_sign is None:
            first_sign = sign
            LOG.info("%s: waiting to see whether another machine's supervisor gives signs of life", paths.folder)
        elif sign != first_sign:
            LOG.info("%s: another machine or container supervises this study, as its signs of life say", paths.folder)
            return None
        time.sleep(LOOK_S)


def _read_sign(paths: StudyPaths, latest: int, clock: Clock) -> object | None:
    """Return what changes while another supervisor lives; None where none does, or has been silent for LOST_S."""
    claimed = find_record(paths.supervisors / name_number(latest) / CLAIM, SupervisorClaim)
    said = find_supervisor(paths)
    if claimed is not None and (said is None or said.session != claimed.session):
        # It has said nothing yet: between its claim and its first record lies a moment.
        if is_alive(claimed.owner) is False or clock.measure(paths.supervisors, claimed.session) >= LOST_S:
            return None
        return (claimed.session, None)
    other = watch_supervisor(paths, clock=clock)
    if not other.alive or other.hung or other.record is None or other.record.state != "running":
        return None
    beat = None if other.silence is None else other.silence.beat
    return (other.record.session, None if beat is None else (beat.beaten, beat.steps))


def _remove_earlier(paths: StudyPaths, latest: int) -> None:
    """Remove the claims before this one: a later number is there, which is all that they would say."""
    for number in range(max(1, latest - 10), latest + 1):
        shutil.rmtree(paths.supervisors / name_number(number), ignore_errors=True)
    for stray in list_stray_claims(paths.supervisors):
        made = find_record(stray / CLAIM, SupervisorClaim)
        if made is not None and is_alive(made.owner) is False:
            shutil.rmtree(stray, ignore_errors=True)
