"""Stands between a worker and a user's program: whatever ends the worker, nothing that the program started is left.

The keeper is a process of its own, in a session of its own, so that a signal to the worker's group does not reach it.
It starts the program in another session and becomes the parent of all that the program leaves behind. On standard input
it reads the program's environment as a line of JSON, then one letter per request; on standard output it writes one line
per event. When its input ends, its worker has ended, and it kills everything at once. Were it killed itself, the kernel
kills the program, and the worker, which becomes the parent of the rest, kills that.

    python -P -m engine.training.commands.keeper FOLDER WORD…
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time

from engine.study.processes import end_with_parent
from engine.training.isolation import adopt_orphans, kill_children

GRACE_S = 10.0
"""Time between asking a program to end and killing it."""

PERIOD_S = 0.05

END, HALT, GO_ON, CUT = b"t", b"s", b"c", b"k"
"""Requests: to end the program, to halt it, to let it go on, to kill it without warning."""


def main() -> int:
    """Start the program, follow requests, and say how it ended: "pid N", then "exit STATUS" or "fault REASON"."""
    folder, words = sys.argv[1], sys.argv[2:]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    adopt_orphans()
    try:
        program = subprocess.Popen(
            words,
            cwd=folder,
            env=_read_environment(),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),  # the attempt's log
            stderr=sys.stderr.fileno(),
            start_new_session=True,
            preexec_fn=_prepare,  # noqa: PLW1509 - the keeper has no threads
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        _say(f"fault {words[0]}: {reason}")
        return 0
    _say(f"pid {program.pid}")
    try:
        status = _follow(program)
    finally:
        _kill(program)
    if status is not None:
        _say(f"exit {status}")
    return 0


def _read_environment() -> dict[str, str]:
    content = b""
    while not content.endswith(b"\n") and (byte := os.read(0, 1)):
        content += byte
    return json.loads(content)


def _prepare() -> None:
    """Make the program end with the keeper, with the signals that a program expects."""
    end_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _follow(program: subprocess.Popen[bytes]) -> int | None:
    """Return the program's exit status, below 0 for a signal; None where the worker has ended."""
    deadline: float | None = None
    while True:
        ended = os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is not None:
            _signal(program, signal.SIGKILL)  # its number is nobody else's until its status is taken
            return program.wait()
        if deadline is not None and time.monotonic() > deadline:
            _signal(program, signal.SIGKILL)
        if not select.select([0], [], [], PERIOD_S)[0]:
            continue
        request = os.read(0, 1)
        if not request:
            return None
        if request == END and deadline is None:
            deadline = time.monotonic() + GRACE_S
            _signal(program, signal.SIGTERM)
            _signal(program, signal.SIGCONT)
        elif request == CUT:
            _signal(program, signal.SIGKILL)
        elif request in (HALT, GO_ON):
            _signal(program, signal.SIGSTOP if request == HALT else signal.SIGCONT)


def _signal(program: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, number)


def _kill(program: subprocess.Popen[bytes]) -> None:
    """Kill the program's group where it is still there, and all that has left it."""
    if program.returncode is None:
        _signal(program, signal.SIGKILL)
        program.wait()
    kill_children()


def _say(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(1, f"{text}\n".encode(errors="surrogateescape"))


if __name__ == "__main__":
    sys.exit(main())
