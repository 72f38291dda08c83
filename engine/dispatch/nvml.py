"""Asks NVIDIA's management library (NVML) about this machine's GPUs: which there are, and how busy they are.

No CUDA context is made by that. The bindings take longer to import than most of the program, so this module is imported
when somebody asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pynvml

from engine.dispatch.cards import Card, ComputeMode, Inventory, Load
from engine.dispatch.neighbours import name_users


class Meters:
    """Reads the load of all GPUs again and again; the handles are fetched once, which costs more than a look."""

    def __init__(self) -> None:
        """Open the library; without a driver or a GPU there is nothing to read."""
        self._handles: dict[int, Any] = {}
        try:
            pynvml.nvmlInit()
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError:
            return
        for index in range(count):
            with contextlib.suppress(pynvml.NVMLError):  # one that cannot be opened has nothing to show
                self._handles[index] = pynvml.nvmlDeviceGetHandleByIndex(index)

    def read(self) -> list[Load]:
        """Return the load of every GPU; one that has gone is left out."""
        loads = (_read_load(index, handle) for index, handle in self._handles.items())
        return [load for load in loads if load is not None]


def _read_load(index: int, handle: Any) -> Load | None:
    """Return a GPU's load; None where it has gone."""
    try:
        busy = int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    except pynvml.NVMLError:
        return None
    try:
        watts = pynvml.nvmlDeviceGetPowerUsage(handle) / 1000
    except pynvml.NVMLError:
        watts = None
    return Load(index, busy, int(memory.used), int(memory.total), watts)


def take_inventory() -> Inventory:
    """Ask the library; a GPU that it cannot open stays in the list, with the reason."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Inventory(failure=str(error))
    try:
        return Inventory(tuple(_look_at(index) for index in range(pynvml.nvmlDeviceGetCount())), cuda=_find_cuda())
    except pynvml.NVMLError as error:
        return Inventory(failure=str(error))
    finally:
        pynvml.nvmlShutdown()


def _look_at(index: int) -> Card:
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        return Card(
            str(pynvml.nvmlDeviceGetUUID(handle)),
            str(pynvml.nvmlDeviceGetName(handle)),
            index,
            _find_parts(handle),
            users=_find_users(handle),
            mode=_find_mode(handle),
        )
    except pynvml.NVMLError as error:
        return Card("", "", index, fault=str(error))


def _find_cuda() -> tuple[int, int] | None:
    """Return the newest version of CUDA that the driver supports; None where it does not say."""
    try:
        version = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
    except pynvml.NVMLError:
        return None
    return version // 1000, version % 1000 // 10


MODES: dict[int, ComputeMode] = {
    pynvml.NVML_COMPUTEMODE_PROHIBITED: "prohibited",
    pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS: "exclusive",
}


def _find_mode(handle: Any) -> ComputeMode:
    """Return the compute mode of a GPU; the usual one where the driver does not tell."""
    try:
        return MODES.get(int(pynvml.nvmlDeviceGetComputeMode(handle)), "default")
    except pynvml.NVMLError:
        return "default"


def _find_users(handle: Any) -> tuple[str, ...]:
    """Return the other users who compute on a GPU or on a part of one, by themselves or through MPS."""
    pids: list[int] = []
    for name in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetMPSComputeRunningProcesses"):
        # The bindings give these functions their names at run time, which their types do not know.
        list_processes: Callable[[Any], list[Any]] = getattr(pynvml, name)
        with contextlib.suppress(pynvml.NVMLError):  # a driver that does not tell
            pids += [int(process.pid) for process in list_processes(handle)]
    return name_users(pids)


def _find_parts(handle: Any) -> tuple[Card, ...]:
    """Return the parts of a GPU; none where it is not divided, or too old to be."""
    parts: list[Card] = []
    try:
        for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            part = _open_part(handle, number)
            if part is not None:
                uuid, name = str(pynvml.nvmlDeviceGetUUID(part)), str(pynvml.nvmlDeviceGetName(part))
                parts.append(Card(uuid, name, users=_find_users(part)))
    except pynvml.NVMLError:
        return tuple(parts)
    return tuple(parts)


def _open_part(handle: Any, number: int) -> Any:
    """Return a part's handle; None at a number that no part has."""
    try:
        return pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
    except pynvml.NVMLError_NotFound:
        return None
