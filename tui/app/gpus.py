"""The GPUs of this machine in a line each: use, memory, power; nothing where there are none."""

from __future__ import annotations

import importlib
from typing import Any

_NVML: dict[str, Any] = {}
"""The library and its handles, asked for once: fetching them at every look would cost more than all else."""


def describe_gpus() -> list[str]:
    """Return a line per GPU; none without a driver."""
    if "handles" not in _NVML:
        _NVML["handles"] = _open()
    return [line for number, handle in enumerate(_NVML["handles"]) if (line := _describe(number, handle))]


def _open() -> list[Any]:
    try:
        nvml = _NVML["library"] = importlib.import_module("pynvml")
        nvml.nvmlInit()
        return [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    except Exception:  # no driver, no device, no library: all the same here
        return []


def _describe(number: int, handle: Any) -> str:
    nvml = _NVML["library"]
    try:
        use = nvml.nvmlDeviceGetUtilizationRates(handle).gpu
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except Exception:  # a GPU that has gone is not shown
        return ""
    try:
        power = f" {nvml.nvmlDeviceGetPowerUsage(handle) / 1000:.0f} W"
    except Exception:  # some cards do not tell
        power = ""
    return f"gpu{number} {use:>3} % {memory.used / 2**30:.1f}/{memory.total / 2**30:.0f} GB{power}"
