"""supervisor.json: what the supervisor says about itself and its slots."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.study.paths import StudyPaths
from engine.study.processes import Owner, is_alive
from engine.study.records import Record, find_record

SupervisorState = Literal["running", "finished", "cancelled", "stopped"]
SlotState = Literal["starting", "training", "waiting", "idle", "given up"]


class SlotRecord(msgspec.Struct, frozen=True):
    """One slot at this moment."""

    name: str
    state: SlotState
    message: str | None = None
    """Whom it waits for, or why it was given up."""


class SupervisorRecord(Record, frozen=True, kw_only=True, tag=1):
    """The supervisor at this moment."""

    owner: Owner
    session: str
    """Told apart from every earlier supervisor of the study: retries are counted per session."""
    state: SupervisorState
    slots: tuple[SlotRecord, ...]
    failure: str | None = None
    """Why it gave up before the study was finished."""

    @property
    def alive(self) -> bool:
        """Tell whether the process that wrote the record is alive; False also where that cannot be found out."""
        return is_alive(self.owner) is True


def find_supervisor(paths: StudyPaths) -> SupervisorRecord | None:
    """Read what a study's latest supervisor said last; None where there was none, or its file is damaged."""
    return find_record(paths.supervisor, SupervisorRecord)


def is_supervised(paths: StudyPaths) -> bool:
    """Tell whether a study's supervisor is alive."""
    supervisor = find_supervisor(paths)
    return supervisor is not None and supervisor.alive
