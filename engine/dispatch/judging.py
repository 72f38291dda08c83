"""Declares attempts lost whose processes cannot be asked: those of other machines, containers and Slurm's nodes.

Only a study's supervisor does so, in a file of the attempt; workers and viewers believe that file. Silence is what
counts: how long this supervisor itself has seen the same sign of life. No two machines' clocks are compared, so that
a clock that is wrong by an hour takes no run away from anybody.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.errors import StudyError
from engine.study.beats import BEAT_S, LOST_S, BeatRecord, Clock
from engine.study.paths import AttemptPaths
from engine.study.records import find_record
from engine.study.run_records import AttemptRecord, declare_lost
from engine.study.snapshot import StudySnapshot
from engine.study.view import StudyView, describe_silence

LOG = logging.getLogger(__name__)

GONE_S = 3 * BEAT_S
"""Silence after which an attempt is lost whose executor says that it has ended: until then its files may be on their
way, and a process that its scheduler has lost sight of may still be at work."""


@dataclass
class Judge:
    """Remembers the latest signs of life of attempts that cannot be asked; see `judge`."""

    clock: Clock = field(default_factory=Clock)
    claims: dict[AttemptPaths, AttemptRecord | None] = field(default_factory=dict[AttemptPaths, "AttemptRecord | None"])
    """Who makes each attempt that is watched; None where that cannot be read."""
    stalled: set[AttemptPaths] = field(default_factory=set[AttemptPaths])
    """Attempts whose ends were asked for."""

    def watch(self, snapshot: StudySnapshot, view: StudyView) -> dict[AttemptPaths, AttemptRecord]:
        """Return the attempts that run, and whose processes cannot be asked, with who makes them."""
        watched: dict[AttemptPaths, AttemptRecord | None] = {}
        for run in snapshot.runs.values():
            if run.state.status != "running" or run.state.asked:
                continue
            attempts = view.paths.run(run.id).list_attempts()
            if attempts:
                latest = attempts[-1]
                watched[latest] = self.claims.get(latest) or find_record(latest.attempt, AttemptRecord)
        for attempt in self.claims.keys() - watched.keys():
            self.clock.seen.pop(attempt.beat, None)
        self.claims = watched
        return {attempt: record for attempt, record in watched.items() if record is not None}

    def find_stalled(self, snapshot: StudySnapshot, view: StudyView) -> list[AttemptRecord]:
        """Return who makes the watched attempts that stand still for longer than they may, each once."""
        stalled: list[AttemptRecord] = []
        for run in snapshot.runs.values():
            state = run.state
            if state.status != "running" or state.asked or state.silence is None:
                continue
            if not state.silence.exceeds(view.plan.dispatch.stall_s):
                continue
            for attempt in self.claims.keys() - self.stalled:
                record = self.claims[attempt]
                if attempt.run == view.paths.run(run.id) and record is not None:
                    LOG.warning("run %s: is ended because it stood still: %s", run.id, describe_silence(run))
                    self.stalled.add(attempt)
                    stalled.append(record)
        return stalled

    def forget(self) -> None:
        """Begin anew: while the store takes no signs of life, nobody gives any."""
        self.clock.seen.clear()

    def judge(self, ended: Mapping[AttemptPaths, str]) -> None:
        """Declare the watched attempts lost that have been silent for too long.

        Args:
            ended: Those that their executor holds to have ended, and why.
        """
        for attempt, record in self.claims.items():
            beat = find_record(attempt.beat, BeatRecord)
            sign = None if beat is None else (beat.boot_id, beat.beaten, beat.steps)
            silent_s = self.clock.measure(attempt.beat, sign)
            who = "an unknown process" if record is None else f"process {record.owner.pid} on {record.owner.host}"
            if attempt in ended and silent_s >= GONE_S:
                self._declare(attempt, f"{who}: {ended[attempt]}")
            elif silent_s >= LOST_S:
                self._declare(attempt, f"{who} has given no sign for {silent_s:.0f} s")

    def _declare(self, attempt: AttemptPaths, reason: str) -> None:
        LOG.warning("%s: lost: %s", attempt.folder, reason)
        try:
            declare_lost(attempt, reason)
        except StudyError as error:
            LOG.warning("%s", error)
