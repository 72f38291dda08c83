"""Onsets and snapshot ensembles: a fork is the run trained from scratch; the mean of cycle ends is the prediction."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.recipe import BitChange, Onset, Recipe, TrainRecipe
from engine.study.epochs import EpochRecord, append_epoch
from engine.study.paths import RunPaths, StudyPaths
from engine.training.checkpoint import Checkpoint, CheckpointPolicy, load_checkpoint
from engine.training.data.datasets import Dataset
from engine.training.loop import Outcome
from engine.training.optimiser import learning_rate
from engine.training.resumption import find_start, make_fork
from engine.training.stopping import Stopped
from engine.training.weights import array_bytes, weights_bytes

Train = Callable[..., Outcome]


def late(base: Recipe, source: str, onset: int, seed: int = 2) -> Recipe:
    recipe = replace(base, train=replace(base.train, epochs=5))
    begun = Onset(epoch=onset, seeds=recipe.seeds, lowlevel=recipe.lowlevel)
    if source == "bit":
        return replace(recipe, bit=BitChange(seed=seed), onset=begun)
    return replace(recipe, seeds=replace(recipe.seeds, **{source: seed}), onset=begun)


def same(one: Outcome, other: Outcome) -> bool:
    equal_weights = weights_bytes(one.state) == weights_bytes(other.state)
    return equal_weights and array_bytes(one.predictions) == array_bytes(other.predictions)


@pytest.fixture
def study(tmp_path: Path) -> StudyPaths:
    return StudyPaths(tmp_path / "study")


def train_in(study: StudyPaths, recipe: Recipe, train: Train, **arguments: Any) -> tuple[Outcome, int]:
    """As a worker does: from whatever there is to go on from. Also the number of epochs that were trained."""
    run = RunPaths(study.runs / recipe.id)
    attempt = run.attempt(len(run.list_attempts()) + 1)
    attempt.folder.mkdir(parents=True)
    start = find_start(study, run, attempt, recipe)
    fork = make_fork(study, attempt, recipe)
    trained: list[EpochRecord] = []

    def note(record: EpochRecord) -> None:
        trained.append(record)
        append_epoch(attempt.epochs, record)

    return train(recipe, on_epoch=note, start=start, fork=fork, **arguments), len(trained)


@pytest.mark.slow
@pytest.mark.parametrize("onset", [1, 2, 4])
@pytest.mark.parametrize("source", ["shuffle", "augment", "lowlevel", "bit"])
def test_forked_run_equals_the_same_run_from_scratch(
    source: str, onset: int, base: Recipe, train: Train, study: StudyPaths
) -> None:
    one, other = (late(base, source, onset, seed) for seed in (2, 3))
    _, first = train_in(study, one, train)
    forked, rest = train_in(study, other, train)
    assert (first, rest) == (5, 5 - onset), "the common beginning is trained once"
    scratch = train(other)
    assert same(forked, scratch)
    assert forked.bit == scratch.bit
    assert not same(forked, train(one))


def test_later_onset_goes_on_from_an_earlier_one(base: Recipe, train: Train, study: StudyPaths) -> None:
    train_in(study, late(base, "shuffle", 1), train)
    outcome, trained = train_in(study, late(base, "shuffle", 3), train)
    assert trained == 4
    assert same(outcome, train(late(base, "shuffle", 3)))
    _, again = train_in(study, late(base, "bit", 3), train)
    assert again == 2


def test_common_beginning_is_the_unvaried_run(base: Recipe, train: Train) -> None:
    """With base seeds after the onset too, an onset changes nothing."""
    plain = replace(base, train=replace(base.train, epochs=5))
    assert same(train(late(base, "shuffle", 2, seed=1)), train(plain))


def test_damaged_fork_is_not_used(base: Recipe, train: Train, study: StudyPaths) -> None:
    one, other = (late(base, "shuffle", 2, seed) for seed in (2, 3))
    train_in(study, one, train)
    path = study.fork(one.prefix.id, 2).checkpoint
    path.write_bytes(path.read_bytes()[:-100])
    outcome, trained = train_in(study, other, train)
    assert trained == 5
    assert same(outcome, train(other))


def test_interrupted_run_with_a_moved_bit_keeps_its_record(base: Recipe, train: Train, study: StudyPaths) -> None:
    recipe = late(base, "bit", 2)
    run = RunPaths(study.runs / recipe.id)
    calls = iter(range(1000))
    policy = CheckpointPolicy(path=run.attempt(1).checkpoint, every_s=0.0, recipe_id=recipe.id)
    with pytest.raises(Stopped):
        train_in(study, recipe, train, checkpoints=policy, should_stop=lambda: next(calls) > 10)
    outcome, _ = train_in(study, recipe, train)
    assert same(outcome, train(recipe))
    assert outcome.bit == train(recipe).bit is not None


SNAPSHOT = TrainRecipe(epochs=6, batch_size=40, lr=0.5, warmup_epochs=1, schedule="snapshot", cycles=3)


def test_snapshot_runs_predict_with_the_mean_of_their_cycle_ends(base: Recipe, train: Train, data: Dataset) -> None:
    recipe = replace(base, train=SNAPSHOT)
    accuracies: list[float] = []
    seen: list[dict[str, torch.Tensor]] = []
    outcome = train(recipe, on_epoch=lambda r: accuracies.append(r.test_accuracy), checkpoints=_Collect(seen))
    assert [int(members["count"]) if members else 0 for members in seen] == [0, 1, 1, 2, 2]
    members = seen[-1]
    third = 3 * outcome.predictions.astype(np.float64) - members["total"].numpy()
    labels = data.test_labels.numpy()
    assert 100.0 * np.mean(third.argmax(1) == labels) == pytest.approx(accuracies[-1], abs=0.2)
    assert outcome.test_accuracy == 100.0 * np.mean(outcome.predictions.argmax(1) == labels)


class _Collect:
    """Takes the place of a checkpoint policy, to look at what would be saved."""

    def __init__(self, seen: list[dict[str, torch.Tensor]]) -> None:
        self.seen = seen

    def is_due(self) -> bool:
        return True

    def save(self, checkpoint: Checkpoint) -> None:
        self.seen.append({name: tensor.clone() for name, tensor in checkpoint.extra.items()})


@pytest.mark.parametrize("stop_after", [1, 2, 3, 5])
def test_continued_snapshot_run_equals_an_uninterrupted_one(
    base: Recipe, train: Train, tmp_path: Path, stop_after: int
) -> None:
    recipe = replace(base, train=SNAPSHOT)
    whole, path, records = train(recipe), tmp_path / "c.safetensors", []
    policy = CheckpointPolicy(path=path, every_s=0.0, recipe_id=recipe.id)
    with pytest.raises(Stopped):
        train(recipe, on_epoch=records.append, checkpoints=policy, should_stop=lambda: len(records) >= stop_after)
    assert same(whole, train(recipe, start=load_checkpoint(path, recipe_id=recipe.id)))


def published_snapshot(step: int, *, top: float, epochs: int, cycles: int, warmup: float, steps: int) -> float:
    """The published `snapshot5` schedule: every cycle with its own warm-up and cosine."""
    length = epochs // cycles
    cur_epoch = (step % (length * steps)) / steps
    if cur_epoch <= warmup:
        return top * cur_epoch / warmup
    return 0.5 * top * (1 + math.cos(cur_epoch / length * math.pi))


STEPS = [0, 1, 50, 97, 98, 294, 295, 1000, 4900, 9_700, 9_799, 9_800, 9_801, 10_094, 10_095, 19_599, 19_600, 30_000]


@pytest.mark.parametrize("step", [*STEPS, 48_999, 39_200])
def test_learning_rate_of_the_snapshot_schedule(step: int) -> None:
    train = TrainRecipe(epochs=500, batch_size=512, schedule="snapshot", cycles=5)
    expected = published_snapshot(step, top=0.4, epochs=500, cycles=5, warmup=3, steps=98)
    assert learning_rate(step, 98, train) == pytest.approx(expected, rel=1e-12, abs=1e-15)
    if step % 9_800 == 9_799:
        assert learning_rate(step, 98, train) <= 1e-7, "as the published code asserts at every cycle's end"
