"""The loop by itself, around a task that notes what it is asked: runs that end early, saving, and shares of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.recipe import BitChange, Onset, Recipe
from engine.study.epochs import EpochRecord
from engine.training.checkpoint import Checkpoint, CheckpointPolicy
from engine.training.loop import train_task
from engine.training.random.bit_change import BitRecord
from engine.training.stopping import Stopped, StopRequest, never

NAN = math.nan


@dataclass(frozen=True)
class FakeEvaluation:
    accuracy: float
    cross_entropy: float = 1.0
    perplexity: float | None = None
    is_finite: bool = True

    def to_array(self) -> np.ndarray:
        return np.array([self.accuracy])


@dataclass
class FakeTask:
    """Has the losses that it is given, by epoch and replica; weights and predictions are the last epoch's number."""

    losses: list[list[float]]
    bits: list[BitRecord | None] = field(default_factory=lambda: [None] * 3)
    replicas: int = 3
    epoch: int = 0
    kept: list[list[bool]] = field(default_factory=list)
    finished: list[tuple[int, int, bool]] = field(default_factory=list)
    started: list[int] = field(default_factory=list)
    ended: dict[int, Exception] = field(default_factory=dict)

    def train_epoch(self, epoch: int, should_stop: StopRequest = never) -> list[float]:
        if should_stop():
            raise Stopped
        self.epoch = epoch
        return self.losses[epoch - 1]

    def evaluate(self, epoch: int) -> list[FakeEvaluation]:
        return [FakeEvaluation(float(epoch)) for _ in range(self.replicas)]

    def keep(self, epoch: int, evaluations: Sequence[FakeEvaluation | None]) -> None:
        self.kept.append([evaluation is not None for evaluation in evaluations])

    def finish(self, replica: int, epoch: int, evaluation: FakeEvaluation, *, diverged: bool) -> FakeEvaluation:
        self.finished.append((replica, epoch, diverged))
        return evaluation

    def last_rate(self, epoch: int) -> float:
        return 0.1 * epoch

    def weights(self, replica: int) -> dict[str, Tensor]:
        return {"epoch": torch.tensor(self.epoch)}

    def digests(self) -> list[str]:
        return [f"{replica} after {self.epoch}" for replica in range(self.replicas)]

    def capture(self, replica: int, *, epoch: int, seconds: float) -> Checkpoint:
        return Checkpoint(epoch=epoch, seconds=seconds, model={"replica": torch.tensor(replica)}, optimiser={})

    def restore(self, starts: Sequence[Checkpoint]) -> None:
        self.started = [start.epoch for start in starts]

    def count_steps(self) -> int:
        return 1

    def evaluate_part(self) -> float:
        return 1.0


class Collecting(CheckpointPolicy):
    """Keeps what would be saved."""

    def __init__(self, *, every_s: float = 0.0) -> None:
        super().__init__(path=Path("/nonexistent"), every_s=every_s, recipe_id="")
        self.saved: list[tuple[int, int]] = []

    def save(self, checkpoint: Checkpoint) -> None:
        self.saved.append((checkpoint.epoch, int(checkpoint.model["replica"])))


def with_epochs(base: Recipe, epochs: int) -> Recipe:
    return replace(base, train=replace(base.train, epochs=epochs))


def test_run_that_diverges_ends_alone_and_stays_out(base: Recipe) -> None:
    """Its replica goes on beside the others, and may come to finite numbers again."""
    task = FakeTask([[1.0, 1.0, 1.0], [1.0, NAN, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    records: list[tuple[int, int]] = []
    policies = [Collecting() for _ in range(3)]
    outcomes = train_task(
        task,
        [with_epochs(base, 4)] * 3,
        on_epoch=lambda run, record: records.append((run, record.epoch)),
        checkpoints=policies,
    )
    assert [outcome.epochs for outcome in outcomes] == [4, 2, 4]
    assert [outcome.diverged_epoch for outcome in outcomes] == [None, 2, None]
    assert [int(outcome.state["epoch"]) for outcome in outcomes] == [4, 2, 4], "weights are those of its own end"
    assert task.kept == [[True] * 3, *[[True, False, True]] * 3]
    assert [epoch for run, epoch in records if run == 1] == [1, 2]
    assert [policy.saved for policy in policies] == [[(1, 0), (2, 0), (3, 0)], [(1, 1)], [(1, 2), (2, 2), (3, 2)]]
    assert task.finished == [(1, 2, True), (0, 4, False), (2, 4, False)]


def test_training_ends_once_every_run_has_diverged(base: Recipe) -> None:
    """The replica that fills up the pack has no say."""
    task = FakeTask([[NAN, 1.0, 1.0], [1.0, NAN, 1.0]])
    outcomes = train_task(task, [with_epochs(base, 9)] * 2)
    assert [outcome.diverged_epoch for outcome in outcomes] == [1, 2]


def test_runs_are_saved_together(base: Recipe) -> None:
    """One that is due takes the others with it: only runs at the same epoch go on together."""
    policies = [Collecting(every_s=1e9), Collecting(), Collecting(every_s=1e9)]
    train_task(FakeTask([[1.0] * 3] * 2), [with_epochs(base, 2)] * 3, checkpoints=policies)
    assert [policy.saved for policy in policies] == [[(1, 0)], [(1, 1)], [(1, 2)]]


def test_beginning_is_left_at_the_onset_and_nothing_is_saved_once_a_bit_has_moved(base: Recipe) -> None:
    recipe = with_epochs(base, 5)
    late = replace(recipe, bit=BitChange(seed=2), onset=Onset(epoch=3, seeds=recipe.seeds, lowlevel="order"))
    own, fork = Collecting(), Collecting()
    train_task(FakeTask([[1.0]] * 5, replicas=1), [late], checkpoints=[own], forks=[fork])
    assert own.saved == [(1, 0), (2, 0), (3, 0)]
    assert fork.saved == [(3, 0)]


@pytest.mark.parametrize("runs", [1, 3])
def test_runs_share_the_time_and_go_on_counting_it(base: Recipe, runs: int) -> None:
    task, records = FakeTask([[1.0] * runs] * 4, replicas=runs), []
    starts = [Checkpoint(epoch=2, seconds=100.0, model={}, optimiser={})] * runs
    moments = iter([10.0, 16.0, 20.0, 23.0])

    def note(run: int, record: EpochRecord) -> None:
        records.append((record.epoch, run, record.seconds))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.training.loop.time.perf_counter", lambda: next(moments))
        outcomes = train_task(task, [with_epochs(base, 4)] * runs, on_epoch=note, starts=starts)
    assert task.started == [2] * runs
    assert records == [(epoch, run, s / runs) for epoch, s in ((3, 6.0), (4, 3.0)) for run in range(runs)]
    assert {outcome.seconds for outcome in outcomes} == {100.0 + 6.0 / runs + 3.0 / runs}


@pytest.mark.parametrize("begun", [0, 1])
def test_epochs_hold_digests_and_the_first_one_those_of_the_start(base: Recipe, begun: int) -> None:
    records: list[tuple[int, EpochRecord]] = []
    starts = [Checkpoint(epoch=1, seconds=0.0, model={}, optimiser={})] * 2 if begun else []
    task = FakeTask([[1.0] * 2] * 2, replicas=2)
    train_task(task, [with_epochs(base, 2)] * 2, on_epoch=lambda *one: records.append(one), starts=starts)
    said = [(run, record.epoch, record.start, record.weights) for run, record in records]
    wanted = [(run, k, f"{run} after 0" if k == 1 else None, f"{run} after {k}") for k in (1, 2) for run in (0, 1)]
    assert said == [one for one in wanted if one[1] > begun]
