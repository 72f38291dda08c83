"""supervisor.json: what the supervisor says about itself and its slots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from engine.study.beats import CLOCK, LOST_S, WORTH_TELLING_S, Clock, Silence, read_file_silence, read_silence
from engine.study.paths import StudyPaths
from engine.study.processes import Owner, is_alive, is_stopped
from engine.study.records import Record, find_record

SupervisorState = Literal["running", "finished", "cancelled", "stopped"]
SlotState = Literal["starting", "training", "waiting", "idle", "given up"]


class SlotRecord(msgspec.Struct, frozen=True):
    """One slot at this moment."""

    name: str
    state: SlotState
    message: str | None = None
    """Whom it waits for, or why it was given up."""
    host: str | None = None
    """The machine of its worker, where that may be another than the supervisor's."""
    job: str | None = None
    """The number of its worker's job in a scheduler's queue."""


class SupervisorRecord(Record, frozen=True, kw_only=True, tag=1):
    """The supervisor at this moment."""

    owner: Owner
    session: str
    """Told apart from every earlier supervisor of the study: retries are counted per session."""
    state: SupervisorState
    slots: tuple[SlotRecord, ...]
    failure: str | None = None
    """Why it gave up before the study was finished."""
    note: str | None = None
    """Why a process other than a worker may not get on, such as the one that measures."""


@dataclass(frozen=True)
class Supervision:
    """Tells whether a study has a supervisor at this moment, and whether that one still does something."""

    record: SupervisorRecord | None
    """What the latest supervisor said last; None where there was none, or its file is damaged."""
    asked: bool | None = None
    """Whether its process lives; None where that cannot be asked."""
    silence: Silence | None = None
    """How long it has given no sign; None where there is none to give."""
    stopped: bool = False
    """Whether a signal has halted it."""

    @property
    def alive(self) -> bool:
        """Tell whether it lives: a process that cannot be asked does as long as it gives signs."""
        if self.asked is None:
            running = self.record is not None and self.record.state == "running"
            return running and self.silence is not None and self.silence.dead_s < LOST_S
        return self.asked

    @property
    def hung(self) -> bool:
        """Tell whether it lives on this machine and has been silent for so long that another may end it."""
        return self.asked is True and self.silence is not None and self.silence.dead_s >= LOST_S

    @property
    def obstacle(self) -> str | None:
        """Say in words why nothing may happen; None where nothing is wrong with it."""
        if self.record is None or not self.alive or self.silence is None:
            return None
        silent_s, owner = self.silence.dead_s, self.record.owner
        if self.asked is None and silent_s >= WORTH_TELLING_S / 4:
            return (
                f"the supervisor cannot be asked (process {owner.pid} on {owner.host}): no sign for {silent_s:.0f} s, "
                f"taken for ended after {LOST_S:.0f} s"
            )
        if not self.stopped and silent_s < WORTH_TELLING_S:
            return None
        what = "is halted by a signal" if self.stopped else f"has given no sign for {silent_s:.0f} s"
        return (
            f"the supervisor (process {owner.pid}) {what}: the next command for this study ends it after "
            f"{LOST_S:.0f} s and goes on"
        )


def watch_supervisor(paths: StudyPaths, *, clock: Clock = CLOCK) -> Supervision:
    """Look at a study's supervisor: its record, its process and its signs of life, whose age a clock measures."""
    record = find_supervisor(paths)
    if record is None:
        return Supervision(None, asked=False)
    asked = is_alive(record.owner)
    if asked is False:
        return Supervision(record, asked=False)
    silence = read_silence(paths.supervisor_beat, clock=clock)
    if asked is None and silence is None:
        silence = read_file_silence((paths.supervisor,), clock=clock)
    return Supervision(record, asked, silence, stopped=is_stopped(record.owner))


def find_supervisor(paths: StudyPaths) -> SupervisorRecord | None:
    """Read what a study's latest supervisor said last; None where there was none, or its file is damaged."""
    return find_record(paths.supervisor, SupervisorRecord)


def is_supervised(paths: StudyPaths) -> bool:
    """Tell whether a study's supervisor is alive."""
    return watch_supervisor(paths).alive
