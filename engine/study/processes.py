"""Identity of processes across hosts and reboots: who holds something, and whether that process still lives.

A bare pid is reused within hours; host, boot, pid namespace and start time together are not. Linux only.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Owner:
    """One process, told apart from every other of every host and boot."""

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    start_ticks: int
    """Clock ticks between boot and the start of the process, field 22 of /proc/PID/stat."""


def current_owner() -> Owner:
    """Return the identity of the calling process."""
    pid = os.getpid()
    start_ticks = _start_ticks(pid)
    assert start_ticks is not None, "a process sees itself in /proc"
    return Owner(socket.gethostname(), _boot_id(), _pid_namespace(), pid, start_ticks)


def is_alive(owner: Owner) -> bool | None:
    """Tell whether a process still runs; None where it is on another host or in another container."""
    if owner.host != socket.gethostname():
        return None
    if owner.boot_id != _boot_id():
        return False
    if owner.pid_namespace != _pid_namespace():
        return None
    return _start_ticks(owner.pid) == owner.start_ticks


def _boot_id() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _pid_namespace() -> str:
    return str((PROC / "self/ns/pid").readlink())


def _start_ticks(pid: int) -> int | None:
    """Return the start time of a process; None where there is none or only its exit status is left (a zombie)."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the command in parentheses, may itself hold blanks and parentheses.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])
