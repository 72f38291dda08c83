"""Has processes train side by side for a moment, to see how many a device carries.

Only they import torch; the process that starts them uses no device.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO

from engine.dispatch.children import command
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


def answer_request() -> int:
    """Answer the `RaceRequest` on standard input on standard output."""
    request = decode_message(sys.stdin.read(), RaceRequest)
    sys.stdout.write(encode_message(RaceAnswer(trials=race(request.rival, request.counts))))
    return 0


def race(request: RivalRequest, counts: Sequence[int]) -> tuple[tuple[int, float], ...]:
    """Let 1, 2, … processes train the same recipe at once on the device that this process sees.

    Args:
        request: What each of them reads first; see `side_by_side`.
        counts: How many at once, in growing order.

    Returns:
        Each count that all processes survived, with the epochs per second of all processes together. An epoch of a
        pack counts once for each of its runs.
    """
    with ExitStack() as stack:
        rivals = [stack.enter_context(_start()) for _ in range(max(counts))]
        for rival in rivals:
            stack.callback(rival.kill)
            _tell(rival.stdin, request)
        ready = [rival for rival in rivals if _hear(rival.stdout, Ready) is not None]
        trials: list[tuple[int, float]] = []
        for count in counts:
            if count > len(ready):
                break
            for rival in ready[:count]:
                _tell(rival.stdin, Go())
            answers = [_hear(rival.stdout, RivalTime) for rival in ready[:count]]
            times = [answer.seconds for answer in answers if answer is not None]
            if len(times) < count:
                break
            trials.append((count, sum(1.0 / seconds for seconds in times)))
    return tuple(trials)


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
