"""Checks [dispatch] and [slurm] against each other, and makes the record that executors are opened with."""

from __future__ import annotations

from typing import Any

from engine.protocol.dispatch_section import Dispatching
from engine.protocol.faults import Fault, show_value
from engine.protocol.sections import Sections


def check_dispatch(sections: Sections, faults: list[Fault]) -> None:
    """Report devices and slots that name places of one machine, where Slurm gives each job its own."""
    dispatch = sections.dispatch
    if dispatch.executor != "slurm":
        return  # [slurm] and workers wait for the word that makes them count
    if dispatch.devices not in ("cuda", "cpu"):
        problem = "says nothing of the cluster's devices: the machine of this command may have others, or none"
        remedy = 'with executor slurm, write devices = "cuda" or devices = "cpu"'
        faults.append(Fault("dispatch.devices", problem, remedy, show_value(dispatch.devices)))
    if dispatch.slots_per_device not in ("auto", 1):
        problem = "is for this machine: with executor slurm each job has one worker"
        remedy = "leave it out, and set workers"
        faults.append(Fault("dispatch.slots_per_device", problem, remedy, show_value(dispatch.slots_per_device)))


def settle(sections: Sections) -> Dispatching:
    """Return all about dispatching: a list of devices that cannot change, seconds with a fraction, and [slurm]."""
    values = vars(sections.dispatch)
    devices, stall_s = sections.dispatch.devices, sections.dispatch.stall_s
    settled: dict[str, Any] = {
        "devices": devices if isinstance(devices, str) else tuple(devices),
        "checkpoint_s": float(sections.dispatch.checkpoint_s),
        "stall_s": stall_s if isinstance(stall_s, str) else float(stall_s),
        "slurm": sections.slurm,
    }
    return Dispatching(**values | settled)
