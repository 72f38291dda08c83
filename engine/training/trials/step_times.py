"""A few steps of a training, to look at or to time."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from typing import Any

import torch

from engine.recipe import Recipe
from engine.training.data.datasets import Dataset
from engine.training.recording.repeater import WARM_UP_STEPS
from engine.training.stopping import Stopped
from engine.training.tasks.images import ImageTask
from engine.training.tasks.preparation import PackTask
from engine.training.tasks.task import Task
from engine.training.trials.timer import TIMED_S, time_epoch
from engine.training.trials.workbench import Workbench


def number_replica(recipe: Recipe, seed: int) -> Recipe:
    """Return a replica with weights of its own, and an order where batches are not shared; its rate is never 0."""
    assert recipe.pack is not None, "only packs have replicas"
    seeds = replace(recipe.seeds, init=seed)
    if not recipe.pack.shared_batch:
        lowlevel = None if seeds.lowlevel is None else seed
        seeds = replace(seeds, shuffle=seed, lowlevel=lowlevel)
    train = replace(recipe.train, schedule="constant", warmup_epochs=0.0, cycles=None)
    return replace(recipe, train=train, seeds=seeds, bit=None, repeat=None)


def train_steps(task: Task[Any], steps: int) -> None:
    """Take the first steps, of as many epochs as it takes."""
    taken = 0

    def stop() -> bool:
        nonlocal taken
        taken += 1
        return taken > steps

    with contextlib.suppress(Stopped):
        for epoch in itertools.count(1):
            task.train_epoch(epoch, stop)


def fill_memory(recipe: Recipe, bench: Workbench) -> None:
    """Train epochs of two minibatches on a GPU, a whole one and the smaller last one, until all of them are recorded.

    Steps that are recorded keep their memory, and those of the last minibatch add to it. Trials that end after some
    steps never come to it, and what they found to fit would end an hour later.

    Args:
        recipe: With a pack, which is filled, or without.
        bench: What the steps are trained on; nothing is done for text, and on CPUs, where memory is given back.
    """
    data = bench.data
    if bench.device.type != "cuda" or not isinstance(data, Dataset):
        return
    cut = cut_to_last(recipe, data)
    if cut is None:
        return
    short = replace(bench, data=cut)
    task: Task[Any] = short.prepare_single(recipe) if recipe.pack is None else prepare_replicas(recipe, short)
    train_steps(task, 2 * (WARM_UP_STEPS + 2))


def cut_to_last(recipe: Recipe, data: Dataset) -> Dataset | None:
    """Return as many training examples as make a whole minibatch and an epoch's smaller last one; None without it."""
    held_out = recipe.data.validation_size or 0
    size = recipe.train.batch_size
    rest = (len(data.train_labels) - held_out) % size
    if rest == 0 or len(data.train_labels) - held_out < size:
        return None
    kept = slice(0, size + rest + held_out)
    return replace(data, train_inputs=data.train_inputs[kept], train_labels=data.train_labels[kept])


def compile_last(task: ImageTask) -> None:
    """Train on an epoch's smaller last minibatch, so that its kernels are compiled; on a GPU its end does that."""
    whole, cut = task.data, cut_to_last(task.recipe, task.data)
    if cut is None or task.device.type == "cuda":
        return
    task.data = cut
    train_steps(task, 2)
    task.data = whole


def time_pack(recipe: Recipe, bench: Workbench, *, timed_s: float = TIMED_S) -> float:
    """Return the seconds per epoch and replica of a full pack, training and evaluation, from some steps.

    Args:
        recipe: A recipe with a pack.
        bench: What it is timed on.
        timed_s: How long to train for; at least one step.
    """
    task = prepare_replicas(recipe, bench)
    warm_up(task, bench.device)
    return time_task(task, bench.device, timed_s) / task.replicas


def prepare_replicas(recipe: Recipe, bench: Workbench) -> PackTask:
    """Prepare a full pack of a recipe."""
    return bench.prepare_pack(number_replicas(recipe), graphs=bench.graphs)


def number_replicas(recipe: Recipe) -> list[Recipe]:
    """Return the replicas that fill up a recipe's pack."""
    assert recipe.pack is not None, "only packs have replicas"
    return [number_replica(recipe, seed) for seed in range(1, recipe.pack.size + 1)]


def warm_up(task: Task[Any], device: torch.device) -> None:
    """Take the first steps, in which kernels are recorded, compiled or chosen, so that they are not timed."""
    train_steps(task, 1 if device.type == "cpu" else WARM_UP_STEPS + 2)
    if isinstance(task, ImageTask) and task.recipe.compiled:
        compile_last(task)
        task.evaluate_part()


def time_task(task: Task[Any], device: torch.device, timed_s: float = TIMED_S) -> float:
    """Time an epoch of all replicas of a task and its evaluation, in seconds; see `timer.time_epoch`."""
    return time_epoch(
        lambda stop: task.train_epoch(1, stop),
        task.evaluate_part,
        steps=task.count_steps(),
        device=device,
        timed_s=timed_s,
    )
