"""The machine's devices and the slots on them, found without torch and without a CUDA context."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import pynvml

from engine.errors import NondetError
from engine.plan import DeviceType

THREADS_ENVIRONMENT = {
    # One thread per run: more slots beat more threads for small networks, and rounding depends on the count.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_DYNAMIC": "FALSE",
    "MKL_DYNAMIC": "FALSE",
}


@dataclass(frozen=True)
class Gpu:
    """One CUDA device as the driver lists it."""

    index: int
    uuid: str
    name: str


@dataclass(frozen=True)
class Slot:
    """A place where one worker trains one run at a time."""

    name: str
    """cpu:0, cpu:1, … or cuda:0/0, cuda:0/1, …: the device, then the place on it."""
    key: str
    """Name of its lease, the same for every study and user of this machine."""
    environment: dict[str, str]
    """What a worker in this slot needs to have in its environment from its start on."""


def list_gpus() -> tuple[Gpu, ...]:
    """The NVIDIA devices of this machine; empty where there is no driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return tuple(
            Gpu(i, str(pynvml.nvmlDeviceGetUUID(handle)), str(pynvml.nvmlDeviceGetName(handle)))
            for i, handle in enumerate(handles)
        )
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def is_cuda_torch() -> bool:
    """Whether the installed torch was built for CUDA, told from its version without importing it."""
    return not metadata.version("torch").endswith("+cpu")


def choose_devices(devices: tuple[str, ...] | str, *, gpus: tuple[Gpu, ...] | None = None) -> tuple[str, ...]:
    """Resolve the protocol's dispatch.devices.

    Args:
        devices: "auto", "cpu" or CUDA device names.
        gpus: What `list_gpus` found; looked up where not given.

    Returns:
        ("cpu",) or CUDA device names.

    Raises:
        NondetError: If a named device is not there.
    """
    if devices == "cpu":
        return ("cpu",)
    found = list_gpus() if gpus is None else gpus
    names = tuple(f"cuda:{gpu.index}" for gpu in found)
    if devices == "auto":
        return names if names and is_cuda_torch() else ("cpu",)
    missing = [name for name in devices if name not in names]
    if missing:
        there = ", ".join(names) or "none"
        raise NondetError(
            f"dispatch.devices: {', '.join(missing)} not found on this machine (CUDA devices here: {there}): "
            'use --devices cpu or devices = "auto"'
        )
    if not is_cuda_torch():
        version = metadata.version("torch")
        raise NondetError(f"dispatch.devices: torch {version} has no CUDA: install a CUDA build, or use --devices cpu")
    return tuple(devices)


def device_type(devices: tuple[str, ...]) -> DeviceType:
    """The kind of device that a study's runs are trained on: one kind, as the bits differ between kinds."""
    return "cpu" if devices == ("cpu",) else "cuda"


def make_slots(
    devices: tuple[str, ...], per_device: int | str, *, gpus: tuple[Gpu, ...] | None = None
) -> tuple[Slot, ...]:
    """The slots on some devices.

    Args:
        devices: From `choose_devices`.
        per_device: Slots on each device; "auto" is one per usable core on CPU and one on a GPU.
        gpus: What `list_gpus` found; looked up where not given.
    """
    if devices == ("cpu",):
        count = len(os.sched_getaffinity(0)) if per_device == "auto" else int(per_device)
        environment = THREADS_ENVIRONMENT | {"CUDA_VISIBLE_DEVICES": ""}
        return tuple(Slot(f"cpu:{i}", f"cpu-{i}", environment) for i in range(count))
    uuids = {f"cuda:{gpu.index}": gpu.uuid for gpu in (list_gpus() if gpus is None else gpus)}
    count = 1 if per_device == "auto" else int(per_device)
    return tuple(
        Slot(f"{device}/{i}", f"{uuids[device]}-{i}", _gpu_environment(uuids[device]))
        for i in range(count)
        for device in devices
    )


def _gpu_environment(uuid: str) -> dict[str, str]:
    return THREADS_ENVIRONMENT | {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": uuid,
        # cuBLAS is repeatable only with a fixed workspace, read when its context is made.
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }


def describe_gpus(gpus: tuple[Gpu, ...]) -> list[dict[str, Any]]:
    """For the provenance in plan.json."""
    return [{"index": gpu.index, "uuid": gpu.uuid, "name": gpu.name} for gpu in gpus]
