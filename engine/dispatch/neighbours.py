"""Sees what other users of this machine do: whose processes compute on a GPU, and how many cores theirs keep busy.

Slots are kept apart by leases among the studies of one user; a lock that everybody could take would let anybody keep
everybody waiting. Other users are seen by what they do.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import time
from collections.abc import Iterable

from engine.study.processes import PROC, list_pids, read_cpu_s

SAMPLE_S = 0.2
"""Time over which the cores that others use are counted."""

WORTH_TELLING_CORES = 0.5
"""Busy cores of others that are worth a word."""

MPS_SERVER = "nvidia-cuda-mps"
"""What the names of the processes of NVIDIA's Multi-Process Service begin with, cut as the kernel cuts them."""


def find_user(pid: int) -> str | None:
    """Return the name of the other user whose process this is; None where it is one's own, or cannot be seen.

    A container does not see the processes outside of it, and NVML numbers them as the machine does. A server of MPS
    computes for its clients, and is nobody's.
    """
    try:
        user = (PROC / str(pid)).stat().st_uid
        if (PROC / str(pid) / "comm").read_text().startswith(MPS_SERVER):
            return None
    except OSError:
        return None
    return None if user == os.getuid() else _name(user)


def name_users(pids: Iterable[int]) -> tuple[str, ...]:
    """Return the other users who have one of some processes, each once."""
    return tuple(sorted({user for pid in pids if (user := find_user(pid)) is not None}))


def count_busy_cores(period_s: float = SAMPLE_S) -> float:
    """Return how many cores other users' processes keep busy, counted over a moment."""
    before = _read_others()
    time.sleep(period_s)
    after = _read_others()
    used_s = sum(cpu_s - before[pid] for pid, cpu_s in after.items() if pid in before)
    return max(0.0, used_s / period_s)


def describe_busy_cores(cores: int) -> str | None:
    """Say how many of this process's cores others use; None where that is not worth a word.

    Args:
        cores: How many cores trainings would have.
    """
    if os.getloadavg()[0] < WORTH_TELLING_CORES:
        return None
    busy = count_busy_cores()
    if busy < WORTH_TELLING_CORES:
        return None
    return (
        f"other users' programs keep {busy:.1f} cores of this machine busy, where {cores} would train: trainings take "
        "longer while they do; fewer slots (--slots) leave room"
    )


def _read_others() -> dict[int, float]:
    """Return the processor time of every process that another user has."""
    found: dict[int, float] = {}
    for pid in list_pids():
        with contextlib.suppress(OSError):
            if (PROC / str(pid)).stat().st_uid != os.getuid() and (cpu_s := read_cpu_s(pid)) is not None:
                found[pid] = cpu_s
    return found


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
