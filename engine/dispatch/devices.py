"""Finds the machine's devices and the slots on them, without torch and without a CUDA context."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from engine.dispatch.cards import Inventory
from engine.dispatch.sharing import count_slots, explain_sharing, is_mps_running
from engine.dispatch.torch_build import TorchBuild, read_build
from engine.dispatch.torch_count import HIP_VARIABLE, ask_torch, list_counted
from engine.dispatch.visible import VARIABLE, DeviceList, Gpu, list_visible
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
    """Return the GPUs that this process may use, and what there is to be said of others.

    NVML knows NVIDIA's. Where it is missing, where the driver seems too old, and for AMD's, torch itself is asked,
    unless the system shows this process no GPU.
    """
    from engine.dispatch.nvml import take_inventory  # noqa: PLC0415 - imports NVML's bindings

    build = read_build()
    if build.hip is not None:
        return _list_of_amd(build)
    inventory = take_inventory()
    if build.cuda is None or not build.finds_nodes():
        return list_visible(inventory, os.environ)
    if inventory.failure is not None:
        return list_counted(ask_torch(), build, f"NVML cannot list the GPUs ({inventory.failure})")
    too_old = _find_old_driver(build.cuda, inventory)
    # Libraries for compatibility may let an old driver run a newer CUDA all the same.
    if too_old is not None and not (count := ask_torch()).gpus:
        return list_counted(count, build, too_old)
    return list_visible(inventory, os.environ)


def _list_of_amd(build: TorchBuild) -> DeviceList:
    """List AMD's GPUs as torch counts them."""
    reason = f"torch {build.version} is a build for AMD's GPUs (ROCm {build.hip})"
    if not build.finds_nodes():
        shown = f"{reason}, and this machine shows none: there is no {' or '.join(build.nodes)}"
        return DeviceList((), (shown,), os.environ.get(HIP_VARIABLE), failed=True)
    return list_counted(ask_torch(), build, f"{reason}, on which nothing of this has been tried")


def _find_old_driver(cuda: str, inventory: Inventory) -> str | None:
    """Say that the driver is older than torch's CUDA; None where it is not. Within a major version all work."""
    if inventory.cuda is None or inventory.cuda[0] >= int(cuda.partition(".")[0]):
        return None
    supported = ".".join(map(str, inventory.cuda))
    return (
        f"the driver supports CUDA {supported} at most, and torch is built for CUDA {cuda} (a newer driver, or a torch "
        f"for CUDA {inventory.cuda[0]}, would do)"
    )


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
        return (free or found.names) if found.names and read_build().has_gpus else ("cpu",)
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
    if not (build := read_build()).has_gpus:
        raise NondetError(
            f"dispatch.devices: torch {build.version} has no CUDA: install a CUDA build, or use --devices cpu"
        )
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
    build = read_build()
    if devices != "auto" or (found.gpus and build.has_gpus):
        return (*found.notes, *_describe_users(devices, found))
    reason, remedy = "; ".join(found.notes) or "this machine has no NVIDIA GPU", "check the driver"
    if not build.has_gpus:
        if not found.gpus:
            return ()
        reason = f"torch {build.version} has no CUDA, although there is {found.gpus[0].name}"
        remedy = "install a CUDA build"
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
        f"{name}: {users} computes on it too: {_describe_company(found.by_name[name])}"
        for name, users in used.items()
        if devices in ("auto", "cuda") or name in devices
    ]


def _describe_company(gpu: Gpu) -> str:
    """Say what follows from another user's process on the same GPU."""
    if count_slots(gpu, 2, mps=is_mps_running(os.environ)) > 1:
        return "trainings take longer, and may lack memory"
    return "it is in exclusive-process mode, and no training can start until that process has ended"


def device_type(devices: tuple[str, ...]) -> DeviceType:
    """Return the type of device that a study's runs are trained on: one type, as the bits differ between types."""
    return "cpu" if devices == ("cpu",) else "cuda"


def make_slots(devices: tuple[str, ...], per_device: int | str, *, found: DeviceList | None = None) -> tuple[Slot, ...]:
    """Make the slots on some devices.

    Args:
        devices: From `choose_devices`.
        per_device: Slots on each device; "auto" is one per usable core on CPU and one on a GPU. A GPU that one
            process at a time may use has one in any case.
        found: What `list_devices` found; looked up where not given.
    """
    if devices == ("cpu",):
        count = len(os.sched_getaffinity(0)) if per_device == "auto" else int(per_device)
        return tuple(Slot(f"cpu:{i}", f"cpu-{i}", {VARIABLE: ""}) for i in range(count))
    found = list_devices() if found is None else found
    gpus, mps = found.by_name, is_mps_running(os.environ)
    wanted = 1 if per_device == "auto" else int(per_device)
    counts = {device: count_slots(gpus[device], wanted, mps=mps) for device in devices}
    return tuple(
        Slot(f"{device}/{i}", f"{gpus[device].uuid}-{i}", {gpus[device].variable: gpus[device].shown})
        for i in range(wanted)
        for device in devices
        if i < counts[device]
    )


def explain_slots(devices: tuple[str, ...], per_device: int | str, *, found: DeviceList) -> list[str]:
    """Say what a user should know of several slots on one GPU; nothing of the CPU's.

    Args:
        devices: From `choose_devices`.
        per_device: Slots that were asked for on each device.
        found: What `list_devices` found.
    """
    used = [(name, gpu) for name, gpu in found.by_name.items() if name in devices]
    return explain_sharing(used, 1 if per_device == "auto" else int(per_device), mps=is_mps_running(os.environ))


def may_share(devices: tuple[str, ...], *, found: DeviceList) -> bool:
    """Tell whether a second process could compute on each of some GPUs."""
    mps = is_mps_running(os.environ)
    return all(count_slots(found.by_name[name], 2, mps=mps) > 1 for name in devices)
