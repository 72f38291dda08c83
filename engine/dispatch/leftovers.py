"""Ends what a worker or a job left behind, also where that has left its process group.

A user's code may start programs that make a session of their own. All that a worker starts inherits a mark in its
environment, by which it is found when the worker has ended, however that happened.
"""

from __future__ import annotations

import contextlib
import os
import signal
import uuid

from engine.study.processes import PROC, list_pids

VARIABLE = "NONDET_WORKER"
"""The environment variable that holds the mark."""


def make_mark() -> str:
    """Return a mark that no other process has."""
    return uuid.uuid4().hex


def end_leftovers(mark: str) -> int:
    """Kill all processes of this user with a mark, and return how many there were.

    One that has emptied its environment is not found.
    """
    entry = f"{VARIABLE}={mark}".encode()
    return sum(_end(pid, entry) for pid in list_pids() if pid != os.getpid())


def _end(pid: int, entry: bytes) -> bool:
    """Kill a process if its environment has an entry; the number cannot become another's between look and signal."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if entry not in (PROC / str(pid) / "environ").read_bytes().split(b"\0"):
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        return True
    except OSError:  # another user's, or one that has just ended
        return False
    finally:
        os.close(handle)
