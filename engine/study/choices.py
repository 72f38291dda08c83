"""What was measured where a protocol says auto, kept with the study so that it goes on as it began."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from engine.plan.packing import Packing, Packings


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Choices of one study on one machine."""

    settings: tuple[Any, ...] = ()
    """Of the protocol's packs, as they were when these were tried; under others what was found does not hold."""
    packings: Packings = field(default_factory=dict[str, Packing])
    devices: str = ""
    """The protocol's, when slots were tried."""
    slots_per_device: int | None = None
    """None where it is not left to a measurement, or was not worth one."""
    slot_trials: tuple[tuple[int, float], ...] = ()
    """Slots that were tried, with epochs per second of all of them."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; inverse of `from_dict`."""
        return {
            "settings": list(self.settings),
            "packings": {kind: packing.to_dict() for kind, packing in self.packings.items()},
            "devices": self.devices,
            "slots_per_device": self.slots_per_device,
            "slot_trials": [list(trial) for trial in self.slot_trials],
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Read back; studies of earlier versions hold nothing."""
        return cls(
            settings=tuple(content.get("settings", ())),
            packings={kind: Packing.from_dict(value) for kind, value in content.get("packings", {}).items()},
            devices=content.get("devices", ""),
            slots_per_device=content.get("slots_per_device"),
            slot_trials=tuple((int(slots), float(rate)) for slots, rate in content.get("slot_trials", ())),
        )


NOTHING = Chosen()
