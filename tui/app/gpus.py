"""The GPUs of this machine: use, memory, power; nothing where there are none."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from engine.dispatch.cards import Load

if TYPE_CHECKING:
    from engine.dispatch.nvml import Meters


def read_gpus() -> list[tuple[str, float, str]]:
    """Return name, use in percent, and memory and power in words of each GPU; empty without a driver."""
    return [(f"gpu{load.index}", float(load.busy_percent), _describe(load)) for load in _meters().read()]


@cache
def _meters() -> Meters:
    from engine.dispatch.nvml import Meters  # noqa: PLC0415 - imports NVML's bindings

    return Meters()


def _describe(load: Load) -> str:
    power = "" if load.watts is None else f" {load.watts:.0f} W"
    return f"{load.memory_used / 2**30:.1f}/{load.memory_total / 2**30:.0f} GB{power}"
