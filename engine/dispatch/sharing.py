"""Tells how many processes may share a GPU, and what becomes of them: compute modes and NVIDIA's MPS.

Source: NVIDIA's documentation of the Multi-Process Service (MPS), which also has the compute modes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.dispatch.visible import Gpu

PIPE_VARIABLE = "CUDA_MPS_PIPE_DIRECTORY"
PIPE_FOLDER = "/tmp/nvidia-mps"
"""Where the service listens unless the variable says otherwise."""


def is_mps_running(environment: Mapping[str, str]) -> bool:
    """Tell whether a process with some environment would compute through MPS: CUDA finds it by the same file."""
    return (Path(environment.get(PIPE_VARIABLE) or PIPE_FOLDER) / "control").exists()


def count_slots(gpu: Gpu, wanted: int, *, mps: bool) -> int:
    """Return how many of some slots a GPU can have: one where it takes one process, unless MPS is that process."""
    return 1 if gpu.mode == "exclusive" and not mps else wanted


def explain_sharing(gpus: Iterable[tuple[str, Gpu]], wanted: int, *, mps: bool) -> list[str]:
    """Say what a user should know of several processes on one GPU.

    Args:
        gpus: The names of those that are used, with what is known of them.
        wanted: Slots that were asked for on each.
        mps: Whether MPS runs.
    """
    used = list(gpus)
    exclusive = [name for name, gpu in used if count_slots(gpu, 2, mps=mps) == 1]
    notes: list[str] = []
    if exclusive:
        fewer = f", instead of {wanted}" if wanted > 1 else ""
        notes.append(
            f"{', '.join(exclusive)}: in exclusive-process mode, in which one process at a time has the GPU: one slot"
            f"{fewer} (MPS, or nvidia-smi -c DEFAULT by an administrator, would allow more)"
        )
    if wanted > 1 and len(exclusive) < len(used):
        turns = "take turns, so that they fill each other's pauses alone (nvidia-cuda-mps-control -d starts MPS)"
        together = "compute at the same time"
        notes.append(
            f"MPS is {'' if mps else 'not '}running: the {wanted} processes of a GPU {together if mps else turns}"
        )
    return notes
