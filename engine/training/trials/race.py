"""Has processes train side by side for a moment, to see how many a device carries.

Only they import torch; the process that starts them uses no device.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO, Any

from engine.dispatch.children import command


def answer_request() -> int:
    """Answer the request on standard input, in JSON, on standard output."""
    request = json.load(sys.stdin)
    json.dump({"trials": race(request["told"], request["counts"])}, sys.stdout)
    return 0


def race(told: dict[str, Any], counts: Sequence[int]) -> list[tuple[int, float]]:
    """Measure how fast 1, 2, … processes train the same recipe at once on the device that this process sees.

    Args:
        told: What each of them reads first; see `side_by_side`.
        counts: How many at once, in growing order.

    Returns:
        Each count that all processes survived, with the epochs per second of all processes together. An epoch of a
        pack counts once for each of its runs.
    """
    with ExitStack() as stack:
        rivals = [stack.enter_context(_start()) for _ in range(max(counts))]
        for rival in rivals:
            stack.callback(rival.kill)
            _tell(rival.stdin, told)
        ready = [rival for rival in rivals if _hear(rival.stdout) is not None]
        trials = []
        for count in counts:
            if count > len(ready):
                break
            for rival in ready[:count]:
                _tell(rival.stdin, "go")
            answers = [_hear(rival.stdout) for rival in ready[:count]]
            if None in answers:
                break
            trials.append((count, sum(1.0 / answer for answer in answers)))
    return trials


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


def _tell(pipe: IO[str] | None, message: Any) -> None:
    assert pipe is not None, "the process was started with pipes"
    try:
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()
    except BrokenPipeError:  # its answer will be missing
        return


def _hear(pipe: IO[str] | None) -> Any:
    """Return an answer; None where the process has ended."""
    assert pipe is not None, "the process was started with pipes"
    line = pipe.readline()
    return json.loads(line) if line else None
