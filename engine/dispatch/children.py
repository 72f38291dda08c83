"""Starts our own processes: detached, without a pipe to whoever started them, immune to stray modules."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.study.opening import open_to_append


def stop_group(process: subprocess.Popen[Any], *, at_once: bool) -> None:
    """Ask a process that leads its group, and the others of the group, to end; with `at_once` kill them."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL if at_once else signal.SIGTERM)


def poll_group(process: subprocess.Popen[Any]) -> int | None:
    """Return the exit status of a process that leads its group, None while it runs; what it left behind is killed.

    The group's number is the process's own, which is nobody else's until its status is taken.
    """
    if process.returncode is None:
        try:
            ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return process.poll()
        if ended is None:
            return None
        stop_group(process, at_once=True)
    return process.poll()


def command(module: str, *arguments: str) -> list[str]:
    """Return the command line of one of the engine's processes.

    -P keeps the current folder off the path: a folder named engine in the user's working directory would
    otherwise hide ours.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def start_detached(
    arguments: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one, its terminal and its session.

    Args:
        arguments: The command line.
        log: File that its output is appended to.
        environment: Variables that it gets on top of this process's.
    """
    with os.fdopen(open_to_append(log), "ab") as output:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env=dict(os.environ) | dict(environment or {}) | {"PYTHONUNBUFFERED": "1"},
        )
