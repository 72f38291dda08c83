"""supervisor.json: what the supervisor says about itself and its slots."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from engine.study.processes import Owner

FORMAT = 1

SupervisorState = Literal["running", "finished", "cancelled", "stopped"]
SlotState = Literal["starting", "training", "waiting", "idle", "given up"]


@dataclass(frozen=True)
class SlotRecord:
    """One slot at this moment."""

    name: str
    state: SlotState
    message: str | None = None
    """Whom it waits for, or why it was given up."""


@dataclass(frozen=True, kw_only=True)
class SupervisorRecord:
    """The supervisor at this moment."""

    owner: Owner
    session: str
    """Told apart from every earlier supervisor of the study: retries are counted per session."""
    state: SupervisorState
    slots: tuple[SlotRecord, ...]
    failure: str | None = None
    """Why it gave up before the study was finished."""

    def to_dict(self) -> dict[str, Any]:
        """The content of supervisor.json."""
        return {
            "v": FORMAT,
            "owner": self.owner.to_dict(),
            "session": self.session,
            "state": self.state,
            "slots": [asdict(slot) for slot in self.slots],
            "failure": self.failure,
        }
