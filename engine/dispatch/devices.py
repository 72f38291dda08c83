"""Finds the machine's devices and the slots on them, without torch and without a CUDA context."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from engine.dispatch.visible import VARIABLE, DeviceList, list_visible
from engine.errors import NondetError
from engine.recipe import DeviceType


@dataclass(frozen=True)
class Slot:
    """Describes a place where one worker trains one run at a time."""

    name: str
    """cpu:0, cpu:1, … or cuda:0/0, cuda:0/1, …: the device, then the place on it."""
    key: str
    """Name of its lease, the same for every study and user of this machine."""
    environment: dict[str, str]
    """What a worker in this slot needs to have in its environment from its start on: which GPU it sees."""


def list_devices() -> DeviceList:
    """Return the NVIDIA devices that this process may use, and what there is to be said of others."""
    from engine.dispatch.nvml import take_inventory  # noqa: PLC0415 - imports NVML's bindings

    return list_visible(take_inventory(), os.environ)


def name_device(kind: str) -> str:
    """Return the model of the device that a process of this machine computes on, without torch.

    Args:
        kind: Of the device: cuda or cpu.
    """
    if kind != "cuda":
        return name_processor()
    gpus = list_devices().gpus
    return gpus[0].name if gpus else os.environ.get(VARIABLE, "")


def name_processor() -> str:
    """Return the model of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")


def is_cuda_torch() -> bool:
    """Tell whether the installed torch was built for CUDA, told from its version without importing it."""
    build = metadata.version("torch").partition("+")[2]
    return sys.platform != "darwin" and not build.startswith(("cpu", "rocm", "xpu"))


def choose_devices(devices: tuple[str, ...] | str, *, found: DeviceList | None = None) -> tuple[str, ...]:
    """Resolve the protocol's dispatch.devices.

    Args:
        devices: "auto", "cpu", "cuda" or CUDA device names, counted among the visible devices.
        found: What `list_devices` found; looked up where not given.

    Returns:
        ("cpu",) or CUDA device names; `explain_devices` says why.

    Raises:
        NondetError: If a named device is not there.
    """
    if devices == "cpu":
        return ("cpu",)
    found = list_devices() if found is None else found
    if devices == "auto":
        free = tuple(name for name, gpu in zip(found.names, found.gpus, strict=True) if not gpu.users)
        return (free or found.names) if found.names and is_cuda_torch() else ("cpu",)
    wanted = (found.names or ("cuda",)) if devices == "cuda" else tuple(devices)
    missing = [name for name in wanted if name not in found.names]
    if missing:
        there = ", ".join(found.names) or "none"
        shown = f" and {found.setting}" if found.variable is not None else ""
        why = "".join(f"; {note}" for note in found.notes)
        remedy = f"change {VARIABLE}, " if found.variable is not None else ""
        raise NondetError(
            f"dispatch.devices: {', '.join(missing)} not found on this machine{shown} (CUDA devices here: {there}"
            f'{why}): {remedy}use --devices cpu or devices = "auto"'
        )
    if not is_cuda_torch():
        version = metadata.version("torch")
        raise NondetError(f"dispatch.devices: torch {version} has no CUDA: install a CUDA build, or use --devices cpu")
    return wanted


def explain_devices(devices: tuple[str, ...] | str, *, found: DeviceList | None = None) -> tuple[str, ...]:
    """Say what a user should know of the devices that `choose_devices` takes: GPUs left out, why the CPU is used.

    A CPU build of torch on a machine without a GPU is what its owner wanted, and needs no word.

    Args:
        devices: The protocol's dispatch.devices.
        found: What `list_devices` found; looked up where not given.
    """
    if devices == "cpu":
        return ()
    found = list_devices() if found is None else found
    if devices != "auto" or (found.gpus and is_cuda_torch()):
        return (*found.notes, *_describe_users(devices, found))
    version = metadata.version("torch")
    reason, remedy = "; ".join(found.notes) or "this machine has no NVIDIA GPU", "check the driver"
    if "+rocm" in version:
        reason, remedy = f"torch {version} is a build for AMD's GPUs, which are not supported", "install a CUDA build"
    elif not is_cuda_torch():
        if not found.gpus:
            return ()
        reason, remedy = f"torch {version} has no CUDA, although there is {found.gpus[0].name}", "install a CUDA build"
    elif found.variable is not None and not found.failed:
        remedy = f"change {VARIABLE}"
    return (f"the CPU is used: {reason}: {remedy}, or use --devices cpu to say so",)


def _describe_users(devices: tuple[str, ...] | str, found: DeviceList) -> list[str]:
    """Say which GPUs other users compute on, and what follows from that."""
    used = {name: ", ".join(gpu.users) for name, gpu in zip(found.names, found.gpus, strict=True) if gpu.users}
    left_out = devices == "auto" and len(used) < len(found.gpus)
    if left_out:
        return [
            f"{name} is left out: {users} computes on it: name it with --devices to use it"
            for name, users in used.items()
        ]
    return [
        f"{name}: {users} computes on it too: trainings take longer, and may lack memory"
        for name, users in used.items()
        if devices in ("auto", "cuda") or name in devices
    ]


def device_type(devices: tuple[str, ...]) -> DeviceType:
    """Return the type of device that a study's runs are trained on: one type, as the bits differ between types."""
    return "cpu" if devices == ("cpu",) else "cuda"


def make_slots(devices: tuple[str, ...], per_device: int | str, *, found: DeviceList | None = None) -> tuple[Slot, ...]:
    """Make the slots on some devices.

    Args:
        devices: From `choose_devices`.
        per_device: Slots on each device; "auto" is one per usable core on CPU and one on a GPU.
        found: What `list_devices` found; looked up where not given.
    """
    if devices == ("cpu",):
        count = len(os.sched_getaffinity(0)) if per_device == "auto" else int(per_device)
        return tuple(Slot(f"cpu:{i}", f"cpu-{i}", {VARIABLE: ""}) for i in range(count))
    found = list_devices() if found is None else found
    gpus = dict(zip(found.names, found.gpus, strict=True))
    count = 1 if per_device == "auto" else int(per_device)
    return tuple(
        Slot(f"{device}/{i}", f"{gpus[device].uuid}-{i}", {VARIABLE: gpus[device].entry or gpus[device].uuid})
        for i in range(count)
        for device in devices
    )
