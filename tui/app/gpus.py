"""The GPUs of this machine in a line each: use, memory, power; nothing where there are none."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from engine.dispatch.cards import Load

if TYPE_CHECKING:
    from engine.dispatch.nvml import Meters


def describe_gpus() -> list[str]:
    """Return a line per GPU; empty without a driver."""
    return [_describe(load) for load in _meters().read()]


@cache
def _meters() -> Meters:
    from engine.dispatch.nvml import Meters  # noqa: PLC0415 - imports NVML's bindings

    return Meters()


def _describe(load: Load) -> str:
    power = "" if load.watts is None else f" {load.watts:.0f} W"
    memory = f"{load.memory_used / 2**30:.1f}/{load.memory_total / 2**30:.0f} GB"
    return f"gpu{load.index} {load.busy_percent:>3} % {memory}{power}"
