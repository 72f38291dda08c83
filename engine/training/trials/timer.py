"""The one timer of training steps, for runs alone and in packs: what `check` estimates and `auto` compares."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from engine.training.stopping import Stopped, StopRequest

TIMED_S = 1.0
"""How long steps are timed for."""


def time_epoch(
    train: Callable[[StopRequest], object],
    evaluate_part: Callable[[], float],
    *,
    steps: int,
    device: torch.device,
    timed_s: float = TIMED_S,
) -> float:
    """Time an epoch and its evaluation, from as many steps as fit into some time and a part of the test set.

    Args:
        train: Trains an epoch; calls what it is given before each step, and raises Stopped where that says so.
        evaluate_part: Evaluates some test examples; returns their share of the test set.
        steps: The number of steps in an epoch.
        device: Where they are taken; on CUDA it is waited for.
        timed_s: How long to train for; at least one step is taken.

    Returns:
        Seconds.
    """
    asked, started = 0, time.perf_counter()

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1 and time.perf_counter() - started > timed_s

    taken = steps
    try:
        train(stop)
    except Stopped:
        taken = asked - 1  # the call that asks to stop precedes a step that is not taken
    _wait_for(device)
    seconds_per_step = (time.perf_counter() - started) / taken
    started = time.perf_counter()
    share = evaluate_part()
    _wait_for(device)
    return seconds_per_step * steps + (time.perf_counter() - started) / share


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
