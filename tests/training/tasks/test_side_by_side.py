"""Runs side by side on a CPU: the bits of runs alone, and each one's end is its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.errors import PerturbationError
from engine.recipe import BitChange, EvaluateRecipe, ModelRecipe, Onset, PackRecipe, Recipe
from engine.training.checkpoint import Checkpoint, CheckpointPolicy, load_checkpoint
from engine.training.data.batches import epoch_batches, send_epoch, take_batch
from engine.training.data.datasets import Dataset
from engine.training.loop import Outcome, train_runs
from engine.training.stopping import Leaving, Stopped
from engine.training.tasks.images import ImageTask
from engine.training.weights import array_bytes, weights_bytes

CPU = torch.device("cpu")

Train = Callable[..., Outcome]


def replicas(recipe: Recipe, **train: Any) -> list[Recipe]:
    """Two runs that differ in everything that may: weights, order, crops, noise, and the bit of the second."""
    recipe = replace(recipe, train=replace(recipe.train, **train))
    moved = replace(recipe, bit=BitChange(seed=1))
    seeds = replace(recipe.seeds, init=2, shuffle=3, augment=4, lowlevel=None if recipe.lowlevel != "order" else 5)
    return [
        replace(recipe, seeds=replace(recipe.seeds, stochastic=1)),
        replace(moved, seeds=replace(seeds, stochastic=2)),
    ]


def digest(outcome: Outcome) -> tuple[bytes, bytes]:
    return weights_bytes(outcome.state), array_bytes(outcome.predictions)


def late(recipes: Sequence[Recipe]) -> list[Recipe]:
    """The same runs with a common beginning of one epoch."""
    begun = Onset(epoch=1, seeds=recipes[0].seeds, lowlevel=recipes[0].lowlevel)
    return [replace(recipe, onset=begun) for recipe in recipes]


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": "adam", "lr": 0.01},
        {"clip_grad_norm": 0.5},
        {"precision": "bf16"},
        {"weight_noise": 0.05},
        {"averaging": "swa", "epochs": 4},
        {"averaging": "aswa", "epochs": 4},
        {"schedule": "snapshot", "cycles": 2, "warmup_epochs": 0.0},
    ],
    ids=str,
)
def test_runs_side_by_side_have_the_bits_of_runs_alone(
    settings: dict[str, Any], base: Recipe, data: Dataset, train: Train
) -> None:
    recipes = replicas(base, **settings)
    together = train_runs(recipes, data, device=CPU)
    assert [digest(one) for one in together] == [digest(train(recipe)) for recipe in recipes]


@pytest.mark.slow
def test_onset_and_views_have_the_bits_of_runs_alone(base: Recipe, data: Dataset, train: Train) -> None:
    recipes = [replace(one, evaluate=EvaluateRecipe(flip=True, crops=9)) for one in late(replicas(base))]
    together = train_runs(recipes, data, device=CPU)
    assert [digest(one) for one in together] == [digest(train(recipe)) for recipe in recipes]
    assert together[1].bit is not None


@pytest.mark.parametrize("mode", ["none", "flip", "crop", "crop-flip"])
@pytest.mark.parametrize("sample", [None, "bootstrap"])
def test_batches_from_a_table_are_those_made_in_memory(
    mode: str, sample: str | None, base: Recipe, data: Dataset
) -> None:
    settings = replace(base.data, augment=mode, sample=sample)
    recipe = replace(base, data=settings, seeds=replace(base.seeds, sample=1))
    table = send_epoch(recipe, data, 2)
    made = list(epoch_batches(recipe, data, 2))
    assert table.steps == len(made) == 3
    for step, wanted in enumerate(made):
        batch = take_batch(recipe, data, table.columns_of(step))
        assert torch.equal(batch.inputs, wanted.inputs)
        assert torch.equal(batch.labels, wanted.labels)
        assert torch.equal(batch.examples, wanted.examples)


def test_runs_go_on_side_by_side_as_if_never_stopped(base: Recipe, data: Dataset, tmp_path: Path, train: Train) -> None:
    recipes = replicas(base)
    policies = [CheckpointPolicy(path=tmp_path / one.id, every_s=0.0, recipe_id=one.id) for one in recipes]
    seen: list[int] = []
    with pytest.raises(Stopped):
        train_runs(
            recipes,
            data,
            device=CPU,
            checkpoints=policies,
            on_epoch=lambda run, record: seen.append(record.epoch),
            should_stop=lambda: bool(seen),
        )
    starts = [load_checkpoint(policy.path, recipe_id=policy.recipe_id) for policy in policies]
    again = train_runs(recipes, data, device=CPU, starts=[start for start in starts if start is not None])
    assert [digest(one) for one in again] == [digest(train(recipe)) for recipe in recipes]


@pytest.mark.parametrize("sketches", [0, 2])
def test_one_that_fails_takes_no_other_with_it(base: Recipe, data: Dataset, train: Train, sketches: int) -> None:
    """Its own bit cannot be moved: the biases of the last layer are zero."""
    model = ModelRecipe(preset="linear")
    good, bad = replicas(replace(base, model=model))
    wrong = replace(bad, bit=BitChange(seed=1, parameter="1.bias"))
    told: list[tuple[int, Exception]] = []
    (left,) = train_runs(
        [wrong, good],
        data,
        device=CPU,
        sketches=sketches,
        leaving=Leaving(lambda run, error: told.append((run, error))),
    )
    assert digest(left) == digest(train(good))
    ((run, error),) = told
    assert run == 0
    assert isinstance(error, PerturbationError)


@pytest.mark.parametrize("sketches", [0, 2])
def test_all_that_fail_are_told(base: Recipe, data: Dataset, sketches: int) -> None:
    model, told = ModelRecipe(preset="linear"), []
    wrong = [replace(one, model=model, bit=BitChange(seed=1, parameter="1.bias")) for one in replicas(base)]
    leaving = Leaving(lambda run, error: told.append(run))
    assert not train_runs(wrong, data, device=CPU, sketches=sketches, leaving=leaving)
    assert told == [0, 1]


def test_one_that_leaves_is_told_at_once_and_others_go_on(base: Recipe, data: Dataset, train: Train) -> None:
    recipes, asked, told = replicas(base), [0], []

    def leave(run: int) -> bool:
        asked[0] += run == 1
        return run == 1 and asked[0] == 2

    (left,) = train_runs(
        recipes,
        data,
        device=CPU,
        leaving=Leaving(lambda run, error: told.append((run, type(error), asked[0])), leave),
    )
    assert told == [(1, Stopped, 2)], "in its second step"
    assert digest(left) == digest(train(recipes[0]))


def test_an_error_in_a_step_ends_its_run_alone(
    base: Recipe, data: Dataset, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes, told = replicas(base), []
    wanted = digest(train(recipes[0]))
    take = ImageTask.take_step

    def fail(task: ImageTask, epoch: int, step: int) -> None:
        if task.recipe.bit is not None and (epoch, step) == (2, 1):
            raise RuntimeError("a network's own fault")
        take(task, epoch, step)

    monkeypatch.setattr(ImageTask, "take_step", fail)
    (left,) = train_runs(recipes, data, device=CPU, leaving=Leaving(lambda run, error: told.append((run, str(error)))))
    assert told == [(1, "a network's own fault")]
    assert digest(left) == wanted


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no room"), torch.AcceleratorError("CUDA error: lost")])
def test_what_the_device_cannot_recover_from_ends_all_runs(
    error: Exception, base: Recipe, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(task: ImageTask, epoch: int, step: int) -> None:
        raise error

    monkeypatch.setattr(ImageTask, "take_step", fail)
    with pytest.raises(type(error)):
        train_runs(replicas(base), data, device=CPU)


def test_one_that_diverges_ends_as_it_does_alone_and_rests(
    base: Recipe, data: Dataset, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = replace(base, train=replace(base.train, epochs=3))
    recipes, steps = replicas(base), []
    descend, take = ImageTask.descend, ImageTask.take_step

    def blow_up(task: ImageTask, *given: Any) -> Tensor:
        return descend(task, *given) * (math.nan if task.recipe.bit is not None else 1.0)

    def note(task: ImageTask, epoch: int, step: int) -> None:
        steps.append((task.recipe.bit is not None, epoch))
        take(task, epoch, step)

    monkeypatch.setattr(ImageTask, "descend", blow_up)
    monkeypatch.setattr(ImageTask, "take_step", note)
    one, other = train_runs(recipes, data, device=CPU)
    assert (other.diverged, other.diverged_epoch, one.diverged) == (True, 1, False)
    assert (True, 1) in steps
    assert (True, 2) not in steps
    assert digest(one) == digest(train(recipes[0]))
    assert digest(other) == digest(train(recipes[1]))


SAVED: dict[str, list[int]] = {"diverged": [], "left": [], "moved late": [1]}


@pytest.mark.parametrize("case", SAVED)
def test_one_that_is_not_saved_makes_no_other_be_saved(
    case: str, base: Recipe, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time since its own last checkpoint goes on for ever; others are saved when theirs is due."""
    recipes, descend, epochs = replicas(replace(base, train=replace(base.train, epochs=4))), ImageTask.descend, []
    if case == "moved late":
        recipes = late(recipes)
    if case == "diverged":
        monkeypatch.setattr(
            ImageTask,
            "descend",
            lambda task, *given: descend(task, *given) * (math.nan if task.recipe.bit is not None else 1.0),
        )
    save = CheckpointPolicy.save

    def note(policy: CheckpointPolicy, checkpoint: Checkpoint) -> None:
        epochs.append((policy.recipe_id, checkpoint.epoch))
        save(policy, checkpoint)

    monkeypatch.setattr(CheckpointPolicy, "save", note)
    policies = [
        CheckpointPolicy(path=tmp_path / one.id, every_s=every_s, recipe_id=one.id)
        for one, every_s in zip(recipes, (math.inf, 0.0), strict=True)
    ]
    leave = case == "left"
    train_runs(
        recipes, data, device=CPU, checkpoints=policies, leaving=Leaving(should_leave=lambda run: leave and run == 1)
    )
    assert [epoch for recipe_id, epoch in epochs if recipe_id == recipes[0].id] == SAVED[case]


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, train=replace(one.train, lr=0.1)),
        lambda one: replace(one, lowlevel="kernels"),
        lambda one: replace(one, model=ModelRecipe(target="mine:build")),
    ],
)
def test_what_differs_in_more_than_seeds_is_refused(
    change: Callable[[Recipe], Recipe], base: Recipe, data: Dataset
) -> None:
    one, other = replicas(base)
    with pytest.raises(ValueError, match="side by side"):
        train_runs([one, change(other)], data, device=CPU)


def test_neighbours_are_alike_in_all_but_seeds_and_bits(base: Recipe) -> None:
    one, other = late(replicas(base))
    assert one.onset is not None
    assert one.neighbours == other.neighbours is not None
    assert replace(one, repeat=3).neighbours == one.neighbours
    assert replace(one, onset=replace(one.onset, epoch=2)).neighbours != one.neighbours
    wanting = [
        replace(one, lowlevel="kernels"),
        replace(one, onset=replace(one.onset, lowlevel="kernels")),
        replace(one, pack=PackRecipe(size=2, shared_batch=False)),
        replace(one, model=ModelRecipe(target="mine:build")),
    ]
    assert [recipe.neighbours for recipe in wanting] == [None] * 4, "they want a process of their own"
