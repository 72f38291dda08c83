"""Has processes train side by side for a moment, to see how many a device carries.

Only they import torch; the process that starts them uses no device.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO

from engine.dispatch.children import command
from engine.dispatch.jobs import EXIT_NO_ROOM
from engine.tuning.messages import (
    Go,
    M,
    Message,
    RaceAnswer,
    RaceRequest,
    Ready,
    RivalRequest,
    RivalTime,
    decode_message,
    encode_message,
)

WAIT_S = 1.0
"""How long a process that has closed its pipe may take to end."""


def answer_request() -> int:
    """Answer the `RaceRequest` on standard input on standard output."""
    request = decode_message(sys.stdin.read(), RaceRequest)
    sys.stdout.write(encode_message(race(request.rival, request.counts)))
    return 0


def race(request: RivalRequest, counts: Sequence[int]) -> RaceAnswer:
    """Let 1, 2, … processes train the same recipe at once on the device that this process sees.

    Only as many are started as the next count needs: too many at once would take the memory of those that fit.

    Args:
        request: What each of them reads first; see `side_by_side`.
        counts: How many at once, in growing order.

    Returns:
        Each count that all processes survived, with the epochs per second of all processes together, and which count
        was too many. An epoch of a pack counts once for each of its runs.
    """
    rivals: list[subprocess.Popen[str]] = []
    trials: list[tuple[int, float]] = []
    with ExitStack() as stack:
        for count in counts:
            started = [stack.enter_context(_start()) for _ in range(count - len(rivals))]
            rivals += started
            for rival in started:
                stack.callback(rival.kill)
                _tell(rival.stdin, request)
            ready = [_hear(rival.stdout, Ready) for rival in started]
            times = [] if None in ready else _take_times(rivals)
            if len(times) < count:
                return RaceAnswer(trials=tuple(trials), limit=_describe_limit(rivals))
            trials.append((count, sum(1.0 / seconds for seconds in times)))
    return RaceAnswer(trials=tuple(trials))


def _take_times(rivals: Sequence[subprocess.Popen[str]]) -> list[float]:
    """Let all rivals train at once; return the times of those that survived it."""
    for rival in rivals:
        _tell(rival.stdin, Go())
    answers = [_hear(rival.stdout, RivalTime) for rival in rivals]
    return [answer.seconds for answer in answers if answer is not None]


def _describe_limit(rivals: Sequence[subprocess.Popen[str]]) -> str:
    """Say how many processes were too many, and how the first of those ended that did; they have closed their pipes."""
    deadline = time.monotonic() + WAIT_S
    while not (statuses := [rival.returncode for rival in rivals if rival.poll() is not None]):
        if time.monotonic() > deadline:
            break
        time.sleep(WAIT_S / 100)
    no_room = EXIT_NO_ROOM in statuses
    how = (
        "not fit into memory" if no_room else f"not survive, one ended with {statuses[0]}" if statuses else "not answer"
    )
    return f"{len(rivals)} side by side did {how}"


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("engine.training", "rival"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
        cwd="/",
    )


def _tell(pipe: IO[str] | None, message: Message) -> None:
    assert pipe is not None, "the process was started with pipes"
    try:
        pipe.write(encode_message(message) + "\n")
        pipe.flush()
    except BrokenPipeError:  # its answer will be missing
        return


def _hear(pipe: IO[str] | None, message_type: type[M]) -> M | None:
    """Return an answer; None where the process has ended."""
    assert pipe is not None, "the process was started with pipes"
    line = pipe.readline()
    return decode_message(line, message_type) if line else None
