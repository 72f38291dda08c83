"""Asks torch itself which GPUs it can use, in a process of its own, where NVML cannot say or is not the one to ask."""

from __future__ import annotations

import functools
import json
import os
import subprocess

import msgspec

from engine.decoding import convert
from engine.dispatch.children import command
from engine.dispatch.torch_build import TorchBuild
from engine.dispatch.visible import VARIABLE, DeviceList, Gpu

PATIENCE_S = 120.0
"""How long torch may take to be imported and to find its GPUs."""

HIP_VARIABLE = "HIP_VISIBLE_DEVICES"


class TorchGpu(msgspec.Struct, frozen=True):
    """Describes a GPU as torch sees it."""

    name: str
    uuid: str
    """Empty where torch does not know it."""


class TorchCount(msgspec.Struct, frozen=True):
    """Holds the answer of the process."""

    gpus: tuple[TorchGpu, ...] = ()
    failure: str | None = None
    """Why torch can use none: its own words."""


def ask_torch() -> TorchCount:
    """Return the GPUs that torch can use with this process's environment; it is asked once for each environment."""
    return asked(os.environ.get(VARIABLE), os.environ.get(HIP_VARIABLE))


@functools.cache
def asked(*variables: str | None) -> TorchCount:
    """Return what torch says where the variables that hide GPUs have some values, which it has from this process."""
    del variables
    try:
        done = subprocess.run(
            command("engine.training", "devices"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return TorchCount(failure=f"it did not answer within {PATIENCE_S:.0f} s")
    try:
        return convert(json.loads(done.stdout), TorchCount)
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:]
        return TorchCount(failure=f"its process ended with status {done.returncode}{''.join(f': {s}' for s in last)}")


def list_counted(count: TorchCount, build: TorchBuild, reason: str) -> DeviceList:
    """List the GPUs that torch counts.

    Args:
        count: Its answer.
        build: Which torch it is.
        reason: Why it was asked: a statement without a full stop.
    """
    name = HIP_VARIABLE if build.hip is not None and HIP_VARIABLE in os.environ else VARIABLE
    variable = os.environ.get(name)
    if not count.gpus:
        why = "" if count.failure is None else f" ({count.failure})"
        return DeviceList((), (f"{reason}; torch {build.version} itself finds none{why}",), variable, failed=True)
    entries = [str(number) for number in range(len(count.gpus))]
    if variable is not None:
        entries = [entry.strip() for entry in variable.split(",")][: len(count.gpus)]
    gpus = tuple(
        Gpu(place, gpu.uuid or f"{name}-{entry.replace('/', '-')}", gpu.name, entry, variable=name)
        for place, (gpu, entry) in enumerate(zip(count.gpus, entries, strict=False))
    )
    note = f"{reason}; torch {build.version} itself counts {len(gpus)}, and whether others use them is not known"
    return DeviceList(gpus, (note,), variable)
