"""Starts our own processes: detached, without a pipe to whoever started them, immune to stray modules."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.study.opening import open_to_append


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
