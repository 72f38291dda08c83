"""The timer, on a clock of its own: steps of known length give the epoch's length, slow ones too."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch

from engine.training.stopping import Stopped
from engine.training.trials.timer import time_epoch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize("timed_s", [0.5, 1.0])
@pytest.mark.parametrize("step_s", [0.001, 0.4, 0.6, 1.2, 7.0])
@pytest.mark.parametrize("steps", [1, 2, 10])
def test_epoch_is_as_long_as_its_steps_and_its_evaluation(
    clock: list[float], step_s: float, steps: int, timed_s: float
) -> None:
    taken = []

    def train(stop: Callable[[], bool]) -> None:
        for step in range(steps):
            if stop():
                raise Stopped
            clock[0] += step_s
            taken.append(step)

    def evaluate_part() -> float:
        clock[0] += 0.3
        return 0.25

    found = time_epoch(train, evaluate_part, steps=steps, device=torch.device("cpu"), timed_s=timed_s)
    assert found == pytest.approx(steps * step_s + 1.2)
    assert len(taken) == steps or (len(taken) - 1) * step_s <= timed_s, "no longer than it has to"
