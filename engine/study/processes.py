"""Identity of processes across hosts and reboots: who holds something, and whether that process still lives.

A bare pid is reused within hours; host, boot, pid namespace and start time together are not. Linux only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROC = Path("/proc")

PR_SET_PDEATHSIG = 1
"""A constant of <linux/prctl.h>: the signal that a process gets when its parent ends."""

INITIAL_NAMESPACE = "pid:[4026531836]"
"""The pid namespace of every machine outside of containers: PROC_PID_INIT_INO of the kernel's <linux/proc_ns.h>."""


@dataclass(frozen=True)
class Usage:
    """Says what the processes of a group have used so far."""

    cpu_s: float = 0.0
    moved_bytes: int = 0
    """Read and written, as far as that may be asked."""
    stopped: bool = False
    """Whether its leader is halted by a signal."""


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
    return Owner(socket.gethostname(), read_boot_id(), _pid_namespace(), pid, start_ticks)


def is_alive(owner: Owner) -> bool | None:
    """Tell whether a process still runs; None where it cannot be asked.

    That is so on another host and in another container, also one of the same name, and where /proc hides other
    users' processes.
    """
    if owner.host != socket.gethostname():
        return None
    if owner.boot_id != read_boot_id():
        # Containers of one name on two machines look the same; a machine's own processes ended when it was started.
        return False if owner.pid_namespace == _pid_namespace() == INITIAL_NAMESPACE else None
    if owner.pid_namespace != _pid_namespace():
        return None
    found = _start_ticks(owner.pid)
    if found is None and _is_hidden(owner.pid):
        return None
    return found == owner.start_ticks


def end_with_parent() -> None:
    """Ask the kernel to kill this process as soon as the one that started it ends: nobody else waits for it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_stopped(owner: Owner) -> bool:
    """Tell whether a process of this machine is there and halted by a signal, so that it does nothing at all."""
    return is_alive(owner) is True and (_read_stat(owner.pid) or "?")[0] in "Tt"


def end_process(owner: Owner, *, at_once: bool = False) -> bool:
    """Ask a process, and whatever it started in its session, to end; with `at_once` kill them.

    Nothing is sent where its identity does not hold any more: its number may be another's by now.

    Returns:
        Whether the signal was sent.
    """
    if is_alive(owner) is not True or owner.pid == os.getpid():
        return False
    number = signal.SIGKILL if at_once else signal.SIGTERM
    try:
        group = os.getpgid(owner.pid)
        # A session of its own is what a detached process has: all in it was started by that process.
        if group == os.getsid(owner.pid) and group != os.getpgrp():
            os.killpg(group, number)
            if not at_once:
                os.killpg(group, signal.SIGCONT)  # a halted process would never see the request
        else:
            os.kill(owner.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def list_children(pid: int) -> list[int]:
    """Return the children of a process of this machine, those included that have ended and were not asked how."""
    try:
        return [int(child) for child in (PROC / f"{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # a kernel without that file
        return [child for child in list_pids() if (_read_stat(child) or ("", ""))[1] == str(pid)]


def list_pids() -> list[int]:
    """Return the numbers of all processes that this one may see."""
    return [int(name) for name in os.listdir(PROC) if name.isascii() and name.isdigit()]


def read_cpu_s(pid: int) -> float | None:
    """Return the processor time that a process has used so far; None where it has ended, or there is none."""
    fields = _read_stat(pid)
    return None if fields is None or fields[0] in "ZX" else sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def read_group_usage(group: int) -> Usage:
    """Add up what the processes of a group of this machine have used."""
    ticks = moved = 0
    stopped = False
    for pid in list_pids():
        fields = _read_stat(pid)
        if fields is None or int(fields[2]) != group:
            continue
        ticks += sum(map(int, fields[11:15]))
        moved += _read_moved_bytes(pid)
        stopped = stopped or (pid == group and fields[0] in "Tt")
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), moved, stopped)


def _read_moved_bytes(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "io").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines[:2])


@cache
def read_boot_id() -> str:
    """Return what tells this start of the machine apart from every other."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _pid_namespace() -> str:
    return str((PROC / "self/ns/pid").readlink())


def _is_hidden(pid: int) -> bool:
    """Tell whether there is a process that /proc does not show to this user."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return not (PROC / str(pid)).exists()
    except (OSError, OverflowError):
        return False
    return False


def _start_ticks(pid: int) -> int | None:
    """Return the start time of a process; None where there is none or only its exit status is left (a zombie)."""
    fields = _read_stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def _read_stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the process's state on; None where there is no such process."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The second field, the command in parentheses, may itself hold blanks and parentheses.
    return stat.rpartition(")")[2].split()
