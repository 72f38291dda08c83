"""Training processes that train side by side for a moment, to see how many a device carries."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO, Any

import msgspec

from engine.dispatch.children import command
from engine.dispatch.devices import choose_devices, make_slots
from engine.dispatch.launch import data_root, search_path
from engine.protocol.definition import Protocol
from engine.recipe import Recipe


def race(protocol: Protocol, recipe: Recipe, counts: Sequence[int]) -> list[tuple[int, float]]:
    """Have 1, 2, … processes train the same recipe at once on one device.

    Args:
        protocol: Where the data and the user's modules are.
        recipe: What is trained.
        counts: How many at once, in growing order.

    Returns:
        For each count that all processes survived the epochs per second of all of them, counted as runs.
    """
    slots = make_slots(choose_devices(protocol.dispatch.devices)[:1], max(counts))
    request = {
        "recipe": msgspec.to_builtins(recipe),
        "root": str(data_root(protocol)),
        "search_path": [str(folder) for folder in search_path(protocol)],
        "graphs": protocol.dispatch.graphs,
    }
    with ExitStack() as stack:
        rivals = [stack.enter_context(_start(slot.environment)) for slot in slots]
        for rival in rivals:
            _tell(rival.stdin, request)
        for rival in rivals:
            stack.callback(rival.kill)
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


def _start(environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("engine.training", "rival"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
        env=dict(os.environ) | environment,
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
    """An answer; None where the process has ended."""
    assert pipe is not None, "the process was started with pipes"
    line = pipe.readline()
    return json.loads(line) if line else None
