"""Keeps with a study what was measured for the settings that are auto, so that it goes on as it began."""

from __future__ import annotations

import msgspec

from engine.plan.records import Packing

PackSettings = tuple[int | str, str, bool]
"""A protocol's pack, memory format and whether kernels are compiled."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Choices of one study on one machine."""

    settings: PackSettings | None = None
    """The protocol's settings of packs when these were tried; what was found does not hold under other settings."""
    packings: dict[str, Packing] = {}
    devices: str = ""
    """The protocol's, when slots were tried."""
    slots_per_device: int | None = None
    """None where it is not left to a measurement, or was not worth one."""
    slot_trials: tuple[tuple[int, float], ...] = ()
    """Slots that were tried, with epochs per second of all of them."""
    slot_limit: str | None = None
    """Why no more were tried, or none; None where nothing went wrong."""


NOTHING = Chosen()
